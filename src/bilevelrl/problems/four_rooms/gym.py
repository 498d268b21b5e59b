"""Gymnasium view of FourRooms: what the follower faces once the leader has fixed its penalties."""

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bilevelrl.core.arguments import numbers_of, reals
from bilevelrl.core.arrays import Floats
from bilevelrl.problems.four_rooms.problem import MAP, FourRooms

_CELL_PIXELS = 24
_LINEAR_BELOW = 1e-3  # penalties under this are shaded linearly, larger ones by their logarithm
_WALL, _GRID = (34, 34, 34), (170, 170, 170)
_AGENT, _INK, _INK_ON_AGENT = (0, 90, 181), (0, 0, 0), (255, 255, 255)
#: Light to dark with the penalty: told apart by lightness alone, and from the blue agent by hue.
_HEAT = np.array([(255, 255, 235), (254, 217, 142), (254, 153, 41), (204, 76, 2)], dtype=np.float64)
_TEXT_HEAT = " ·░▒▓"
_GLYPHS = {
    "S": (".###.", "#...#", "#....", ".###.", "....#", "#...#", ".###."),
    "G": (".###.", "#...#", "#....", "#.###", "#...#", "#...#", ".###."),
    "+": (".....", "..#..", "..#..", "#####", "..#..", "..#..", "....."),
}


class FourRoomsEnv(gymnasium.Env[np.int64, np.int64]):
    """FourRooms as a single-agent problem with the leader's θ frozen.

    ## Description
    A 13 x 13 map of four rooms joined by four corridors. The follower walks from S to G; moves may
    slip. The leader fines cells, c_s(θ) = -scale · softmax(θ)_s, so that the follower may detour
    over the cell marked +. Steps are draws from `FourRooms.simulator`.

    ## Action Space
    `Discrete(4)`: 0 up, 1 right, 2 down, 3 left. The chosen move happens with probability 0.67,
    each other one with 0.11. Moving into a wall stays in place.

    ## Observation Space
    `Discrete(104)`: the index of the free cell, counted row by row. `info["cell"]` is its (row,
    column).

    ## Starting State
    Always S, observation 31.

    ## Rewards
    For the cell on which the step *begins*, whatever the action: 1 on G, otherwise the penalty
    c_s(θ). `info["leader_reward"]` is the leader's reward of the same step: 1 on +, and on G minus
    the price of all penalties.

    ## Episode End
    Termination: by the step taken *from* G, which carries the reward of 1; arriving at G ends
    nothing. Truncation: at step 200. Both return the cell that was reached.

    ## Arguments
    `theta`: leader parameters, shape (105,), zeros if omitted.
    `render_mode`: "ansi" (text), "rgb_array" (image) or None. Both show walls, S, G, +, the agent
    and the penalties as a heat map, on a scale that is linear below 0.001 and logarithmic above.
    All other keywords are fields of `FourRooms`; `slip_kernels` concerns planning only.
    `gymnasium.make` keeps `max_episode_steps` for itself and can only shorten episodes with it; to
    lengthen them, construct the class.

    ## Version History
    v0: the map and dynamics of arXiv 2603.14867.
    """

    # Not a ClassVar, because Gymnasium does not declare it as one.
    metadata: dict[str, Any] = {"render_modes": ["ansi", "rgb_array"], "render_fps": 8}  # noqa: RUF012

    def __init__(
        self, theta: ArrayLike | None = None, *, render_mode: str | None = None, **options: Any
    ) -> None:
        """See the class for the arguments.

        Raises:
            ValueError: if `theta` has the wrong shape or is not finite, the mode is unknown, or a
                field is out of its bounds.
        """
        modes = (None, *self.metadata["render_modes"])
        if render_mode not in modes:
            raise ValueError(f"render_mode must be one of {modes}, got {render_mode!r}")
        self.problem = FourRooms(**numbers_of(FourRooms, options))
        _check_bounds(self.problem)
        size = self.problem.num_parameters
        needed = f"{size} finite numbers"
        self.theta = np.zeros(size) if theta is None else reals("theta", theta, needed)
        if self.theta.shape != (size,) or not np.isfinite(self.theta).all():
            raise ValueError(f"theta must be {size} finite numbers, got {theta!r}")
        self.render_mode = render_mode
        self.observation_space = gymnasium.spaces.Discrete(self.problem.num_states)
        self.action_space = gymnasium.spaces.Discrete(len(self.problem.moves[0]))
        self._follower_reward = self.problem.follower_reward(self.theta[None])[0]
        self._leader_reward = self.problem.leader_reward(self.theta[None])[0]
        self._slip = self.problem.simulator.probability.cumsum(axis=-1)
        self._state, self._time, self._running = self.problem.start, 0, False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.int64, dict[str, Any]]:
        """Put the follower back on S; there are no options."""
        super().reset(seed=seed, options=options)
        self._state, self._time, self._running = self.problem.start, 0, True
        return np.int64(self._state), {"cell": self.problem.cells[self._state]}

    def step(self, action: np.int64) -> tuple[np.int64, float, bool, bool, dict[str, Any]]:
        """Try to move.

        Raises:
            ResetNeeded: if the episode has ended or never began.
            ValueError: if there is no such action.
        """
        if not self._running:
            raise gymnasium.error.ResetNeeded("call reset() before the first step of an episode")
        if not self.action_space.contains(action):
            raise ValueError(f"action must be one of 0, 1, 2, 3, got {action!r}")
        here, model = self._state, self.problem.simulator
        move = int((self.np_random.random() >= self._slip[here, action, :-1]).sum())
        self._state = int(model.successor[here, move])
        self._time += 1
        terminated = bool(model.discount[here] == 0.0)
        truncated = not terminated and self._time >= self.problem.max_episode_steps
        self._running = not (terminated or truncated)
        info = {
            "leader_reward": float(self._leader_reward[here, action]),
            "cell": self.problem.cells[self._state],
        }
        reward = float(self._follower_reward[here, action])
        return np.int64(self._state), reward, terminated, truncated, info

    def render(self) -> str | NDArray[np.uint8] | None:
        """The map as text (two characters per cell: mark, penalty) or as an image."""
        if self.render_mode == "ansi":
            return self._text()
        if self.render_mode == "rgb_array":
            return self._image()
        gymnasium.logger.warn('render() needs render_mode="ansi" or "rgb_array" at construction')
        return None

    def _heat(self) -> Floats:
        """Penalty of every cell on a symmetric-log scale, 0 for none, 1 for the largest, (S,)."""
        penalty = -self._follower_reward[:, 0].clip(max=0.0)  # the goal charges nothing

        def stretch(penalty: Floats) -> Floats:
            ratio = penalty / _LINEAR_BELOW
            return np.where(ratio < 1.0, ratio, 1.0 + np.log10(ratio.clip(min=1.0)))

        largest = np.array(max(self.problem.incentive_scale, _LINEAR_BELOW))
        return stretch(penalty) / stretch(largest)

    def _text(self) -> str:
        marks = [["#" * 2 if mark == "x" else mark for mark in line] for line in MAP]
        levels = (self._heat() * (len(_TEXT_HEAT) - 1)).round().astype(int)
        for state, (row, column) in enumerate(self.problem.cells):
            mark = "@" if state == self._state else MAP[row][column]
            marks[row][column] = mark + _TEXT_HEAT[levels[state]]
        return "".join("".join(line) + "\n" for line in marks)

    def _image(self) -> NDArray[np.uint8]:
        size = _CELL_PIXELS
        image = np.full((len(MAP) * size, len(MAP[0]) * size, 3), _WALL, dtype=np.uint8)
        at = self._heat() * (len(_HEAT) - 1)
        colours = np.stack([np.interp(at, range(len(_HEAT)), c) for c in _HEAT.T], axis=1)
        for state, (row, column) in enumerate(self.problem.cells):
            tile = image[row * size : (row + 1) * size, column * size : (column + 1) * size]
            tile[:] = _GRID
            tile[:-1, :-1] = colours[state].round()
            if state == self._state:
                x, y = np.ogrid[:size, :size]
                tile[np.hypot(x - size / 2 + 1, y - size / 2 + 1) < 0.42 * size] = _AGENT
            if MAP[row][column] in _GLYPHS:
                ink = _INK_ON_AGENT if state == self._state else _INK
                _stamp(tile, _GLYPHS[MAP[row][column]], ink)
        return image


def _check_bounds(problem: FourRooms) -> None:
    bounds = {"discount": 1.0, "fail_probability": 0.75}
    for name, bound in bounds.items():
        if not 0.0 <= getattr(problem, name) < bound:
            raise ValueError(f"{name} must lie in [0, {bound:g}), got {getattr(problem, name)}")
    if not problem.incentive_scale > 0.0:
        raise ValueError(f"incentive_scale must be positive, got {problem.incentive_scale}")
    if not problem.incentive_cost >= 0.0:
        raise ValueError(f"incentive_cost must not be negative, got {problem.incentive_cost}")


def _stamp(tile: NDArray[np.uint8], glyph: tuple[str, ...], ink: tuple[int, int, int]) -> None:
    """Draw a 5 x 7 bitmap in the middle of `tile`, two pixels per dot."""
    dots = np.array([list(line) for line in glyph]) == "#"
    mask = np.kron(dots, np.ones((2, 2), dtype=bool))
    top, left = ((outer - inner) // 2 for outer, inner in zip(tile.shape, mask.shape, strict=False))
    tile[top : top + mask.shape[0], left : left + mask.shape[1]][mask] = ink
