"""DVC stage `comparison`: draw what the problems of the grid have in common.

Reads:  data/evaluate, results/{summary,conditions,information_errors,followers}.csv; params.yaml
        (problems).
Writes: figures/{png,pdf}/comparison/<name>.{png,pdf} of `figures.decentralised`.
"""

from pathlib import Path

import pandas as pd

from bilevelrl.evaluation.conditions import read_conditions, reported, with_conditions
from bilevelrl.evaluation.learning_curves import LEARNING_CURVE_COLUMNS
from bilevelrl.figures import decentralised, learning_followers, style
from bilevelrl.runs.params import Params, read_params
from bilevelrl.runs.table_files import read_parquet
from pipeline.stage import run_stage


def main(params: Params, root: Path = Path()) -> None:
    """Draw the figures of the project in `root`."""
    results, evaluated = root / "results", root / "data" / "evaluate"
    kinds = {name: block.reported_return for name, block in params.problems.items()}
    conditions = read_conditions(results / "conditions.csv")
    summary = reported(with_conditions(pd.read_csv(results / "summary.csv"), conditions), kinds)
    curves = read_parquet(evaluated / "learning_curves.parquet", LEARNING_CURVE_COLUMNS)
    errors = pd.read_csv(results / "information_errors.csv", keep_default_na=False)
    learning = pd.read_csv(results / "followers.csv")
    for name, figure in {
        "information_levels": decentralised.information_levels(summary),
        "follower_accuracy": learning_followers.follower_accuracy(summary),
        "total_samples": decentralised.total_samples(reported(curves, kinds)),
        "information_errors": decentralised.information_errors(errors),
        "follower_learning": learning_followers.follower_learning(learning),
    }.items():
        style.save(figure, root / "figures", f"comparison/{name}")


if __name__ == "__main__":
    run_stage(lambda: main(read_params()))
