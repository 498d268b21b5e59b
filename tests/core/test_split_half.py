"""How far a sampled indirect term is trusted."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.observations import Observations
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.seeding import Streams
from bilevelrl.core.split_half import SplitHalf, reliability

Floats = NDArray[np.float64]
HORIZON, EPISODES, SIZE = 2, 6, 3


@dataclass(frozen=True)
class Rewards:
    """A sampler whose rewards are the numbers of the transitions."""

    def observe(self, theta: Any, response: Any, streams: Streams, *, at_random: bool) -> Any:
        assert not at_random
        number = np.tile(np.arange(float(HORIZON * EPISODES)), (len(theta), 1))
        return Observations(*[number.astype(np.int64)] * 4, number)


@dataclass(frozen=True)
class Told:
    """A learner that says what it is told of a whole batch, and of each half."""

    indirect: dict[tuple[int, int], Floats]
    seen: list[tuple[Any, ...]] = field(default_factory=list)

    def start(self, streams: Streams) -> Memory:
        return {"updates": np.zeros(len(streams.seeds))}

    def acts_at_random(self, memory: Memory) -> bool:
        return bool(memory["updates"].max() < 0.0)

    def learn(
        self, theta: Floats, response: Any, batch: Observations, memory: Memory, streams: Streams
    ) -> Estimate:
        memory["updates"] += 1.0
        memory["later"] = memory.get("later", 0.0) + batch.leader_reward.sum(axis=1)
        first, last = (int(batch.leader_reward[0, place]) for place in (0, -1))
        self.seen.append((first, last, float(memory["updates"][0]), memory["later"][0]))
        direct = np.tile([3.0, 0.0, 0.0], (len(theta), 1))
        return Estimate(
            direct, self.indirect[first, last], np.zeros(len(theta)), again=lambda at: at
        )


def estimated(whole: Floats, first: Floats, second: Floats, longest: float = 0.9) -> Estimate:
    told = Told({(0, 11): whole, (0, 5): first, (6, 11): second})
    estimator = SplitHalf(Sampled(Rewards(), told), HORIZON, longest)
    streams = Streams([1, 2])
    return estimator.estimate(np.zeros((2, SIZE)), None, estimator.start(streams), streams)


def test_the_share_that_is_followed_is_the_spearman_brown_reliability() -> None:
    whole = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    first = np.array([[0.0, 2.0, 0.0], [1.0, 0.0, 0.0]])
    second = np.array([[0.0, 1.0, 1.0], [0.0, 5.0, 0.0]])
    found = estimated(whole, first, second)
    correlation = 1.0 / np.sqrt(2.0)
    share = 2.0 * correlation / (1.0 + correlation)
    np.testing.assert_allclose(found.indirect, [[0.0, share, 0.0], [0.0, 0.0, 0.0]])
    np.testing.assert_array_equal(found.direct, [[3.0, 0.0, 0.0]] * 2)
    assert found.again is None


def test_halves_that_contradict_one_another_are_not_followed() -> None:
    halves = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    others = np.array([[-1.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    np.testing.assert_allclose(reliability(halves, others), [0.0, 1.0, 0.0])


def test_reliability_finds_the_share_of_the_signal() -> None:
    """Of the squared length of a mean of two noisy copies, so much is signal."""
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((400, 500))
    first, second = (signal + 1.5 * rng.standard_normal(signal.shape) for _ in range(2))
    mean = 0.5 * (first + second)
    share = (signal * mean).sum() / np.square(mean).sum()
    assert reliability(first, second).mean() == pytest.approx(share, abs=0.01)


def test_the_indirect_term_is_shorter_than_the_direct_one() -> None:
    same = np.array([[-40.0, 0.0, 30.0], [0.0, 0.0, 0.3]])
    found = estimated(same, same, same, longest=0.5)
    np.testing.assert_allclose(found.indirect, [[-1.2, 0.0, 0.9], [0.0, 0.0, 0.3]])
    assert ((found.direct * found.gradient).sum(axis=1) > 0.0).all()


def test_each_half_keeps_a_memory_of_its_own() -> None:
    zero = np.zeros((1, SIZE))
    told = Told({(0, 11): zero, (0, 5): zero, (6, 11): zero})
    estimator = SplitHalf(Sampled(Rewards(), told), HORIZON, 0.5)
    streams = Streams([1])
    memory = estimator.start(streams)
    for _ in range(2):
        estimator.estimate(np.zeros((1, SIZE)), None, memory, streams)
    once = [(0, 11, 1.0, 66.0), (0, 5, 1.0, 15.0), (6, 11, 1.0, 51.0)]
    assert told.seen == [*once, *((*part[:2], 2.0, 2.0 * part[3]) for part in once)]
    assert {name.split("/")[0] for name in memory} == {"whole", "first", "second"}
