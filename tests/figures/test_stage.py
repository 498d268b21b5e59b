"""Stages `figures` and `comparison` draw what is there."""

from pathlib import Path

import pandas as pd
import pytest

from bilevelrl.evaluation.agreement import AGAINST_PUBLISHED_COLUMNS
from bilevelrl.evaluation.as_published import AS_PUBLISHED_COLUMNS
from bilevelrl.evaluation.learning_curves import LEARNING_CURVE_COLUMNS, TRAJECTORY_COLUMNS
from bilevelrl.figures.game_gallery import CURVES
from bilevelrl.problems import registry
from bilevelrl.runs.params import Params, read_params
from bilevelrl.runs.table_files import CorruptRecord, concatenate, write_csv, write_parquet
from pipeline import comparison, figures
from tests.figures import game_tables
from tests.figures.game_tables import LQR, TOY
from tests.settings import settings_of

#: Drawn once, of all problems together.
SHARED = {
    "information_levels", "information_errors", "follower_accuracy", "total_samples",
    "follower_learning", "reward_structures", "estimator_budgets",
}  # fmt: skip
OTHER_RETURN = ("return=discounted", "return=undiscounted")


@pytest.fixture(scope="module")
def params() -> Params:
    return read_params(Path(__file__).parents[2] / "params.yaml")


def write_project(root: Path, *problems: str) -> None:
    """Tables of the problems, and rows of the toy under the return that it does not report."""
    summary = concatenate(map(game_tables.summary, problems))
    unreported = game_tables.summary(TOY)
    unreported["setting"] = unreported["setting"].str.replace(*OTHER_RETURN)
    summary = concatenate([summary, unreported])
    conditions = settings_of(summary)
    write_csv(root / "results" / "summary.csv", summary)
    write_csv(root / "results" / "conditions.csv", conditions)
    write_csv(root / "results" / "followers.csv", game_tables.followers(TOY))
    write_csv(root / "results" / "gradients.csv", game_tables.gradients(TOY))
    write_csv(root / "results" / "information_errors.csv", game_tables.information_errors(TOY))
    write_csv(root / "results" / "reward_structures.csv", game_tables.reward_structures())
    evaluated = root / "data" / "evaluate"
    curves = concatenate(map(game_tables.curves, problems))
    write_parquet(evaluated / "learning_curves.parquet", curves, LEARNING_CURVE_COLUMNS)
    for problem in problems:
        own = evaluated / problem
        write_csv(own / "summary.csv", summary[summary["problem"] == problem])
        write_csv(own / "conditions.csv", conditions[conditions["problem"] == problem])
        write_csv(own / "gradients.csv", game_tables.gradients(problem))
        compared = pd.DataFrame(columns=list(AGAINST_PUBLISHED_COLUMNS))
        write_csv(own / "against_published.csv", compared)
        curves = game_tables.curves(problem)
        write_parquet(own / "learning_curves.parquet", curves, LEARNING_CURVE_COLUMNS)
        alike = game_tables.as_published(problem, masked=False)
        write_parquet(own / "as_published.parquet", alike, AS_PUBLISHED_COLUMNS)
        walked = game_tables.trajectories(problem)
        write_parquet(own / "trajectories.parquet", walked, TRAJECTORY_COLUMNS)
    game_tables.write_environments(root)


def names_of(params: Params, problem: str) -> set[str]:
    """Figures of a problem; that of the toy's study is drawn because the study has rows."""
    names = set(registry.part(params.block(problem).kind, "figures").names())
    return names | ({"truncated_follower"} if problem == TOY else set())


def stems(folder: Path) -> set[str]:
    return {path.stem for path in folder.iterdir()}


def test_every_name_of_a_problem_and_of_the_comparison_is_written(
    params: Params, tmp_path: Path
) -> None:
    write_project(tmp_path, TOY, LQR)
    for problem in (TOY, LQR):
        figures.main(problem, params, tmp_path)
    comparison.main(params.returns, tmp_path)
    for kind in ("png", "pdf"):
        folder = tmp_path / "figures" / kind
        assert stems(folder) == {TOY, LQR, "comparison"}
        assert stems(folder / "comparison") == SHARED
        for problem in (TOY, LQR):
            assert stems(folder / problem) == names_of(params, problem)
    for problem in (TOY, LQR):
        tables = ("results", "results_mean", "studies", "against_published")
        assert stems(tmp_path / "results" / "tables" / problem) == {*tables}


def test_a_problem_without_figures_of_its_own_shows_what_every_game_does(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_project(tmp_path, TOY)
    has = registry.has
    monkeypatch.setattr(registry, "has", lambda kind, part: part != "figures" and has(kind, part))
    figures.main(TOY, params, tmp_path)
    assert stems(tmp_path / "figures" / "png" / TOY) == {*CURVES}


def test_a_table_shows_the_reported_return_only(params: Params, tmp_path: Path) -> None:
    write_project(tmp_path, TOY)
    figures.main(TOY, params, tmp_path)
    lines = (tmp_path / "results" / "tables" / TOY / "results.md").read_text().splitlines()
    assert lines == [
        "| temperature | estimator | transitions | IQM [interval] | mean ± SE | worst seed "
        "| failed |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| 0.05 | {name} | 450 | 0.400 [0.200, 0.800] | 0.500 ± 0.100 | – | – |"
            for name in ("BC-HG", "BC-HG, corrected", "Naive-PGD (on-policy)")
        ),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "evaluate/discrete_toy_r1/trajectories.parquet",
        "environments/discrete_toy_r1/landscape.csv",
        "environments/bilevel_lqr/returns.csv",
    ],
)
def test_a_missing_table_is_named(params: Params, tmp_path: Path, name: str) -> None:
    write_project(tmp_path, TOY, LQR)
    (tmp_path / "data" / name).unlink()
    with pytest.raises(CorruptRecord, match=Path(name).name):  # noqa: PT012
        for problem in (TOY, LQR):
            figures.main(problem, params, tmp_path)
