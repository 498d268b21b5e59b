"""Gymnasium view of the discrete toy: one transition, with both players' actions as input."""

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.arguments import numbers_of, real
from bilevelrl.problems.discrete_toy.problem import (
    FOLLOWER_ACTION_NAMES,
    LEADER_ACTION_NAMES,
    STATE_NAMES,
    S,
    discrete_toy,
)

Action = NDArray[np.int64]
Info = dict[str, object]


class DiscreteToyEnv(gymnasium.Env[np.int64, Action]):
    """The discrete toy with both players acting from outside.

    ## Description
    Three states S, A, B. The leader earns whenever the follower goes from S to A, and may send it
    back from A to S at a fine; fined too often, the follower tours over B instead. The moves are
    deterministic: all randomness of the game is in the players' policies.

    **The follower observes the leader's action before it chooses its own.** One step takes both, so
    whoever drives the environment draws a from the leader first and then b given (s, a);
    `info["follower_observes"]` says so at run time.

    ## Action Space
    `MultiDiscrete([2, 3])`: [leader's action a, follower's action b]. b is the state that the
    follower asks for, 0 S, 1 A, 2 B. a matters in A only: 0 grants the wish, 1 sends to S. From B,
    asking for A or B stays in B. `leader_action_space` and `follower_action_space` are `Discrete`.

    ## Observation Space
    `Discrete(3)`: the state s, 0 S, 1 A, 2 B.

    ## Starting State
    Always S.

    ## Rewards
    The reward is the leader's: 1 for S to A, otherwise 0. `info["follower_reward"]` is the
    follower's: 1 for S to A or B, `revisit_reward` for A to B, -1 for being sent from A to S by
    a = 1, otherwise 0.

    ## Episode End
    Never by termination. Truncation: at step 150. The last step returns the state that was reached.

    ## Arguments
    `revisit_reward`: the follower's reward for A to B, 1 (game R1) if omitted; 2 makes R2.
    `render_mode`: "ansi" (text) or None.
    All other keywords are those of `discrete_toy`; the discounts do not concern single steps.
    `gymnasium.make` keeps `max_episode_steps` for itself and can only shorten episodes with it; to
    lengthen them, construct the class.

    ## Version History
    v0: the tables of arXiv 2603.14867.
    """

    # Not a ClassVar, because Gymnasium does not declare it as one.
    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 4}  # noqa: RUF012
    follower_sees_action = True

    def __init__(
        self, revisit_reward: float = 1.0, *, render_mode: str | None = None, **options: Any
    ) -> None:
        """See the class for the arguments.

        Raises:
            ValueError: if the mode is unknown, or there is no such game.
        """
        modes = (None, *self.metadata["render_modes"])
        if render_mode not in modes:
            raise ValueError(f"render_mode must be one of {modes}, got {render_mode!r}")
        revisit_reward = real("revisit_reward", revisit_reward)
        self.game = discrete_toy(revisit_reward, **numbers_of(discrete_toy, options))
        self.render_mode = render_mode
        self.observation_space = gymnasium.spaces.Discrete(self.game.num_states)
        self.action_space = gymnasium.spaces.MultiDiscrete([2, 3])
        self.leader_action_space = gymnasium.spaces.Discrete(2)
        self.follower_action_space = gymnasium.spaces.Discrete(3)
        self._state, self._time, self._running, self._moved = S, 0, False, ""

    def reset(
        self, *, seed: int | None = None, options: dict[str, object] | None = None
    ) -> tuple[np.int64, Info]:
        """Go back to S; there are no options, and the seed has nothing to decide."""
        super().reset(seed=seed, options=options)
        self._state, self._time, self._running, self._moved = S, 0, True, ""
        return np.int64(self._state), {"follower_observes": "state and leader action"}

    def step(self, action: Action) -> tuple[np.int64, float, bool, bool, Info]:
        """Apply [a, b].

        Raises:
            ResetNeeded: if the episode has ended or never began.
            ValueError: if there is no such pair of actions.
        """
        if not self._running:
            raise gymnasium.error.ResetNeeded("call reset() before the first step of an episode")
        if not self.action_space.contains(action):
            raise ValueError(f"action must be in {self.action_space}, got {action!r}")
        here, leader, follower = place = self._state, int(action[0]), int(action[1])
        self._state = int(self.game.transition[place].argmax())
        self._time += 1
        self._moved = (
            f" after {STATE_NAMES[here]}, leader {LEADER_ACTION_NAMES[leader]}, "
            f"follower {FOLLOWER_ACTION_NAMES[follower]}"
        )
        truncated = self._time >= self.game.max_episode_steps
        self._running = not truncated
        info: Info = {
            "follower_reward": float(self.game.follower_reward[place]),
            "follower_observes": "state and leader action",
        }
        reward = float(self.game.leader_reward[place])
        return np.int64(self._state), reward, False, truncated, info

    def render(self) -> str | None:
        """The states, the current one in brackets, and the last move."""
        if self.render_mode is None:
            gymnasium.logger.warn('render() needs render_mode="ansi" at construction')
            return None
        marks = [f"[{name}]" if s == self._state else name for s, name in enumerate(STATE_NAMES)]
        return " ".join(marks) + self._moved + "\n"
