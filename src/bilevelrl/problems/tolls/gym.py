"""Gymnasium view of road pricing: one traveller makes one trip among all others."""

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bilevelrl.core.arguments import real, reals, whole
from bilevelrl.core.arrays import Floats, Index
from bilevelrl.models.network_flow.equilibrium import equilibrium
from bilevelrl.problems.tolls.picture import draw_network
from bilevelrl.problems.tolls.problem import Pricing


class TollsEnv(gymnasium.Env[Index, np.int64]):
    """One traveller of Sioux Falls, with the planner's tolls frozen.

    ## Description
    360,600 vehicles travel between 24 nodes on 76 links, in equilibrium: each takes the links that
    are soft-optimal at the times that all of them make. One traveller more changes none of these
    times, and goes from one node to another, both drawn in proportion to the demand.

    ## Action Space
    `Discrete(5)`: the links that leave the node, in the order of their numbers. Nodes have 2 to 5;
    `info["action_mask"]` says which actions lead somewhere. The others wait for a minute.

    ## Observation Space
    `MultiDiscrete([24, 24])`: the node, and the destination. `info["links"]` are the links that the
    actions stand for, -1 where there is none.

    ## Starting State
    The node where the trip begins, never its destination.

    ## Transitions
    A link leads where it leads, for certain.

    ## Rewards
    Minus minutes: the time of the link plus its toll, or -1 for waiting.
    `info["leader_reward"]` is minus the time alone: its mean over trips of the others, times their
    number, is J where that is minus the total travel time. `info["travel_time"]` and
    `info["toll"]` are what was spent in the step.

    ## Episode End
    Termination: on arrival. Truncation: at step `max_episode_steps`, 200 if omitted.

    ## Arguments
    `theta`: tolls in minutes, shape (18,) for the links of `Pricing.published`, or (76,) for all;
    zeros if omitted. They are clipped to what is allowed, 0 to 30.
    `rationality`: of all others, per minute, 1 if omitted.
    `render_mode`: "rgb_array" (image) or None. Roads are as wide as their toll is high and as dark
    as they are congested; the traveller is blue, the destination black.
    `gymnasium.make` keeps `max_episode_steps` for itself and can only shorten episodes with it; to
    lengthen them, construct the class.

    ## Version History
    v0: Sioux Falls (LeBlanc, Morlok and Pierskalla 1975).
    """

    # Not a ClassVar, because Gymnasium does not declare it as one.
    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012

    def __init__(
        self,
        theta: ArrayLike | None = None,
        *,
        rationality: float = 1.0,
        max_episode_steps: int = 200,
        render_mode: str | None = None,
    ) -> None:
        """See the class for the arguments.

        Raises:
            ValueError: if `theta` is not 18 or 76 finite numbers, `max_episode_steps` is below 1,
                the mode is unknown, or `rationality` is impossible.
        """
        modes = (None, *self.metadata["render_modes"])
        if render_mode not in modes:
            raise ValueError(f"render_mode must be one of {modes}, got {render_mode!r}")
        self.problem, self.render_mode = Pricing.published(), render_mode
        self.max_episode_steps = whole("max_episode_steps", max_episode_steps)
        rationality = real("rationality", rationality)
        self.theta = self._checked(theta)
        net = self.problem.network
        roads = self.problem.roads("tstt", len(self.theta))
        charges = roads.charges(self.theta[None])
        reached = equilibrium(net, charges, np.array([rationality], dtype=np.float64))
        self._time, self._toll, self._highest = reached.time[0], charges[0], roads.highest
        self._links = _links_by_node(*net.leaving)
        self.action_space = gymnasium.spaces.Discrete(self._links.shape[1])
        self.observation_space = gymnasium.spaces.MultiDiscrete([net.num_nodes] * 2)
        self._pairs = np.argwhere(net.demand > 0.0)
        self._share = np.cumsum(net.demand[tuple(self._pairs.T)]) / net.total_demand
        self._node, self._goal, self._steps, self._running = 0, 1, 0, False

    def _checked(self, theta: ArrayLike | None) -> Floats:
        few, every = len(self.problem.toll_links), self.problem.network.num_links
        needed = f"{few} or {every} numbers"
        given = np.zeros(few) if theta is None else reals("theta", theta, needed)
        if given.shape not in [(few,), (every,)] or not np.isfinite(given).all():
            raise ValueError(f"theta must be {few} or {every} finite numbers, got {theta!r}")
        return given

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Index, dict[str, Any]]:
        """Draw a trip; there are no options."""
        super().reset(seed=seed, options=options)
        drawn = int(np.searchsorted(self._share, self.np_random.random(), side="right"))
        node, place = self._pairs[min(drawn, len(self._pairs) - 1)]
        self._node, self._goal = int(node), int(self.problem.network.destinations[place])
        self._steps, self._running = 0, True
        return self._observation(), self._told(0.0, 0.0)

    def step(self, action: np.int64) -> tuple[Index, float, bool, bool, dict[str, Any]]:
        """Take a link.

        Raises:
            ResetNeeded: if the episode has ended or never began.
            ValueError: if there is no such action.
        """
        if not self._running:
            raise gymnasium.error.ResetNeeded("call reset() before the first step of an episode")
        if not self.action_space.contains(action):
            allowed = ", ".join(map(str, range(self._links.shape[1])))
            raise ValueError(f"action must be one of {allowed}, got {action!r}")
        link = int(self._links[self._node, action])
        time, toll = 1.0, 0.0
        if link >= 0:
            time, toll = float(self._time[link]), float(self._toll[link])
            self._node = int(self.problem.network.head[link])
        self._steps += 1
        terminated = self._node == self._goal
        truncated = not terminated and self._steps >= self.max_episode_steps
        self._running = not (terminated or truncated)
        return self._observation(), -(time + toll), terminated, truncated, self._told(time, toll)

    def render(self) -> NDArray[np.uint8] | None:
        """The network as an image."""
        if self.render_mode is None:
            gymnasium.logger.warn('render() needs render_mode="rgb_array" at construction')
            return None
        return draw_network(
            self.problem.network, self._toll, self._time, self._highest, self._node, self._goal
        )

    def _observation(self) -> Index:
        return np.array([self._node, self._goal], dtype=np.int64)

    def _told(self, time: float, toll: float) -> dict[str, Any]:
        links = self._links[self._node]
        return {
            "leader_reward": -time,
            "travel_time": time,
            "toll": toll,
            "links": links.copy(),
            "action_mask": (links >= 0).astype(np.int8),
        }


def _links_by_node(order: Index, start: Index) -> Index:
    # Links that leave each node, -1 where there are fewer, shape (N, most).
    number = np.diff(start)
    links = np.full((len(number), number.max()), -1, dtype=np.int64)
    for node, first in enumerate(start[:-1]):
        links[node, : number[node]] = order[first : first + number[node]]
    return links
