"""What passes between a sampler, a belief and a learner."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.seeding import Streams

THETA = np.array([[1.0, 2.0], [3.0, 4.0]])


@dataclass(frozen=True)
class Numbers:
    """Sampler, belief and learner in one: counts batches, and notes what it is handed."""

    notes: list[tuple[Any, ...]] = field(default_factory=list)

    def observe(self, theta: Any, response: Any, streams: Streams, *, at_random: bool) -> Any:
        drawn = float(streams.uniforms("rollout", (1,))[0, 0])
        self.notes.append(("sampler", theta, response, at_random))
        return drawn

    def start(self, streams: Streams) -> Memory:
        return {"believed": np.zeros(len(streams.seeds))}

    def learn(self, theta: Any, seen: Any, memory: Memory) -> Any:
        memory["believed"] += 1.0
        self.notes.append(("belief", theta, seen))
        return memory["believed"].copy()


@dataclass(frozen=True)
class Pupil:
    notes: list[tuple[Any, ...]]

    def start(self, streams: Streams) -> Memory:
        return {"updates": np.zeros(len(streams.seeds))}

    def acts_at_random(self, memory: Memory) -> bool:
        return bool(memory["updates"][0] < 2.0)

    def learn(
        self, theta: Any, response: Any, batch: Any, memory: Memory, streams: Streams
    ) -> Estimate:
        memory["updates"] += 1.0
        self.notes.append(("learner", theta, response, batch))
        return Estimate(theta, 2.0 * theta, memory["updates"].copy())


def test_a_belief_outlives_its_batch_and_takes_the_answer_s_place() -> None:
    sampler = Numbers()
    estimator: Any = Sampled(sampler, Pupil(sampler.notes), sampler)  # type: ignore[type-var]
    streams = Streams([5, 6])
    memory = estimator.start(streams)
    assert set(memory) == {"believed", "updates"}
    for _ in range(3):
        estimator.estimate(THETA, "the truth", memory, streams)
    seen = [note[2] for note in sampler.notes if note[0] == "belief"]
    assert len(set(seen)) == 3
    for update in range(3):
        told, believed, learned = sampler.notes[3 * update : 3 * update + 3]
        assert told[2:] == ("the truth", update < 2)
        assert believed[2] == learned[3] == seen[update]
        np.testing.assert_array_equal(learned[2], [update + 1.0] * 2)
        assert told[1] is believed[1] is learned[1] is THETA
    np.testing.assert_array_equal(memory["updates"], [3.0, 3.0])


def test_without_a_belief_the_learner_is_told_the_truth() -> None:
    sampler = Numbers()
    estimator: Any = Sampled(sampler, Pupil(sampler.notes))  # type: ignore[type-var]
    streams = Streams([5, 6])
    memory = estimator.start(streams)
    assert set(memory) == {"updates"}
    estimate = estimator.estimate(THETA, "the truth", memory, streams)
    assert sampler.notes[1][:3] == ("learner", THETA, "the truth")
    np.testing.assert_array_equal(estimate.gradient, 3.0 * THETA)


def test_an_estimate_without_samples_costs_nothing() -> None:
    estimate = Estimate(THETA, THETA, THETA[:, 0])
    assert (estimate.env_steps, estimate.oracle_steps, estimate.again) == (0, 0, None)
