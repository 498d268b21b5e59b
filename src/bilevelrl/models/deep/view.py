"""Problems with a continuous state as their follower faces them, for agents that only interact."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Self

import gymnasium
import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.arrays import Floats

Floats32 = NDArray[np.float32]


class FollowerView(gymnasium.Env[Floats32, Floats32]):
    """A problem into which the leader is frozen, until the follower faces another one.

    Observations are of order 1 and actions lie in [-1, 1]; rewards are those of the problem,
    without a bonus for entropy.

    Attributes:
        theta: the leader, shape (D,); see `face`.
        bound: an action u stands for `bound` · u in the problem.
        scale: what the problem's states are divided by.
        observations: how many numbers are observed.
        actions: m.
    """

    def __init__(
        self,
        theta: Floats,
        observations: int,
        actions: int,
        horizon: int,
        *,
        bound: float = 1.0,
        scale: float = 1.0,
    ) -> None:
        """Spaces of its own, because spaces draw random numbers.

        Args:
            theta: see the class.
            observations: see the class.
            actions: see the class.
            horizon: transitions after which an episode is cut.
            bound: see the class.
            scale: see the class.
        """
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (observations,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (actions,), np.float32)
        self.observations, self.actions = observations, actions
        self.bound, self.scale, self._horizon = bound, scale, horizon
        self._time, self._running = 0, False
        self.face(theta)

    def face(self, theta: Floats) -> None:
        """Let the follower face another leader, shape (D,), from the next transition on."""
        self.theta = theta.copy()

    def reset(
        self, *, seed: int | None = None, options: dict[str, object] | None = None
    ) -> tuple[Floats32, dict[str, object]]:
        """Begin an episode; there are no options."""
        super().reset(seed=seed, options=options)
        self._time, self._running = 0, True
        self._begin()
        return self._observed(), {}

    def step(self, action: Floats32) -> tuple[Floats32, float, bool, bool, dict[str, object]]:
        """One transition; raises as `advance`."""
        reward, terminated, truncated = self.advance(action)
        return self._observed(), reward, terminated, truncated, {}

    def advance(self, action: Floats32) -> tuple[float, bool, bool]:
        """One transition without a look at where it led: r_F, terminated, truncated.

        Raises:
            ResetNeeded: if the episode has ended or never began.
            ValueError: if the action is not m numbers in [-1, 1].
        """
        if not self._running:
            raise gymnasium.error.ResetNeeded("call reset() before the first step of an episode")
        if np.shape(action) != self.action_space.shape or not (np.abs(action) <= 1.0).all():
            shape = self.action_space.shape
            raise ValueError(f"action must be {shape} numbers in [-1, 1], got {action!r}")
        reward, terminated = self._play(self.bound * np.asarray(action, np.float64))
        self._time += 1
        truncated = self._time >= self._horizon and not terminated
        self._running = not (terminated or truncated)
        return reward, terminated, truncated

    def look(self, views: Sequence[Self]) -> Floats32:
        """What is seen now in views like this one that face the same leader, (E, observations).

        A problem overrides it where many are cheaper together.
        """
        return np.stack([view._observed() for view in views])

    @abstractmethod
    def _begin(self) -> None:
        """Draw a first state."""

    @abstractmethod
    def _play(self, action: Floats) -> tuple[float, bool]:
        """Go on by one transition: r_F, and whether nothing comes after it."""

    @abstractmethod
    def _observed(self) -> Floats32:
        """What the follower sees now."""
