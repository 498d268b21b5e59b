"""Errors of watching leaders against samples: what is replicated, and that it converges."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from bilevelrl.core.problem import Problem, RunTasks
from bilevelrl.evaluation.information_errors import error_curves
from bilevelrl.problems import registry
from bilevelrl.runs.execution import run_tasks
from bilevelrl.runs.params import read_params
from bilevelrl.runs.records import INFORMATION_COLUMNS
from bilevelrl.studies.information_errors import errors

Floats = NDArray[np.float64]
SHIPPED = read_params(Path(__file__).parents[2] / "params.yaml")
BEST = np.linspace(-2.0, 2.0, 105)  # any θ will do
#: The smallest sizes that are whole episodes in every batch.
TINY = {
    "four_rooms": (200, 400, 600), "discrete_toy_r1": (300, 600, 900),
    "discrete_toy_r2": (300, 600, 900), "bilevel_lqr": (100, 200, 300),
    "thermal_control": (400, 600, 800),
}  # fmt: skip


def make_problem(name: str, **changes: Any) -> Problem[Any]:
    block = SHIPPED.block(name)
    assert block.gradients is not None
    own = block.gradients.information
    changed = own.model_copy(update={"sizes": TINY[name], "replicates": 3} | changes)
    study = block.gradients.model_copy(update={"information": changed})
    problems = {**SHIPPED.problems, name: block.model_copy(update={"gradients": study})}
    return SHIPPED.model_copy(update={"problems": problems}).problem(name)


def on(jobs: int) -> RunTasks:
    return partial(run_tasks, runtime=SHIPPED.runtime.model_copy(update={"jobs": jobs}))


def ladder(problem: str) -> Any:
    return registry.part(SHIPPED.block(problem).kind, "ladder")


def levels_of(problem: str) -> list[tuple[str, str, str]]:
    levels = ladder(problem).LEVELS
    return [(level.information, level.name, level.critic) for level in levels]


@pytest.mark.parametrize("problem", TINY)
def test_every_level_is_replicated_at_every_size(problem: str) -> None:
    table = errors(make_problem(problem), BEST, on(1))
    assert tuple(table.columns) == INFORMATION_COLUMNS
    levels = table.groupby(["information", "belief", "critic"]).groups
    assert sorted(levels) == sorted(levels_of(problem))
    assert set(table["problem"]) == {problem}
    assert len(table) == len(levels) * len(TINY[problem]) * 3
    assert set(table["env_steps"]) == set(TINY[problem])
    assert np.isfinite(table["error"]).all()
    assert (table["error"] > 0.0).all()
    # Replicates are independent, also across sizes; levels see the same samples.
    first = make_problem(problem).block.gradients.first_seed
    for _, rows in table.groupby(["information", "belief", "critic"]):
        assert sorted(rows["seed"]) == list(range(first, first + 9))
        assert rows["error"].is_unique


def place(problem: str, **changes: Any) -> tuple[str, Floats]:
    found: tuple[str, Floats] = ladder(problem).information_point(
        make_problem(problem, **changes), BEST
    )
    return found


def test_the_points_are_what_their_names_say() -> None:
    name, table = place("discrete_toy_r1")
    assert name == "f(1|A) = 0.3"
    assert 1.0 / (1.0 + np.exp(-table[table != 0.0])) == pytest.approx([0.3])
    name, gain = place("bilevel_lqr")
    assert (name, gain.tolist()) == ("K = (-5, -3)", [-5.0, -3.0])
    name, theta = place("four_rooms")
    assert name == "0.7 of the best known"
    np.testing.assert_array_equal(theta, 0.7 * BEST)
    name, start = place("thermal_control", point=0)
    assert name == "exact ascent, update 0"
    np.testing.assert_array_equal(start, np.zeros(8))


def slopes(problem: str, **changes: Any) -> dict[tuple[str, str], tuple[float, float, float]]:
    """Slope, its standard error and the last error of every level but those with SARSA."""
    table = error_curves(errors(make_problem(problem, **changes), BEST, on(1)))
    table = table[(table["critic"] == "returns") | (problem != "four_rooms")]
    return {
        (str(level), str(belief)): tuple(rows[["slope", "slope_error", "error"]].iloc[-1])
        for (level, belief), rows in table.groupby(["information", "belief"])
    }


@pytest.mark.parametrize(
    ("problem", "sizes", "replicates", "last"),
    [
        ("four_rooms", (10_000, 40_000, 160_000), 20, 0.2),
        ("discrete_toy_r1", (900, 9000, 90_000), 40, 0.2),
        ("discrete_toy_r2", (900, 9000, 90_000), 40, 0.05),
        ("bilevel_lqr", (400, 4000, 40_000), 40, 0.6),
        ("thermal_control", (2000, 10_000, 50_000), 20, 2.0),
    ],
)
def test_every_level_converges(
    problem: str, sizes: tuple[int, ...], replicates: int, last: float
) -> None:
    found = slopes(problem, sizes=sizes, replicates=replicates)
    assert len(found) == len(
        {(information, belief) for information, belief, _ in levels_of(problem)}
    )
    for level, (slope, uncertainty, error) in found.items():
        assert slope <= -0.4, level
        assert uncertainty < 0.12, level
        assert error < last, level


def test_the_table_does_not_depend_on_processes_or_on_larger_sizes() -> None:
    problem = "discrete_toy_r1"
    tables = [
        errors(make_problem(problem, sizes=sizes, replicates=11), BEST, on(jobs))
        for jobs, sizes in ((1, (300, 600, 900)), (2, (300, 600, 1200)))
    ]
    parts = [
        table[table["env_steps"] < 900].sort_values(["information", "seed"], ignore_index=True)
        for table in tables
    ]
    assert len(parts[0]) == 2 * 2 * 11
    pd.testing.assert_frame_equal(*parts)


def test_every_level_learns_in_the_way_that_it_names() -> None:
    # What is watched, believed or averaged changes the estimate from the same samples; but in
    # FourRooms the follower's reward is of no use.
    for problem in TINY:
        table = errors(make_problem(problem, sizes=(1200,), replicates=2), BEST, on(1))
        levels = table.groupby(["information", "belief", "critic"])["error"]
        different = [own.to_numpy().tobytes() for _, own in levels]
        assert len(different) == len(levels_of(problem))
        same = 2 if problem == "four_rooms" else 0
        assert len(set(different)) == len(different) - same, problem
