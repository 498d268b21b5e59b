"""DVC stage `comparison`: draw what the problems of the grid have in common.

Reads:  data/evaluate, results/{summary,conditions,information_errors,followers,gradients}.csv and
        reward_structures.csv there; of data/grid.json which J every problem reports.
Writes: figures/{png,pdf}/comparison/<name>.{png,pdf} of what all problems have in common.
"""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from bilevelrl.evaluation.conditions import read_conditions, reported, with_conditions
from bilevelrl.evaluation.learning_curves import LEARNING_CURVE_COLUMNS
from bilevelrl.figures import (
    decentralised,
    estimator_budgets,
    learning_followers,
    reward_structures,
    style,
)
from bilevelrl.runs.table_files import read_csv, read_json, read_parquet
from pipeline.stage import run_stage


def main(returns: Mapping[str, str | None], root: Path = Path()) -> None:
    """Draw the figures of the project in `root`, with the J that each problem reports."""
    results, evaluated = root / "results", root / "data" / "evaluate"
    conditions = read_conditions(results / "conditions.csv")
    summary = reported(with_conditions(pd.read_csv(results / "summary.csv"), conditions), returns)
    curves = read_parquet(evaluated / "learning_curves.parquet", LEARNING_CURVE_COLUMNS)
    errors = pd.read_csv(results / "information_errors.csv", keep_default_na=False)
    learning = pd.read_csv(results / "followers.csv")
    shared = read_csv(results / "reward_structures.csv")
    gradients = pd.read_csv(results / "gradients.csv")
    for name, figure in {
        "information_levels": decentralised.information_levels(summary),
        "follower_accuracy": learning_followers.follower_accuracy(summary),
        "total_samples": decentralised.total_samples(reported(curves, returns)),
        "information_errors": decentralised.information_errors(errors),
        "follower_learning": learning_followers.follower_learning(learning),
        "reward_structures": reward_structures.reward_structures(shared),
        "estimator_budgets": estimator_budgets.estimator_budgets(gradients),
    }.items():
        style.save(figure, root / "figures", f"comparison/{name}")


if __name__ == "__main__":
    data = Path("data")
    run_stage(lambda: main(read_json(data / "grid.json")["returns"]))
