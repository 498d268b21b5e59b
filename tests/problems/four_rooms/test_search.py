"""The best known J: at least what every start has, whatever the processes."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.problem import Problem
from bilevelrl.problems.four_rooms.cell import make_four_rooms
from bilevelrl.problems.four_rooms.problem import MAP, FourRooms
from bilevelrl.problems.four_rooms.search import (
    Ascent,
    Found,
    best_known,
    climb_from,
    leader_return_at,
    random_starts,
    structured_starts,
)
from bilevelrl.problems.four_rooms.settings import (
    FourRoomsBlock,
    FourRoomsParams,
    SearchParams,
)
from bilevelrl.runs.execution import run_tasks
from bilevelrl.runs.params import read_params
from bilevelrl.runs.runtime import Runtime
from tests.follower_params import FOLLOWERS

Floats = NDArray[np.float64]
CONSTANTS = FourRoomsParams(
    discount=0.99,
    fail_probability=0.33,
    incentive_scale=0.2,
    incentive_cost=5.0,
    max_episode_steps=200,
)
TINY = SearchParams(
    temperatures=(0.003,),
    seed=1,
    random_starts=6,
    random_spreads=(1.0, 3.0, 6.0),
    heights=(8.0,),
    num_updates=5,
    first_step_size=0.3,
    last_step_size=0.005,
)
VARIANTS = ["published", "corrected"]


def runtime(jobs: int) -> Runtime:
    return Runtime(jobs=jobs, threads=1, backend="loky", dask_scheduler=None)


def problem_of_the_search(search: SearchParams = TINY) -> Problem[FourRoomsBlock]:
    """As the search is told of it; what it does not read of its block is the shipped one."""
    block: Any = read_params(Path(__file__).parents[3] / "params.yaml").block("four_rooms")
    own = block.model_copy(update={"constants": CONSTANTS, "search": search})
    return Problem("four_rooms", own, FOLLOWERS)


def found_best(variant: str, jobs: int = 1) -> Found:
    return best_known(
        problem_of_the_search(), variant, 0.003, partial(run_tasks, runtime=runtime(jobs))
    )


def all_starts(problem: FourRooms) -> dict[str, Floats]:
    structured = structured_starts(problem, TINY.heights)
    return structured | random_starts(problem.num_parameters, TINY)


def value(problem: FourRooms, theta: Floats) -> float:
    return leader_return_at(problem, theta, 0.003, FOLLOWERS)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_search_is_at_least_as_good_as_every_start(variant: str) -> None:
    problem = make_four_rooms(CONSTANTS, variant)
    starts = all_starts(problem)
    found = found_best(variant)
    best_start = max(value(problem, theta) for theta in starts.values())
    assert found.leader_return >= best_start > 0.05  # a fined door lures the follower
    assert found.leader_return == pytest.approx(value(problem, found.theta), abs=1e-9)
    assert found.start in starts
    assert found.returns.keys() == starts.keys()
    assert found.leader_return == found.returns[found.start] == max(found.returns.values())


def test_climbing_improves_on_most_starts() -> None:
    problem = make_four_rooms(CONSTANTS, "published")
    thetas = np.stack(list(all_starts(problem).values()))[::12]
    before = np.array([value(problem, theta) for theta in thetas])
    where, best = climb_from(Ascent(problem_of_the_search(), "published", 0.003, thetas))
    assert (best >= before - 1e-12).all()
    assert (best > before + 1e-4).mean() > 0.5
    np.testing.assert_allclose(best, [value(problem, theta) for theta in where], atol=1e-9)


def test_climbing_never_forgets_the_best() -> None:
    # Steps that are much too long, so that J goes up and down.
    problem = make_four_rooms(CONSTANTS, "published")
    thetas = np.stack(list(all_starts(problem).values()))[::12]
    long_steps = {"first_step_size": 10.0, "last_step_size": 10.0}
    bests = []
    for number in range(1, 7):
        search = TINY.model_copy(update={**long_steps, "num_updates": number})
        told = problem_of_the_search(search)
        where, best = climb_from(Ascent(told, "published", 0.003, thetas))
        if number == 1:
            np.testing.assert_array_equal(where, thetas)
        bests.append(best)
    gains = np.diff(np.stack(bests), axis=0)
    assert (gains >= 0.0).all()
    assert (gains == 0.0).any()  # a step down was not taken for the best
    assert (gains > 0.0).any()


def test_processes_do_not_change_the_result() -> None:
    one, many = (found_best("published", jobs) for jobs in (1, 2))
    assert (one.start, one.returns) == (many.start, many.returns)
    np.testing.assert_array_equal(one.theta, many.theta)


def test_how_the_starts_are_split_does_not_change_the_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = found_best("published")
    split = np.array_split
    monkeypatch.setattr(
        np, "array_split", lambda indices, _: [part[::-1] for part in split(indices, 7)]
    )
    parts = found_best("published")
    assert (whole.start, whole.returns) == (parts.start, parts.returns)
    np.testing.assert_array_equal(whole.theta, parts.theta)


def test_structured_starts_fine_each_cell_and_each_pair_of_doors() -> None:
    problem = FourRooms()
    starts = structured_starts(problem, (4.0, 8.0))
    doors = [(3, 6), (6, 2), (7, 9), (10, 6)]
    assert all(MAP[row][column] == " " for row, column in doors)
    indices = {problem.cells.index(door) for door in doors}
    pairs = [name for name in starts if "doors" in name]
    assert len(starts) == 2 * (104 + 6)
    assert len(pairs) == 12
    for name in pairs:
        (fined,) = np.nonzero(starts[name])
        assert len(fined) == 2
        assert set(fined) <= indices
    assert {float(theta.max()) for theta in starts.values()} == {4.0, 8.0}
    assert starts["structured, cell 25 at 8"][25] == 8.0


def test_random_starts_take_the_spreads_in_turn_and_follow_the_seed() -> None:
    starts = random_starts(105, TINY)
    spreads = [float(theta.std()) for theta in starts.values()]
    np.testing.assert_allclose(spreads, [1.0, 3.0, 6.0] * 2, rtol=0.2)
    other = random_starts(105, TINY.model_copy(update={"seed": 2}))
    more = random_starts(105, TINY.model_copy(update={"random_starts": 8}))
    for name, theta in starts.items():
        assert (theta != other[name]).all()
        np.testing.assert_array_equal(theta, more[name])
