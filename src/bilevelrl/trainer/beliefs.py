"""What a leader learns about its follower's policy by watching its choices."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, Space
from torch.distributions import Categorical, Distribution

from bilevelrl.core.arrays import AnyArray, Floats
from bilevelrl.trainer.functions import LARGEST_TABLE, Network, Table, minibatches
from bilevelrl.trainer.kinds import expect_number
from bilevelrl.trainer.policies import FollowerPolicy, HalfRanges, Watched, gaussian
from bilevelrl.trainer.random_tanh import RandomTanh
from bilevelrl.trainer.spaces import Encoding, JointEncoding, Standardised


@dataclass(frozen=True)
class FeatureBelief:
    """Logits, or mean and spread, that are linear in random tanh features, fitted by Adam.

    Attributes:
        number: of features beside the coordinates themselves.
        frequency: standard deviation of their weights, in units of the inputs' spread.
        step_size: of Adam.
        epochs: passes over a batch.
        minibatch: samples per step.
    """

    number: int = 200
    frequency: float = 1.0
    step_size: float = 0.01
    epochs: int = 10
    minibatch: int = 256

    def __post_init__(self) -> None:
        expect_number("number", self.number, least=0, whole=True)
        expect_number("frequency", self.frequency, above=0.0)
        self.fit()

    def fit(self) -> Network:
        """How it is fitted."""
        return Network((), self.step_size, self.epochs, self.minibatch)


BeliefKind = Table | FeatureBelief | Network
#: What `belief=` may be.
BELIEFS: dict[str, type[Table] | type[FeatureBelief] | type[Network]] = {
    "table": Table,
    "random_features": FeatureBelief,
    "network": Network,
}


def make_belief(
    kind: BeliefKind,
    observations: Space[Any],
    actions: Space[Any],
    num_samples: int,
    rng: np.random.Generator,
) -> FollowerPolicy:
    """A belief that knows nothing yet.

    Raises:
        ValueError: the kind does not go with the spaces.
    """
    encoding = JointEncoding([Encoding.of("the follower's observation space", observations)])
    source: Watched
    if isinstance(kind, Table):
        if encoding.num_elements is None or not isinstance(actions, Discrete):
            raise ValueError(
                f"belief of kind table over {observations} and {actions}; expected discrete "
                "spaces: take kind 'random_features' or 'network'"
            )
        if encoding.num_elements * int(actions.n) > LARGEST_TABLE:
            raise ValueError(
                f"belief of kind table over {encoding.num_elements} observations and {actions}; "
                f"expected at most {LARGEST_TABLE} combinations: take another kind"
            )
        source = FrequencyBelief(kind, encoding, encoding.num_elements, actions)
    elif isinstance(actions, Discrete) or (isinstance(actions, Box) and len(actions.shape) == 1):
        source = LikelihoodBelief(kind, encoding, actions, rng)
    else:
        raise ValueError(
            f"the follower's action space is {actions}; expected Discrete, or Box with one axis"
        )
    return FollowerPolicy(source, actions, num_samples, HalfRanges(actions))


class FrequencyBelief:
    """π(b | o) from how often every action was chosen, of finitely many of both."""

    def __init__(
        self, kind: Table, encoding: JointEncoding, number: int, actions: Discrete
    ) -> None:
        self.kind, self.encoding, self._start = kind, encoding, int(actions.start)
        self._counts = np.zeros((number, int(actions.n)))

    def learn(self, observation: AnyArray, action: AnyArray) -> None:
        """Count N choices; older ones fade."""
        self._counts *= self.kind.forgetting
        np.add.at(self._counts, (self.encoding.numbers([observation]), action - self._start), 1.0)

    def distribution(self, observation: AnyArray) -> Distribution:
        """Frequencies, with `prior` choices spread evenly."""
        even = self.kind.prior / self._counts.shape[1]
        weights = self._counts[self.encoding.numbers([observation])] + even
        return Categorical(probs=torch.as_tensor(weights))


class LikelihoodBelief:
    """Categorical or Gaussian π(b | o), its logits or mean and spread fitted to the likelihood."""

    def __init__(
        self,
        kind: FeatureBelief | Network,
        encoding: JointEncoding,
        actions: Discrete | Box,
        rng: np.random.Generator,
    ) -> None:
        self._rng, self._inputs, self._actions = rng, Standardised(encoding), actions
        self._squashed = HalfRanges(actions).bounded
        self._fit = kind if isinstance(kind, Network) else kind.fit()
        self._random: RandomTanh | None = None
        size = encoding.size
        if isinstance(kind, FeatureBelief):
            self._random = RandomTanh(kind.number, kind.frequency, encoding.size, rng)
            size = self._random.size
        outputs = int(actions.n) if isinstance(actions, Discrete) else 2 * actions.shape[0]
        self._network = self._fit.layers(size, outputs, rng)
        self._optimizer = torch.optim.Adam(self._network.parameters(), lr=self._fit.step_size)

    def _features(self, observation: AnyArray) -> torch.Tensor:
        rows: Floats = self._inputs.rows([observation])
        features = rows if self._random is None else self._random.of(rows)
        return torch.as_tensor(features, dtype=torch.float32)

    def _of(self, features: torch.Tensor) -> Distribution:
        outputs = self._network(features)
        if isinstance(self._actions, Discrete):
            return Categorical(logits=outputs)
        mean, log_std = outputs.chunk(2, dim=1)
        return gaussian(mean, log_std.clamp(-5.0, 2.0), squashed=self._squashed)

    def distribution(self, observation: AnyArray) -> Distribution:
        """As fitted so far."""
        return self._of(self._features(observation))

    def learn(self, observation: AnyArray, action: AnyArray) -> None:
        """A few passes of Adam over N choices."""
        features = self._features(observation)
        if isinstance(self._actions, Discrete):
            wanted = torch.as_tensor(np.asarray(action, np.int64) - int(self._actions.start))
        else:
            wanted = torch.as_tensor(action, dtype=torch.float32)
        for _ in range(self._fit.epochs):
            for part in minibatches(self._rng, len(wanted), self._fit.minibatch):
                loss = -self._of(features[part]).log_prob(wanted[part]).mean()
                self._optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                self._optimizer.step()
