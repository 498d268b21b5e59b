"""Gymnasium view of BilevelLQR: one transition of the game, with both players' actions as input."""

from typing import Any

import gymnasium
import numpy as np

from bilevelrl.core.arguments import numbers_of
from bilevelrl.core.arrays import Floats
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR

_OBSERVES = {"follower_observes": "state and leader action"}


class BilevelLQREnv(gymnasium.Env[Floats, Floats]):
    """BilevelLQR with both players acting from outside, for a joint or an alternating controller.

    ## Description
    A linear system x' = A x + B u + C a. The leader (action a) wants the state on a target, the
    follower (action u) pays for states and actions like a linear-quadratic regulator. The dynamics
    are deterministic: all randomness of the game is in the players' policies.

    **The follower observes the leader's action before it chooses its own.** One step takes both, so
    whoever drives the environment draws a from the leader first and then u given (x, a);
    `info["follower_observes"]` says so at run time.

    ## Action Space
    `Box(-inf, inf, (l + m,), float64)`: the concatenation [a, u] of the leader's l and the
    follower's m actions; l = m = 1 in the published game. `leader_action_space` and
    `follower_action_space` are its parts.

    ## Observation Space
    `Box(-inf, inf, (n,), float64)`: the state x; n = 2 in the published game.

    ## Starting State
    Always the problem's initial state, (1, 0) in the published game.

    ## Rewards
    For the state in which the step *begins*. The reward is the leader's, a Gaussian bump around its
    target; `info["follower_reward"]` is the follower's, -(xᵀ Q x + uᵀ R u).

    ## Episode End
    Never by termination. Truncation: at step 100. The last step returns the state that was reached.

    ## Arguments
    All keywords are fields of `BilevelLQR`, as plain numbers; published ones if omitted.
    `gymnasium.make` keeps `max_episode_steps` for itself and can only shorten episodes with it; to
    lengthen them, construct the class.

    ## Version History
    v0: the matrices and costs of arXiv 2603.14867.
    """

    # Not a ClassVar, because Gymnasium does not declare it as one.
    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012
    follower_sees_action = True

    def __init__(self, **options: Any) -> None:
        """See the class for the arguments.

        Raises:
            ValueError: if no `BilevelLQR` has such numbers.
            TypeError: if there is no such field.
        """
        self.problem = BilevelLQR.published(**numbers_of(BilevelLQR, options))
        states, self._num_leader_actions = self.problem.leader_matrix.shape
        num_follower_actions = self.problem.follower_matrix.shape[1]
        self.observation_space = _unbounded(states)
        self.action_space = _unbounded(self._num_leader_actions + num_follower_actions)
        self.leader_action_space = _unbounded(self._num_leader_actions)
        self.follower_action_space = _unbounded(num_follower_actions)
        self._state, self._time, self._running = self.problem.initial_state, 0, False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Floats, dict[str, Any]]:
        """Put the state back; there are no options, and the seed has nothing to decide."""
        super().reset(seed=seed, options=options)
        self._state, self._time, self._running = self.problem.initial_state, 0, True
        return self._state.copy(), dict(_OBSERVES)

    def step(self, action: Floats) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        """Apply [a, u].

        Raises:
            ResetNeeded: if the episode has ended or never began.
            ValueError: if the action is not l + m finite numbers.
        """
        if not self._running:
            raise gymnasium.error.ResetNeeded("call reset() before the first step of an episode")
        if np.shape(action) != self.action_space.shape or not np.isfinite(action).all():
            raise ValueError(f"action must be {self.action_space.shape} finite, got {action!r}")
        leader, follower = np.split(np.asarray(action, np.float64), [self._num_leader_actions])
        reward = float(self.problem.leader_reward(self._state))
        own = float(self.problem.follower_reward(self._state, follower))
        self._state = self.problem.transition(self._state, leader, follower)
        self._time += 1
        truncated = self._time >= self.problem.max_episode_steps
        self._running = not truncated
        info = {"follower_reward": own, **_OBSERVES}
        return self._state.copy(), reward, False, truncated, info


def _unbounded(size: int) -> gymnasium.Space[Floats]:
    return gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float64)
