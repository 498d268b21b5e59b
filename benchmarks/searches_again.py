"""What today's code says of the choices that the searches made: every search once more.

`make tuning`, an hour and a half; then `python -m benchmarks.searches_again COMMIT >
benchmarks/results/searches_again.csv` compares tuning/results with those of a commit, as far as it
had the same candidates: a row per condition, with the scores that the candidate which was chosen
there and the best one have now. The standard error of how much `better` that one is takes both to
be independent.
"""

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from bilevelrl.runs.tuning import CONDITIONS, winners
from bilevelrl.runs.tuning_params import TuningParams, read_tuning_params

RESULTS = Path("tuning/results")


def then(name: str, commit: str) -> pd.DataFrame:
    """The table of a search in a commit; without rows, if it had none."""
    place = f"{commit}:{RESULTS / name}.csv"
    shown = subprocess.run(["git", "show", place], capture_output=True, check=False).stdout
    return pd.read_csv(io.BytesIO(shown)) if shown else pd.DataFrame()


def compared(
    tuning: TuningParams, name: str, before: pd.DataFrame, now: pd.DataFrame
) -> Iterator[dict[str, object]]:
    """A row per condition of a search, of its tables then and now; none of other candidates."""
    cell, candidates = tuning.grid[name], tuning.settings(name)
    scores = ["score", "standard_error"]
    if not before.drop(columns=scores, errors="ignore").equals(now.drop(columns=scores)):
        return
    for chosen, best in zip(winners(tuning, name, before), winners(tuning, name, now), strict=True):
        own, other = (now.iloc[candidates.index(setting)] for setting in (chosen, best))
        conditions = {key: getattr(chosen, key, None) for key in CONDITIONS}
        yield (
            {"problem": cell.problem, "search": name}
            | conditions
            | {
                "unchanged": before.equals(now),
                "chosen_score": own.score,
                "best_score": other.score,
                "better": other.score - own.score,
                "standard_error": (own.standard_error**2 + other.standard_error**2) ** 0.5
                if chosen != best
                else None,
                "seeds": own.seeds,
            }
        )


def main(commit: str) -> None:
    """Compare every search, and print the table."""
    tuning = read_tuning_params()
    rows = [
        row
        for name in tuning.grid
        for row in compared(tuning, name, then(name, commit), pd.read_csv(RESULTS / f"{name}.csv"))
    ]
    table = pd.DataFrame(rows)
    table["z"] = table["better"] / table["standard_error"]
    table.to_csv(sys.stdout, index=False, float_format="%.4g", lineterminator="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
