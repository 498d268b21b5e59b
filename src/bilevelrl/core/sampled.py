"""Where samples come from: a `Sampler` in which leader and follower meet, a `Learner` behind it.

The simulator ends at the sampler. A learner is handed observations, and beside them the follower's
answer: the true one (information "full"), or what a `Belief` makes of the same observations. With a
belief nothing behind the world needs a model of the problem.
"""

from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from bilevelrl.core.arrays import Floats
from bilevelrl.core.batches import TabularObservations
from bilevelrl.core.estimator import Estimate, Memory, Response_contra
from bilevelrl.core.observations import Observations
from bilevelrl.core.seeding import Streams

Seen = TypeVar("Seen", bound=Observations | TabularObservations)
Seen_co = TypeVar("Seen_co", bound=Observations | TabularObservations, covariant=True)
Seen_contra = TypeVar("Seen_contra", bound=Observations | TabularObservations, contravariant=True)


class Sampler(Protocol[Response_contra, Seen_co]):
    """Where leader and follower meet."""

    def observe(
        self, theta: Floats, response: Response_contra, streams: Streams, *, at_random: bool
    ) -> Seen_co:
        """What the leader sees of a batch under θ; `at_random` lets it ignore θ."""


class Belief(Protocol[Seen_contra]):
    """Learns from observations what the follower plays and expects."""

    def start(self, streams: Streams) -> Memory:
        """Nothing seen; every array has the runs as its first axis."""

    def learn(self, theta: Floats, seen: Seen_contra, memory: Memory) -> Any:
        """Takes the place of the follower's response to θ; updates `memory` in place."""


class Learner(Protocol[Seen_contra]):
    """An estimator that is handed its transitions."""

    def start(self, streams: Streams) -> Memory:
        """Memory before the first estimate."""

    def acts_at_random(self, memory: Memory) -> bool:
        """Whether the leader's next actions ignore θ."""

    def learn(
        self, theta: Floats, response: Any, batch: Seen_contra, memory: Memory, streams: Streams
    ) -> Estimate:
        """Estimate dJ/dθ from a batch under θ; updates `memory` in place."""


@dataclass(frozen=True, eq=False)
class Sampled(Generic[Seen]):
    """An `Estimator`; without a belief the learner is handed the follower's true answer."""

    sampler: Sampler[Any, Seen]
    learner: Learner[Seen]
    belief: Belief[Seen] | None = None

    def start(self, streams: Streams) -> Memory:
        """Of belief and learner."""
        believed = {} if self.belief is None else self.belief.start(streams)
        return {**believed, **self.learner.start(streams)}

    def estimate(self, theta: Floats, response: Any, memory: Memory, streams: Streams) -> Estimate:
        """Observe a batch under θ and what the follower plays, and learn from it."""
        at_random = self.learner.acts_at_random(memory)
        seen = self.sampler.observe(theta, response, streams, at_random=at_random)
        return self.learn(theta, response, seen, memory, streams)

    def learn(
        self, theta: Floats, response: Any, seen: Seen, memory: Memory, streams: Streams
    ) -> Estimate:
        """Learn from a batch under θ; updates `memory` in place."""
        if self.belief is not None:
            response = self.belief.learn(theta, seen, memory)
        return self.learner.learn(theta, response, seen, memory, streams)
