"""DVC stage `figures`: draw what `evaluate` computed.

Reads:  data/evaluate, results/{summary,gradients,against_published}.csv, reference; params.yaml
        (environments, leaders.initial_spread).
Writes: figures/png/<name>.png and figures/pdf/<name>.pdf of every name in
        `figures.gallery.NAMES`, and the same with a suffix for further temperatures and budgets;
        results/tables/*.md and *.tex.
"""

from pathlib import Path

import pandas as pd

from bilevelrl.config import Params, read_params
from bilevelrl.evaluation.conditions import spread_study, with_conditions
from bilevelrl.evaluation.learning_curves import LEARNING_CURVE_COLUMNS
from bilevelrl.evaluation.reference import published_means, read_references
from bilevelrl.figures import style, tables
from bilevelrl.figures.gallery import Results, gallery
from bilevelrl.penalty_maps import MAP_COLUMNS
from bilevelrl.problems.four_rooms import MAP
from bilevelrl.records import read_parquet, write_atomically
from pipeline.stage import run_stage

PROBLEM = "four_rooms"


def main(params: Params, root: Path = Path()) -> None:
    """Draw the figures and write the tables of the project in `root`."""
    results, evaluated = root / "results", root / "data" / "evaluate"
    summary = pd.read_csv(results / "summary.csv")
    summary = with_conditions(summary, params.leaders.initial_spread)
    published = read_references(root / "reference", [PROBLEM])
    drawn = Results(
        summary=summary,
        spread=spread_study(summary),
        curves=read_parquet(evaluated / "learning_curves.parquet", LEARNING_CURVE_COLUMNS),
        maps=read_parquet(evaluated / "penalty_maps.parquet", MAP_COLUMNS),
        gradients=pd.read_csv(results / "gradients.csv"),
        published=published,
        published_means=published_means(published),
        marks={m: (r, line.index(m)) for r, line in enumerate(MAP) for m in "SG+" if m in line},
    )
    for name, figure in gallery(drawn, params.environments[PROBLEM].temperatures):
        style.save(figure, root / "figures", name)
    main_rows = summary[summary["study"] == "main"]
    comparison = pd.read_csv(results / "against_published.csv")
    for name, table in {
        "results": tables.results_table(main_rows, "iqm"),
        "results_mean": tables.results_table(main_rows, "mean"),
        "against_published": tables.against_published_table(comparison),
    }.items():
        stem = results / "tables" / name
        write_atomically(stem.with_suffix(".md"), tables.to_markdown(table).encode())
        write_atomically(stem.with_suffix(".tex"), tables.to_latex(table).encode())


if __name__ == "__main__":
    run_stage(lambda: main(read_params()))
