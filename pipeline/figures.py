"""DVC stage `figures`: draw what `evaluate` computed.

Reads:  data/evaluate, results/{summary,gradients,against_published}.csv, reference; of some
        problems also tables of data/environments/<problem>;
        results/{directions,followers,information_errors}.csv; params.yaml (evaluate, problems).
Writes: figures/png/<name>.png and figures/pdf/<name>.pdf of every name that
        the module `figures` of a problem with results `names`, the same with a suffix for further
        temperatures and budgets, and of `figures.decentralised`; results/tables/*.md and *.tex.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from bilevelrl.core.atomic_files import write_atomically
from bilevelrl.evaluation.as_published import AS_PUBLISHED_COLUMNS
from bilevelrl.evaluation.conditions import with_conditions
from bilevelrl.evaluation.learning_curves import LEARNING_CURVE_COLUMNS
from bilevelrl.evaluation.reference import read_references
from bilevelrl.evaluation.trajectories import TRAJECTORY_COLUMNS
from bilevelrl.figures import decentralised, style, tables
from bilevelrl.figures.gallery import Results, Source, at
from bilevelrl.problems import registry
from bilevelrl.runs.params import Params, read_params
from bilevelrl.runs.records import read_parquet, setting_dict
from pipeline.stage import run_stage


def main(params: Params, root: Path = Path()) -> None:
    """Draw the figures and write the tables of the project in `root`."""
    results, evaluated = root / "results", root / "data" / "evaluate"
    summary = with_conditions(pd.read_csv(results / "summary.csv"))
    curves = read_parquet(evaluated / "learning_curves.parquet", LEARNING_CURVE_COLUMNS)
    alike = read_parquet(evaluated / "as_published.parquet", AS_PUBLISHED_COLUMNS)
    masked = alike[alike["masked_mean"].notna()]
    gradients = pd.read_csv(results / "gradients.csv")
    comparison = pd.read_csv(results / "against_published.csv")
    places = read_parquet(evaluated / "trajectories.parquet", TRAJECTORY_COLUMNS)
    for problem in [known for known in params.problems if known in set(summary["problem"])]:
        block = params.problems[problem]
        part = registry.part(block.kind, "figures")
        published = read_references(root / "reference", [problem])
        own = Results(
            problem,
            _reported(at(summary, problem=problem), params),
            _reported(at(curves, problem=problem, study="main"), params),
            at(gradients, problem=problem),
            published,
            at(masked, problem=problem),
            block.search.temperatures,
        )
        source = Source(
            own,
            root,
            block,
            with_conditions(_reported(at(places, problem=problem), params)),
            params.evaluate.return_thresholds.get(problem, ()),
        )
        for name, figure in part.figures(source):
            style.save(figure, root / "figures", name)
        _write_tables(results / "tables", part.table_name, own, at(comparison, problem=problem))
    drawn = with_conditions(curves.drop(columns=["study", "temperature", "budget"]))
    for name, figure in {
        "information_levels": decentralised.information_levels(_reported(summary, params)),
        "follower_accuracy": decentralised.follower_accuracy(_reported(summary, params)),
        "total_samples": decentralised.total_samples(_reported(drawn, params)),
        "information_errors": decentralised.information_errors(
            pd.read_csv(results / "information_errors.csv", keep_default_na=False)
        ),
        "follower_learning": decentralised.follower_learning(
            pd.read_csv(results / "followers.csv")
        ),
    }.items():
        style.save(figure, root / "figures", name)


def _reported(table: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Rows of one problem whose J is the kind of return that its block of params.yaml reports."""
    kinds = table["setting"].map(lambda setting: setting_dict(setting).get("return"))
    reported = table["problem"].map(lambda name: params.problems[name].reported_return)
    return table[(kinds == reported) | kinds.isna()]


def _write_tables(
    folder: Path, table_name: Any, results: Results, comparison: pd.DataFrame
) -> None:
    main = results.summary["study"] == "main"
    for name, table in {
        "results": tables.results_table(results.summary[main]),
        "results_mean": tables.means_table(results.summary[main]),
        "studies": tables.results_table(results.summary[~main]),
        "against_published": tables.against_published_table(comparison),
    }.items():
        stem = folder / table_name(results.problem, name)
        write_atomically(stem.with_suffix(".md"), tables.to_markdown(table).encode())
        write_atomically(stem.with_suffix(".tex"), tables.to_latex(table).encode())


if __name__ == "__main__":
    run_stage(lambda: main(read_params()))
