"""The follower's policy as a leader may know it: read from the follower itself, or by watching.

Either way it is asked how likely an answer was, and which answers there could have been.
Actions of a bounded `Box` count in units of its half range, so that their entropy is the one of
Stable-Baselines3's SAC.
"""

from typing import Any, Protocol

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, Space
from torch.distributions import (
    Categorical,
    Distribution,
    Independent,
    Normal,
    TanhTransform,
    TransformedDistribution,
)

from bilevelrl.core.arrays import AnyArray, Floats
from bilevelrl.trainer.spaces import all_elements, start_of

#: How close to a bound an action is read, in half ranges.
_MARGIN = 1e-6


class Watched(Protocol):
    """Where the distribution of a follower's answers comes from."""

    def learn(self, observation: AnyArray, action: AnyArray) -> None:
        """Look at N choices."""
        ...

    def distribution(self, observation: AnyArray) -> Distribution:
        """π(. | o), o what the follower observes."""
        ...


class HalfRanges:
    """Actions of a bounded `Box` in [-1, 1]; of other spaces as they are."""

    def __init__(self, space: Space[Any]) -> None:
        """Of a space's actions."""
        self.bounded = isinstance(space, Box) and space.is_bounded()
        if self.bounded:
            assert isinstance(space, Box)
            self._middle = (space.high + space.low) / 2.0
            self._half = (space.high - space.low) / 2.0

    def within(self, action: AnyArray) -> AnyArray:
        """In units of half a range, off the bounds."""
        if not self.bounded:
            return action
        scaled = (action - self._middle) / self._half
        return np.clip(scaled, _MARGIN - 1.0, 1.0 - _MARGIN)

    def back(self, action: AnyArray) -> AnyArray:
        """From these units."""
        return self._middle + self._half * action if self.bounded else action


def gaussian(mean: torch.Tensor, log_std: torch.Tensor, *, squashed: bool) -> Distribution:
    """Independent normal numbers (N, n), or their hyperbolic tangents."""
    normal = Independent(Normal(mean, log_std.exp()), 1)
    return TransformedDistribution(normal, [TanhTransform()]) if squashed else normal


class FollowerPolicy:
    """π(b | o), o what the follower observes.

    Attributes:
        source: of the distribution, over actions in `units`.
        space: of the follower's actions.
        num_samples: K of continuous answers.
        units: of the actions.
    """

    def __init__(
        self, source: Watched, space: Space[Any], num_samples: int, units: HalfRanges
    ) -> None:
        self.source, self.space, self.num_samples, self.units = source, space, num_samples, units

    def learn(self, observation: AnyArray, action: AnyArray) -> None:
        """Look at N choices."""
        self.source.learn(observation, self.units.within(action))

    def log_prob(self, observation: AnyArray, action: AnyArray) -> Floats:
        """The log-density or log-probability of each answer, shape (N,)."""
        with torch.no_grad():
            distribution = self.source.distribution(observation)
            chosen = self.units.within(action) - start_of(self.space)
            return _numbers(distribution.log_prob(_tensor(distribution, chosen)))

    def answers(self, observation: AnyArray) -> tuple[AnyArray, Floats]:
        """Answers b_k, shape (K, N, ...), and weights (K, N), so that a mean is Σ_k w_k f(b_k).

        All actions with their probabilities where there are finitely many, else K draws.
        """
        with torch.no_grad():
            distribution = self.source.distribution(observation)
            if isinstance(self.space, Discrete):
                weights = _numbers(_categorical(distribution).probs).T
                actions = all_elements(self.space)[:, None]
                return np.broadcast_to(actions, weights.shape), weights
            drawn = distribution.sample(torch.Size((self.num_samples,))).cpu().numpy()
        assert isinstance(self.space, Box)
        within = np.clip(self.units.back(drawn), self.space.low, self.space.high)
        return within, np.full(drawn.shape[:2], 1.0 / self.num_samples)


def known_policy(follower: object, space: Space[Any], num_samples: int) -> FollowerPolicy:
    """The policy of a follower that tells it, by `distribution(observation)` or as an SB3 agent.

    Raises:
        ValueError: it tells no distribution over its actions, or none that can be read.
    """
    if not isinstance(space, Discrete | Box):
        raise ValueError(f"the follower's action space is {space}; expected Discrete or Box")
    if callable(getattr(follower, "distribution", None)):
        return FollowerPolicy(_Told(follower), space, num_samples, HalfRanges(Discrete(1)))
    policy = getattr(follower, "policy", None)
    actor = getattr(policy, "actor", None)
    if getattr(policy, "use_sde", False) or getattr(actor, "use_sde", False):
        raise ValueError(
            "information='full' cannot read a follower with use_sde=True; expected False"
        )
    if callable(getattr(actor, "get_action_dist_params", None)):
        return FollowerPolicy(_SquashedActor(policy), space, num_samples, HalfRanges(space))
    if callable(getattr(policy, "get_distribution", None)):
        if isinstance(space, Box):
            raise ValueError(
                f"{type(follower).__name__} clips its actions at the bounds of {space}, which its "
                "density does not tell; expected SAC, or information='rewards'"
            )
        return FollowerPolicy(_Actor(policy), space, num_samples, HalfRanges(Discrete(1)))
    raise ValueError(
        f"information='full' reads the follower's policy, and {type(follower).__name__} tells "
        "none; expected a method distribution(observation), a stochastic agent of "
        "Stable-Baselines3, or information='rewards'"
    )


class _Told:
    def __init__(self, follower: Any) -> None:
        self._follower = follower

    def learn(self, observation: AnyArray, action: AnyArray) -> None:
        pass

    def distribution(self, observation: AnyArray) -> Distribution:
        found: Distribution = self._follower.distribution(observation)
        return found


class _Actor:
    """Of Stable-Baselines3's actor-critics."""

    def __init__(self, policy: Any) -> None:
        self._policy = policy

    def learn(self, observation: AnyArray, action: AnyArray) -> None:
        pass

    def _tensor(self, observation: AnyArray) -> torch.Tensor:
        self._policy.set_training_mode(False)
        tensor: torch.Tensor = self._policy.obs_to_tensor(observation)[0]
        return tensor

    def distribution(self, observation: AnyArray) -> Distribution:
        found: Distribution = self._policy.get_distribution(self._tensor(observation)).distribution
        return found


class _SquashedActor(_Actor):
    """Of SAC."""

    def distribution(self, observation: AnyArray) -> Distribution:
        mean, log_std, _ = self._policy.actor.get_action_dist_params(self._tensor(observation))
        return gaussian(mean, log_std, squashed=True)


def _tensor(distribution: Distribution, action: AnyArray) -> torch.Tensor:
    if isinstance(distribution, Categorical):
        return torch.as_tensor(action, device=distribution.logits.device)
    base = distribution
    while isinstance(base, Independent | TransformedDistribution):
        base = base.base_dist
    device = base.loc.device if isinstance(base, Normal) else None
    return torch.as_tensor(action, dtype=torch.float32, device=device)


def _numbers(values: torch.Tensor) -> Floats:
    found: Floats = values.detach().cpu().numpy().astype(np.float64)
    return found


def _categorical(distribution: Distribution) -> Categorical:
    if not isinstance(distribution, Categorical):
        raise ValueError(
            f"the follower's distribution is {type(distribution).__name__}; expected Categorical, "
            "as its action space is Discrete"
        )
    return distribution
