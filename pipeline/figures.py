"""DVC stage `figures@<problem>`: draw what `evaluate` computed of one problem.

Reads:  data/evaluate/<problem>, reference; of some problems also tables of
        data/environments/<problem>; params.yaml (evaluate, <problem>).
Writes: figures/{png,pdf}/<problem>/<name>.{png,pdf} of every name that the problem's module
        `figures` has, the same with a suffix for further temperatures and budgets;
        results/tables/<problem>/*.md and *.tex.
"""

from pathlib import Path

import pandas as pd

from bilevelrl.core.atomic_files import write_atomically
from bilevelrl.evaluation.as_published import AS_PUBLISHED_COLUMNS
from bilevelrl.evaluation.conditions import read_conditions, reported, with_conditions
from bilevelrl.evaluation.learning_curves import LEARNING_CURVE_COLUMNS, TRAJECTORY_COLUMNS
from bilevelrl.evaluation.reference import read_references
from bilevelrl.figures import style, tables
from bilevelrl.figures.gallery import Results, Source, at
from bilevelrl.figures.game_gallery import game_figures
from bilevelrl.problems import registry
from bilevelrl.runs.params import Params, read_params
from bilevelrl.runs.table_files import read_parquet
from pipeline.stage import run_problem_stage


def main(problem: str, params: Params | None = None, root: Path = Path()) -> None:
    """Draw the figures and write the tables of one problem of the project in `root`."""
    own = _source(params or read_params(), problem, root)
    if registry.has(own.block.kind, "figures"):
        drawn = registry.part(own.block.kind, "figures").figures(own)
    else:
        drawn = game_figures(own.results, "leader return J(θ)", "linear")
    for name, figure in drawn:
        style.save(figure, root / "figures", f"{problem}/{name}")
    comparison = own.evaluated("against_published")
    _write_tables(root / "results" / "tables" / problem, own.results.summary, comparison)


def _source(params: Params, problem: str, root: Path) -> Source:
    folder, block = root / "data" / "evaluate" / problem, params.block(problem)

    def of_return(table: pd.DataFrame) -> pd.DataFrame:
        return reported(table, {problem: block.reported_return})

    summary = pd.read_csv(folder / "summary.csv")
    summary = with_conditions(summary, read_conditions(folder / "conditions.csv"))
    curves = read_parquet(folder / "learning_curves.parquet", LEARNING_CURVE_COLUMNS)
    alike = read_parquet(folder / "as_published.parquet", AS_PUBLISHED_COLUMNS)
    places = read_parquet(folder / "trajectories.parquet", TRAJECTORY_COLUMNS)
    return Source(
        Results(
            problem,
            of_return(summary),
            at(of_return(curves), study="main"),
            pd.read_csv(folder / "gradients.csv"),
            read_references(root / "reference", [problem]),
            alike[alike["masked_mean"].notna()],
            block.search.temperatures,
        ),
        root,
        block,
        of_return(places),
        params.evaluate.return_thresholds.get(problem, ()),
    )


def _write_tables(folder: Path, summary: pd.DataFrame, comparison: pd.DataFrame) -> None:
    main = summary["study"] == "main"
    for name, table in {
        "results": tables.results_table(summary[main]),
        "results_mean": tables.means_table(summary[main]),
        "studies": tables.results_table(summary[~main]),
        "against_published": tables.against_published_table(comparison),
    }.items():
        stem = folder / name
        write_atomically(stem.with_suffix(".md"), tables.to_markdown(table).encode())
        write_atomically(stem.with_suffix(".tex"), tables.to_latex(table).encode())


if __name__ == "__main__":
    run_problem_stage(main, __doc__)
