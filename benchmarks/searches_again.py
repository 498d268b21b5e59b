"""What today's code says of the choices that the searches made: every search once more.

`cd tuning && dvc repro` in a clone of its own, about two hours; then, in that clone, `python -m
benchmarks.searches_again COMMIT > benchmarks/results/searches_again.csv` compares its
tuning/results with those of a commit: a row per condition, for the candidate that was chosen there
and the one that scores best now. Both have the same tuning seeds; the standard error of how much
better takes them to be independent.
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
    """The table of a search in a commit."""
    shown = subprocess.run(
        ["git", "show", f"{commit}:{RESULTS / name}.csv"], capture_output=True, check=True
    )
    return pd.read_csv(io.BytesIO(shown.stdout))


def compared(
    tuning: TuningParams, name: str, before: pd.DataFrame, now: pd.DataFrame
) -> Iterator[dict[str, object]]:
    """A row per condition of a search, of its tables then and now."""
    cell, candidates = tuning.grid[name], tuning.settings(name)
    for chosen, best in zip(
        winners(tuning, name, before), winners(tuning, name, now), strict=True
    ):
        own, other = (now.iloc[candidates.index(setting)] for setting in (chosen, best))
        conditions = {key: getattr(chosen, key, None) for key in CONDITIONS}
        yield {"problem": cell.problem, "search": name} | conditions | {
            "candidates_equal": before.equals(now),
            "chosen_score": own.score,
            "best_score": other.score,
            "better": other.score - own.score,
            "standard_error": (own.standard_error**2 + other.standard_error**2) ** 0.5
            if chosen != best
            else None,
            "seeds": own.seeds,
        }


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
