"""How much of a comparison of SAC runs is the machine: the same grid, committed on several.

`python benchmarks/machines.py COMMIT... > benchmarks/results/machines.csv` reads summary.csv and
improvement.csv of commits whose results a `make repro` on another machine computed. They were
written when standard errors divided by n; here they divide by n − 1, and a Welch test is added.
"""

import io
import math
import subprocess
import sys

import pandas as pd
from scipy import stats

PROBLEM, OURS, THEIRS = "guided_cartpole", "bc_hg", "naive"


def committed(commit: str, name: str) -> pd.DataFrame:
    """A table of results/ as a commit has it."""
    command = ["git", "show", f"{commit}:results/{name}.csv"]
    shown = subprocess.run(command, check=True, text=True, capture_output=True)
    return pd.read_csv(io.StringIO(shown.stdout))


def comparison(machine: str, commit: str) -> dict[str, str | float]:
    """One row: both means, their difference, its bootstrap interval and Welch's p."""
    summary, pairs = committed(commit, "summary"), committed(commit, "improvement")
    own = summary[summary["problem"] == PROBLEM].set_index(["estimator", "metric"])
    row: dict[str, str | float] = {"machine": machine, "commit": commit, "problem": PROBLEM}
    for side, estimator in (("ours", OURS), ("theirs", THEIRS)):
        seeds = int(own.loc[(estimator, "leader_return_mean"), "seeds"])
        error = float(own.loc[(estimator, "leader_return_se"), "value"])
        row[side] = estimator
        row[f"{side}_mean"] = float(own.loc[(estimator, "leader_return_mean"), "value"])
        row[f"{side}_standard_error"] = error * math.sqrt(seeds / (seeds - 1))
        row[f"{side}_seeds"] = seeds
    pair = pairs[(pairs["problem"] == PROBLEM) & (pairs["theirs"] == THEIRS)].iloc[0]
    spreads = [
        float(row[f"{side}_standard_error"]) * math.sqrt(float(row[f"{side}_seeds"]))
        for side in ("ours", "theirs")
    ]
    test = stats.ttest_ind_from_stats(
        row["ours_mean"], spreads[0], row["ours_seeds"],
        row["theirs_mean"], spreads[1], row["theirs_seeds"], equal_var=False,
    )  # fmt: skip
    squares = float(row["ours_standard_error"]) ** 2 + float(row["theirs_standard_error"]) ** 2
    return row | {
        "difference": float(row["ours_mean"]) - float(row["theirs_mean"]),
        "standard_error": math.sqrt(squares),
        "bootstrap_low": pair["mean_difference_low"],
        "bootstrap_high": pair["mean_difference_high"],
        "welch_p": float(test.pvalue),
    }


if __name__ == "__main__":
    rows = [comparison(chr(ord("A") + place), commit) for place, commit in enumerate(sys.argv[1:])]
    pd.DataFrame(rows).to_csv(sys.stdout, index=False, float_format="%.6g", lineterminator="\n")
