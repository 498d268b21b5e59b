"""How much of a comparison of SAC runs is the machine: the same grid, committed on several.

`python benchmarks/machines.py COMMIT... > benchmarks/results/machines.csv` reads summary.csv of
commits whose results a `make repro` on another machine computed. It was written when standard
errors divided by n; here they divide by n − 1.
"""

import io
import math
import subprocess
import sys

import pandas as pd
from scipy import stats

PROBLEM, OURS, THEIRS = "guided_cartpole", "bc_hg", "naive"
CONFIDENCE = 0.95


def committed(commit: str) -> pd.DataFrame:
    """results/summary.csv as a commit has it."""
    command = ["git", "show", f"{commit}:results/summary.csv"]
    shown = subprocess.run(command, check=True, text=True, capture_output=True)
    return pd.read_csv(io.StringIO(shown.stdout))


def comparison(machine: str, commit: str) -> dict[str, str | float]:
    """One row: both means, their difference, Welch's interval and p."""
    summary = committed(commit)
    own = summary[summary["problem"] == PROBLEM].set_index(["estimator", "metric"])
    row: dict[str, str | float] = {"machine": machine, "commit": commit, "problem": PROBLEM}
    sides = []
    for side, estimator in (("ours", OURS), ("theirs", THEIRS)):
        seeds = int(own.loc[(estimator, "leader_return_mean"), "seeds"])
        mean = float(own.loc[(estimator, "leader_return_mean"), "value"])
        biased = float(own.loc[(estimator, "leader_return_se"), "value"])
        error = biased * math.sqrt(seeds / (seeds - 1))
        row |= {
            side: estimator,
            f"{side}_mean": mean,
            f"{side}_standard_error": error,
            f"{side}_seeds": seeds,
        }
        sides.append((mean, error, seeds))
    (ours, our_error, our_seeds), (theirs, their_error, their_seeds) = sides
    test = stats.ttest_ind_from_stats(
        ours, our_error * math.sqrt(our_seeds), our_seeds,
        theirs, their_error * math.sqrt(their_seeds), their_seeds, equal_var=False,
    )  # fmt: skip
    total = our_error**2 + their_error**2
    freedom = total**2 / (our_error**4 / (our_seeds - 1) + their_error**4 / (their_seeds - 1))
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2.0, freedom)) * math.sqrt(total)
    return row | {
        "difference": ours - theirs,
        "standard_error": math.sqrt(total),
        "difference_low": ours - theirs - half,
        "difference_high": ours - theirs + half,
        "welch_p": float(test.pvalue),
    }


if __name__ == "__main__":
    rows = [comparison(chr(ord("A") + place), commit) for place, commit in enumerate(sys.argv[1:])]
    pd.DataFrame(rows).to_csv(sys.stdout, index=False, float_format="%.6g", lineterminator="\n")
