"""A leader's critics: what either agent can expect from a state, and what an answer changes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from gymnasium.spaces import Box

from bilevelrl.core.arrays import AnyArray, Floats
from bilevelrl.trainer.functions import FunctionKind, Transitions, ValueFunction
from bilevelrl.trainer.simulation import Batch, Spaces
from bilevelrl.trainer.spaces import Encoding, JointEncoding


@dataclass(frozen=True, eq=False)
class Critic:
    """V(s) of one agent, and A(s, choices) = E[r + γ V(s') | s, choices] - V(s).

    Attributes:
        value: V, of the leader's observation.
        gain: A, of that observation and the choices made in it; None where nobody asks for it.
        spaces: of the problem.
        discount: γ of the agent.
    """

    value: ValueFunction
    gain: ValueFunction | None
    spaces: Spaces
    discount: float

    @classmethod
    def make(
        cls,
        kind: FunctionKind,
        spaces: Spaces,
        discount: float,
        rng: np.random.Generator,
        *,
        gains: bool,
    ) -> "Critic":
        """One that knows nothing, with or without A.

        Raises:
            ValueError: the kind does not go with the spaces.
        """
        return cls(
            kind.make(observation_encoding(spaces), rng),
            kind.make(choice_encoding(spaces), rng) if gains else None,
            spaces,
            discount,
        )

    def learn(self, batch: Batch, reward: Floats) -> None:
        """From a batch with rewards (n,) of its valid transitions."""
        here, there = [batch.valid("observation")], [batch.valid("next_observation")]
        terminated = batch.valid("terminated")
        self.value.evaluate(Transitions(here, there, reward, terminated, self.discount))
        if self.gain is not None:
            ahead = reward + self.discount * ~terminated * self.value.values(there)
            self.gain.regress(self._choice(batch, None), ahead - self.value.values(here))

    def gains(self, batch: Batch, answer: AnyArray | None = None) -> Floats:
        """A of what was chosen, or of other answers (n, ...) of the follower, shape (n,)."""
        assert self.gain is not None
        return self.gain.values(self._choice(batch, answer))

    def mean_gains(self, batch: Batch, answers: AnyArray, weights: Floats) -> Floats:
        """Mean of A over answers of the follower, shape (n,).

        Args:
            batch: of n transitions.
            answers: shape (K, n, ...).
            weights: shape (K, n).
        """
        total = np.zeros(weights.shape[1])
        for answer, weight in zip(answers, weights, strict=True):
            total += weight * self.gains(batch, answer)
        return total

    def _choice(self, batch: Batch, answer: AnyArray | None) -> Sequence[AnyArray]:
        chosen = batch.valid("follower_action") if answer is None else answer
        seen, space = batch.valid("observation"), self.spaces.leader_action
        if space is None:
            return [seen, chosen]
        played = batch.valid("leader_action")
        if isinstance(space, Box):
            played = np.clip(played, space.low, space.high)
        return [seen, played, chosen]


def observation_encoding(spaces: Spaces) -> JointEncoding:
    """Of what the leader sees."""
    return JointEncoding([Encoding.of("the leader's observation space", spaces.observation)])


def choice_encoding(spaces: Spaces) -> JointEncoding:
    """Of that and of what was chosen then."""
    parts = list(observation_encoding(spaces).parts)
    if spaces.leader_action is not None:
        parts.append(Encoding.of("the leader's action space", spaces.leader_action))
    return JointEncoding(
        [*parts, Encoding.of("the follower's action space", spaces.follower_action)]
    )
