"""CMA-ES: the library's search, from the run's own numbers, that counts what it evaluates."""

from dataclasses import dataclass, field
from typing import Any

import cma
import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.cma_es import CMAES, Draws
from bilevelrl.core.seeding import Streams, stream

Floats = NDArray[np.float64]
SIZE = 4


@dataclass(eq=False)
class Bowl:
    """J(θ) = -|θ - top|²: a game whose follower answers with θ itself."""

    top: float = 2.0
    asked: list[Floats] = field(default_factory=list)

    def follower_memory(self, num_runs: int, streams: Streams) -> Floats:
        return np.zeros(num_runs)

    def respond(self, theta: Floats, memory: Floats, streams: Streams) -> Floats:
        self.asked.append(theta.copy())
        return theta

    def objective(self, theta: Floats, response: Floats) -> Floats:
        np.testing.assert_array_equal(theta, response)
        return np.asarray(-np.square(theta - self.top).sum(axis=1))


def climb(
    seeds: list[int], updates: int, game: Bowl | None = None, **changes: Any
) -> tuple[list[Floats], Bowl]:
    """θ before and after every update, and the game."""
    game = game or Bowl()
    streams = Streams(seeds)
    options = {"spread": np.full(len(seeds), 0.3), "population_size": 8} | changes
    estimator: CMAES[Any] = CMAES(game, **options)
    memory, found = estimator.start(streams), [np.zeros((len(seeds), SIZE))]
    for _ in range(updates):
        estimate = estimator.estimate(found[-1], found[-1], memory, streams)
        assert estimate.proposal is not None
        assert estimate.env_steps == 0
        assert not estimate.gradient.any()
        found.append(estimate.proposal)
    return found, game


def test_it_climbs_to_the_top() -> None:
    found, _ = climb([0, 1], 80)
    np.testing.assert_allclose(found[-1], 2.0, atol=1e-3)


def test_bounds_hold_for_all_that_is_evaluated_and_the_best_point_may_lie_on_them() -> None:
    found, game = climb([0, 1], 80, bounds=(0.0, 1.5))
    asked = np.stack(game.asked)
    assert asked.min() >= 0.0
    assert asked.max() <= 1.5
    assert np.stack(found).min() >= 0.0
    np.testing.assert_allclose(found[-1], 1.5, atol=1e-3)
    _, free = climb([0, 1], 80)
    assert np.stack(free.asked).max() > 1.5


def test_an_update_evaluates_a_population_and_nothing_else() -> None:
    _, game = climb([0, 1, 2], 5, population_size=11)
    assert len(game.asked) == 5 * 11
    assert {each.shape for each in game.asked} == {(3, SIZE)}


def test_it_is_the_search_of_the_library_from_the_numbers_of_the_run() -> None:
    found, _ = climb([7], 6)
    numbers = stream(7, "zero_order")
    options = {"popsize": 8, "seed": np.nan, "verbose": -9,
               "randn": lambda *shape: numbers.standard_normal(shape)}  # fmt: skip
    search = cma.CMAEvolutionStrategy(np.zeros(SIZE), 0.3, options)
    for theta in found[1:]:
        points = search.ask()
        search.tell(points, [float(np.square(point - 2.0).sum()) for point in points])
        np.testing.assert_array_equal(theta[0], search.result.xfavorite)


def test_runs_depend_neither_on_their_batch_nor_on_global_numbers() -> None:
    before = np.random.get_state()  # noqa: NPY002
    together, _ = climb([3, 4], 6)
    after = np.random.get_state()  # noqa: NPY002
    np.testing.assert_array_equal(np.asarray(before[1]), np.asarray(after[1]))
    assert before[2] == after[2]
    np.random.seed(1)  # noqa: NPY002
    alone, _ = climb([4], 6)
    np.testing.assert_array_equal(np.stack(together)[:, 1], np.stack(alone)[:, 0])
    assert (together[-1][0] != together[-1][1]).all()


def test_runs_of_a_batch_may_differ_in_their_spread() -> None:
    both, _ = climb([3, 3], 1, spread=np.array([0.1, 0.3]))
    alone, _ = climb([3], 1, spread=np.array([0.3]))
    assert np.abs(both[1][0]).max() < np.abs(both[1][1]).max()
    np.testing.assert_array_equal(both[1][1], alone[1][0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"population_size": 2}, "population_size = 2: must be at least 3"),
        ({"spread": np.array([0.1, 0.0])}, "must be positive"),
        ({"spread": np.array([0.1, np.inf])}, "must be positive"),
        ({"bounds": (1.0, 1.0)}, r"bounds = \(1.0, 1.0\): nothing is between"),
    ],
)
def test_what_cannot_be_searched_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        climb([0, 1], 0, **changes)


def test_numbers_that_nobody_drew_are_not_given_out() -> None:
    draws = Draws(np.arange(8.0).reshape(2, 4))
    np.testing.assert_array_equal(draws(1, 4), [[0.0, 1.0, 2.0, 3.0]])
    for shape in ((2, 4), (1, 3)):
        with pytest.raises(ValueError, match="numbers where"):
            draws(*shape)
    np.testing.assert_array_equal(draws(1, 4), [[4.0, 5.0, 6.0, 7.0]])
