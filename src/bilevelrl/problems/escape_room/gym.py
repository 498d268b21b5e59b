"""Gymnasium view of EscapeRoom: one step of all players, whom a leader pays."""

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.arguments import numbers_of, reals, whole
from bilevelrl.core.arrays import Floats
from bilevelrl.problems.escape_room.problem import DOOR, LEVER, POSITION_NAMES, EscapeRoom

Places = NDArray[np.int64]
Info = dict[str, object]


class EscapeRoomEnv(gymnasium.Env[Places, Places]):
    """EscapeRoom with all players acting from outside, at the same time.

    ## Description
    N players stand at a lever, at the start or at a door. If at least M of them choose the lever in
    a step, those who choose the door in that step leave with 10 each, and the episode ends.
    Otherwise whoever changes the position pays 1. A leader may promise payments for pulling.
    `bilevelrl.problems.escape_room.parallel.parallel_env` is the same with agents of PettingZoo.

    ## Action Space
    `MultiDiscrete([3] * N)`: where each player goes or stays, 0 lever, 1 start, 2 door.

    ## Observation Space
    `MultiDiscrete([3] * N)`: where all players are, which all of them see.

    ## Starting State
    All at the start.

    ## Rewards
    The reward is what all players get together, payments left out: what one pays another gets.
    `info["player_rewards"]`, shape (N,), has them by player, payments included, and
    `info["payments"]`, shape (N,), what the leader paid.

    ## Episode End
    Termination: somebody leaves. Truncation: at step 5.

    ## Arguments
    `players`: N, at most 12, 2 if omitted; `levers_needed`: M, 1 if omitted.
    `payments`: what pulling pays, shape (N, 3^N) by player and state; the state is the number whose
    digits to the base 3 are the positions, the first player's first. Nothing if omitted.
    `render_mode`: "ansi" (text) or None.
    All other keywords are those of `problem.EscapeRoom`. `gymnasium.make` keeps `max_episode_steps`
    for itself and can only shorten episodes with it; to lengthen them, construct the class.

    ## Version History
    v0: after ER(N, M) of arXiv 2006.06051, with a leader in place of players who pay one another;
    not compared with the paper's released code.
    """

    # Not a ClassVar, because Gymnasium does not declare it as one.
    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 4}  # noqa: RUF012

    def __init__(
        self,
        players: int = 2,
        levers_needed: int = 1,
        *,
        payments: Floats | None = None,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        """See the class for the arguments.

        Raises:
            ValueError: if the mode is unknown, payments have another shape, or there is no such
                room.
        """
        modes = (None, *self.metadata["render_modes"])
        if render_mode not in modes:
            raise ValueError(f"render_mode must be one of {modes}, got {render_mode!r}")
        players, levers_needed = whole("players", players), whole("levers_needed", levers_needed)
        self.room = EscapeRoom(players, levers_needed, **numbers_of(EscapeRoom, options))
        shape = (players, len(POSITION_NAMES) ** players)
        needed = f"numbers of shape {shape}"
        self.payments = np.zeros(shape) if payments is None else reals("payments", payments, needed)
        if self.payments.shape != shape:
            raise ValueError(f"payments has shape {self.payments.shape}: {shape} is needed")
        if not ((self.payments >= 0.0) & (self.payments < np.inf)).all():
            raise ValueError("payments: all must be at least 0 and finite")
        self.render_mode = render_mode
        sizes = [len(POSITION_NAMES)] * players
        self.observation_space = gymnasium.spaces.MultiDiscrete(sizes)
        self.action_space = gymnasium.spaces.MultiDiscrete(sizes)
        self._state, self._time, self._running = self.room.initial_state, 0, False

    def reset(
        self, *, seed: int | None = None, options: dict[str, object] | None = None
    ) -> tuple[Places, Info]:
        """All go back to the start; there are no options, and the seed has nothing to decide."""
        super().reset(seed=seed, options=options)
        self._state, self._time, self._running = self.room.initial_state, 0, True
        return self._positions(), {}

    def _positions(self) -> Places:
        sizes = [len(POSITION_NAMES)] * self.room.players
        return np.array(np.unravel_index(self._state, sizes), dtype=np.int64)

    def step(self, action: Places) -> tuple[Places, float, bool, bool, Info]:
        """All move.

        Raises:
            ResetNeeded: if the episode has ended or never began.
            ValueError: if there is no such action.
        """
        if not self._running:
            raise gymnasium.error.ResetNeeded("call reset() before the first step of an episode")
        if not self.action_space.contains(action):
            raise ValueError(f"action must be in {self.action_space}, got {action!r}")
        moves = np.asarray(action, dtype=np.int64)
        own, over = self.room.step(self._positions(), moves)
        paid = np.where(moves == LEVER, self.payments[:, self._state], 0.0)
        self._state = int(np.ravel_multi_index(moves, [len(POSITION_NAMES)] * len(moves)))
        self._time += 1
        truncated = not over and self._time >= self.room.max_episode_steps
        self._running = not (over or truncated)
        info: Info = {"player_rewards": own + paid, "payments": paid}
        return self._positions(), float(own.sum()), over, truncated, info

    def render(self) -> str | None:
        """Where the players are, by number, and whether enough of them pull."""
        if self.render_mode is None:
            gymnasium.logger.warn('render() needs render_mode="ansi" at construction')
            return None
        positions = self._positions()
        places = [
            f"{name} {''.join(str(i) for i in np.flatnonzero(positions == place))}".strip()
            for place, name in enumerate(POSITION_NAMES)
        ]
        pulled = int((positions == LEVER).sum()) >= self.room.levers_needed
        gone = " opened" if pulled and (positions == DOOR).any() else ""
        return " | ".join(places) + gone + "\n"
