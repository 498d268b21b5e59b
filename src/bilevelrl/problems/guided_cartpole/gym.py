"""Gymnasium view of the guided cart-pole: one transition, with both players' actions as input."""

from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np

from bilevelrl.core.arguments import numbers_of, reals
from bilevelrl.core.arrays import Floats
from bilevelrl.problems.guided_cartpole.problem import GuidedCartPole


class GuidedCartPoleEnv(gymnasium.Env[Floats, Floats]):
    """Guided cart-pole with both players acting from outside.

    ## Description
    The follower (action u) pushes a cart to keep its pole upright, the leader (action w) blows on
    the pole to guide the cart to a place of its own choice.

    **The follower observes the leader's action before it chooses its own.** One step takes both, so
    whoever drives the environment draws w from the leader first and then u given (state, w);
    `info["follower_observes"]` says so at run time.

    ## Action Space
    `Box(-1, 1, (2,), float64)`: the pair [w, u] of the leader's and the follower's action, whose
    spaces are `leader_action_space` and `follower_action_space`.

    ## Observation Space
    `Box(-inf, inf, (4,), float64)`: cart position and speed, pole angle and angular speed.

    ## Starting State
    Uniform in [-0.05, 0.05] in every coordinate.

    ## Rewards
    The reward is the leader's: 1 if the step *ends* with the cart within the goal, (0.25, 0.75) m;
    `info["follower_reward"]` is the follower's: 1 in every step, the last one included.

    ## Episode End
    Termination: the cart leaves ±2.4 m or the pole ±12°. Truncation: at step 200.

    ## Arguments
    All keywords are fields of `GuidedCartPole`. `gymnasium.make` keeps `max_episode_steps` for
    itself and can only shorten episodes with it; to lengthen them, construct the class.

    ## Version History
    v0: the physics of Gymnasium's CartPole-v1 and the wind of the authors' code.
    """

    # Not a ClassVar, because Gymnasium does not declare it as one.
    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012
    follower_sees_action = True

    def __init__(self, **options: Any) -> None:
        """See the class for the arguments; raises as `GuidedCartPole` does."""
        checked = numbers_of(GuidedCartPole, options)
        if "goal" in checked:
            goal = reals("goal", checked["goal"], "two numbers")
            if goal.shape != (2,):
                raise ValueError(f"goal must be two numbers, got {checked['goal']!r}")
            checked["goal"] = (float(goal[0]), float(goal[1]))
        self.problem = replace(GuidedCartPole(), **checked)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (4,), np.float64)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float64)
        self.leader_action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float64)
        self.follower_action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float64)
        self._state, self._time, self._running = np.zeros(4), 0, False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Floats, dict[str, Any]]:
        """Start near the middle; there are no options."""
        super().reset(seed=seed, options=options)
        self._state = self.problem.first_state(self.np_random.random(4))
        self._time, self._running = 0, True
        return self._state.copy(), {"follower_observes": "state and leader action"}

    def step(self, action: Floats) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        """Apply [w, u].

        Raises:
            ResetNeeded: if the episode has ended or never began.
            ValueError: if the action is not two numbers in [-1, 1].
        """
        if not self._running:
            raise gymnasium.error.ResetNeeded("call reset() before the first step of an episode")
        pair = np.asarray(action, np.float64)
        if not self.action_space.contains(pair):
            raise ValueError(f"action must be two numbers in [-1, 1], got {action!r}")
        self._state = self.problem.transition(self._state, pair[0], pair[1])
        self._time += 1
        terminated = bool(self.problem.fallen(self._state))
        truncated = self._time >= self.problem.max_episode_steps and not terminated
        self._running = not (terminated or truncated)
        info = {"follower_reward": 1.0, "follower_observes": "state and leader action"}
        reward = float(self.problem.leader_reward(self._state))
        return self._state.copy(), reward, terminated, truncated, info
