"""Problems with a continuous state as their follower faces them, for agents that only interact.

The leader is frozen inside but may be replaced at any time: assign to `theta`. Observations are of
order 1 and actions lie in [-1, 1]; rewards are those of the problem, without a bonus for entropy.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]


@dataclass(frozen=True)
class ViewOptions:
    """What a follower's view makes of a problem.

    Attributes:
        action_bound: an action u in [-1, 1]^m stands for `action_bound` · u. The entropy of the
            action in the problem's units is larger than that of u by m log(action_bound).
        training_horizon: transitions after which an episode is cut; the problem's if omitted. A
            follower may begin again as often as it likes: its optimum looks ahead without end, so
            that a cut is no end of its task, and where most of the return is earned in the first
            few steps it learns more from starting often.
    """

    action_bound: float
    training_horizon: int | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.action_bound < np.inf:
            raise ValueError(f"action_bound must be positive and finite, got {self.action_bound}")
        if self.training_horizon is not None and self.training_horizon < 1:
            raise ValueError(f"training_horizon must be at least 1, got {self.training_horizon}")


class FollowerView(gymnasium.Env[Floats32, Floats32]):
    """What the views of all problems share; episodes are only ever truncated."""

    # Not a ClassVar, because Gymnasium does not declare it as one.
    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012

    def __init__(
        self, options: ViewOptions, theta: Floats, observations: int, actions: int, horizon: int
    ) -> None:
        """Spaces of its own, because spaces draw random numbers.

        Args:
            options: bound and horizon.
            theta: the leader, shape (D,).
            observations: how many numbers are observed.
            actions: m.
            horizon: of the problem.
        """
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (observations,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (actions,), np.float32)
        self._bound = options.action_bound
        self._horizon = options.training_horizon or horizon
        self._time, self._running = 0, False
        self.theta = theta

    @property
    def theta(self) -> Floats:
        """The leader that the follower faces from the next transition on, shape (D,)."""
        return self._theta.copy()

    @theta.setter
    def theta(self, theta: Floats) -> None:
        self._face(theta[None])
        self._theta = theta.copy()

    def face(self, theta: Floats) -> None:
        """Let the follower face another leader, shape (D,)."""
        self.theta = theta

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Floats32, dict[str, Any]]:
        """Begin an episode; there are no options."""
        super().reset(seed=seed, options=options)
        self._time, self._running = 0, True
        self._begin()
        return self._observed(), {}

    def step(self, action: Floats32) -> tuple[Floats32, float, bool, bool, dict[str, Any]]:
        """One transition.

        Raises:
            ResetNeeded: if the episode has ended or never began.
            ValueError: if the action is not m numbers in [-1, 1].
        """
        if not self._running:
            raise gymnasium.error.ResetNeeded("call reset() before the first step of an episode")
        if np.shape(action) != self.action_space.shape or not (np.abs(action) <= 1.0).all():
            shape = self.action_space.shape
            raise ValueError(f"action must be {shape} numbers in [-1, 1], got {action!r}")
        reward = self._play(self._bound * np.asarray(action, np.float64))
        self._time += 1
        truncated = self._time >= self._horizon
        self._running = not truncated
        return self._observed(), reward, False, truncated, {}

    @abstractmethod
    def _face(self, theta: Floats) -> None:
        """Take on a leader, shape (1, D)."""

    @abstractmethod
    def _begin(self) -> None:
        """Draw a first state."""

    @abstractmethod
    def _play(self, action: Floats) -> float:
        """Go on by one transition and return r_F."""

    @abstractmethod
    def _observed(self) -> Floats32:
        """What the follower sees now."""
