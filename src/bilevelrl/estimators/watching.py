"""Estimators of a leader that only watches: from θ and `Observations`, and nothing else.

An `Estimator` is handed what the follower really plays, because somebody has to simulate it. Here
that ends at the `World`: whatever comes behind it, the belief about the follower and the estimator
proper, gets observations alone and holds no model of the problem.
"""

from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from bilevelrl.estimators.protocol import Estimate, Memory, Response_contra
from bilevelrl.problems.observations import Observations
from bilevelrl.problems.rollout import TabularObservations
from bilevelrl.seeding import Streams

Floats = NDArray[np.float64]
Seen = TypeVar("Seen", Observations, TabularObservations)
Seen_co = TypeVar("Seen_co", Observations, TabularObservations, covariant=True)
Seen_contra = TypeVar("Seen_contra", Observations, TabularObservations, contravariant=True)


class World(Protocol[Response_contra, Seen_co]):
    """Where leader and follower meet."""

    def observe(
        self, theta: Floats, response: Response_contra, streams: Streams, *, at_random: bool
    ) -> Seen_co:
        """What the leader sees of a batch under θ; `at_random` lets it ignore θ."""
        ...


class Belief(Protocol[Seen_contra]):
    """Learns from observations what the follower plays and expects."""

    def start(self, streams: Streams) -> Memory:
        """Nothing seen; every array has the runs as its first axis."""
        ...

    def learn(self, theta: Floats, seen: Seen_contra, memory: Memory) -> Any:
        """Takes the place of the follower's response to θ; updates `memory` in place."""
        ...


class Learner(Protocol[Seen_contra]):
    """An estimator that is handed its transitions."""

    def start(self, streams: Streams) -> Memory:
        """Memory before the first estimate."""
        ...

    def acts_at_random(self, memory: Memory) -> bool:
        """Whether the leader's next actions ignore θ."""
        ...

    def learn(
        self, theta: Floats, response: Any, batch: Seen_contra, memory: Memory, streams: Streams
    ) -> Estimate:
        """Estimate dJ/dθ from a batch under θ; updates `memory` in place."""
        ...


@dataclass(frozen=True, eq=False)
class Watching(Generic[Seen]):
    """Implements `Estimator` for a leader that only watches.

    Attributes:
        world: produces observations.
        belief: learns the follower from them.
        estimator: uses both.
    """

    world: World[Any, Seen]
    belief: Belief[Seen]
    estimator: Learner[Seen]

    def start(self, streams: Streams) -> Memory:
        """Of belief and estimator."""
        return {**self.belief.start(streams), **self.estimator.start(streams)}

    def estimate(self, theta: Floats, response: Any, memory: Memory, streams: Streams) -> Estimate:
        """Watch a batch, and estimate from what was seen of it."""
        at_random = self.estimator.acts_at_random(memory)
        seen = self.world.observe(theta, response, streams, at_random=at_random)
        believed = self.belief.learn(theta, seen, memory)
        return self.estimator.learn(theta, believed, seen, memory, streams)
