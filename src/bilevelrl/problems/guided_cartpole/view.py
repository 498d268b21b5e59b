"""The follower's view of the guided cart-pole: a leader that is frozen, until it is replaced."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from bilevelrl.problems.guided_cartpole.problem import GuidedCartPole

Floats = NDArray[np.float64]
#: Wind in [-1, 1], shape (N,), in scaled states (N, 4), from uniform numbers (N,).
Leader = Callable[[Floats, Floats], Floats]
#: What a state is divided by before any network sees it.
SCALE = np.array([1.0, 1.0, 0.2, 1.0])


def scaled(state: Floats) -> Floats:
    """The state in units of order one, shape (..., 4)."""
    small: Floats = state / SCALE
    return small


def follower_observation(state: Floats, wind: Floats) -> Floats:
    """What the follower sees, shape (..., 5), of states (..., 4) and the leader's actions (...)."""
    return np.concatenate([scaled(state), wind[..., None]], axis=-1)


def calm(state: Floats, uniforms: Floats) -> Floats:
    """A leader that never blows."""
    del state
    return np.zeros_like(uniforms)


class CartPoleView(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """Guided cart-pole as the follower's single-agent problem.

    ## Description
    The leader draws its wind w when a state is reached; the follower sees it and pushes.

    ## Action Space
    `Box(-1, 1, (1,), float32)`: u. Actions are clipped.

    ## Observation Space
    `Box(-inf, inf, (5,), float32)`: cart position and speed, pole angle (in units of 0.2) and
    angular speed, and w.

    ## Starting State
    Uniform within the problem's `initial_spread` in every coordinate.

    ## Rewards
    1 in every step, the last one included; `info["leader_reward"]` is the leader's.

    ## Episode End
    Termination: the cart or the pole leaves its limits. Truncation: at the problem's last step.

    ## Arguments
    `problem`: physics; the default game if omitted.
    `leader`: see `Leader`; calm if omitted. The attribute `leader` may be replaced at any time; the
    wind that has been shown still blows in the next step.

    Attributes:
        problem: the bi-level problem.
        leader: where wind comes from.
    """

    # Not a ClassVar, because Gymnasium does not declare it as one.
    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012

    def __init__(self, problem: GuidedCartPole | None = None, leader: Leader = calm) -> None:
        """See the class for the arguments."""
        self.problem = GuidedCartPole() if problem is None else problem
        self.leader = leader
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (5,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
        self._state, self._wind, self._time, self._running = np.zeros(4), np.zeros(1), 0, False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start near the middle; there are no options."""
        super().reset(seed=seed, options=options)
        self._state = self.problem.first_state(self.np_random.random(4))
        self._time, self._running = 0, True
        return self._observe(), {}

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Push, while the wind blows that was shown.

        Raises:
            ResetNeeded: if the episode has ended or never began.
            ValueError: if the action is not one finite number.
        """
        if not self._running:
            raise gymnasium.error.ResetNeeded("call reset() before the first step of an episode")
        if np.shape(action) != (1,) or not np.isfinite(action).all():
            raise ValueError(f"action must be one finite number, got {action!r}")
        force = np.asarray(action[0], np.float64)
        self._state = self.problem.transition(self._state, self._wind[0], force)
        self._time += 1
        terminated = bool(self.problem.fallen(self._state))
        truncated = self._time >= self.problem.max_episode_steps and not terminated
        self._running = not (terminated or truncated)
        info = {"leader_reward": float(self.problem.leader_reward(self._state))}
        return self._observe(), 1.0, terminated, truncated, info

    def _observe(self) -> NDArray[np.float32]:
        self._wind = self.leader(scaled(self._state)[None], self.np_random.random(1))
        return follower_observation(self._state, self._wind[0]).astype(np.float32)
