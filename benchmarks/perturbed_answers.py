"""The perturbed follower with exact answers: how far its quotients are from the hypergradient.

`python -m benchmarks.perturbed_answers > benchmarks/results/perturbed_answers.csv`: every problem
whose hypergradient is known, and no samples anywhere. ε counts in the leader's own rewards; `unit`
is β over the largest of them in a step, and where a problem has a bound of ε instead, that bound.
Each point has the ε of `ALWAYS`, and smaller ones until the two-sided quotient is within `WANTED`.
Every quotient stands beside its Richardson extrapolation from ε and ε / 2, which takes twice the
paid answers; `..._largest` is the largest ε of the list at which it is within `WANTED`.
"""

import sys
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from benchmarks.perturbed_cases import Case, cases
from bilevelrl.core.arrays import Floats

#: In the leader's rewards; the first three are always shown.
EPSILONS, ALWAYS, WANTED = (0.1, 0.03, 0.01, 0.003, 0.001, 3e-4, 1e-4), 3, 0.02
KINDS = ("two_sided", "two_sided_extrapolated", "one_sided", "one_sided_extrapolated")


def extrapolated(
    quotient: Callable[[float, bool], Floats], epsilon: float, two_sided: bool
) -> Floats:
    """Richardson extrapolation to ε = 0, which takes the first term of the error away, (D,)."""
    share = 4.0 if two_sided else 2.0
    found: Floats = share * quotient(epsilon / 2.0, two_sided) - quotient(epsilon, two_sided)
    return found / (share - 1.0)


def compared(case: Case, epsilon: float, kind: str) -> tuple[float, float]:
    """Relative error and cosine of one of `KINDS`, NaN where it has no answer."""
    two_sided = kind.startswith("two_sided")
    if two_sided and epsilon >= case.bound:
        return np.nan, np.nan
    if kind.endswith("extrapolated"):
        found = extrapolated(case.quotient, epsilon, two_sided)
    else:
        found = case.quotient(epsilon, two_sided)
    norm = np.linalg.norm(case.truth)
    cosine = found @ case.truth / norm / np.linalg.norm(found)
    return float(np.linalg.norm(found - case.truth) / norm), float(cosine)


def rows(case: Case) -> Iterator[dict[str, object]]:
    """One per ε that is shown."""
    table, largest, shown = list[dict[str, object]](), dict[str, float](), True
    for number, epsilon in enumerate(EPSILONS):
        shown = shown and (number < ALWAYS or "two_sided" not in largest)
        if not shown and len(largest) == len(KINDS):
            break
        row = {
            "problem": case.problem, "point": case.point, "epsilon": epsilon, "unit": case.unit,
            "share": epsilon / case.unit,
        }  # fmt: skip
        for kind in KINDS:
            if shown or kind not in largest:
                error, row[f"{kind}_cosine"] = compared(case, epsilon, kind)
                row[f"{kind}_error"] = error
                if error <= WANTED:
                    largest.setdefault(kind, epsilon)
        if shown:
            table.append(row)
    for row in table:
        yield row | {f"{kind}_largest": largest.get(kind, np.nan) for kind in KINDS}


if __name__ == "__main__":
    found = [row for case in cases() for row in rows(case)]
    pd.DataFrame(found).to_csv(sys.stdout, index=False, float_format="%.6g", lineterminator="\n")
