"""The class behind `parallel.parallel_env`; importing it needs PettingZoo."""

from typing import Any

import gymnasium
import numpy as np
from pettingzoo import ParallelEnv

from bilevelrl.core.arguments import of_every_agent
from bilevelrl.problems.escape_room.gym import EscapeRoomEnv, Places
from bilevelrl.problems.escape_room.problem import POSITION_NAMES

ByAgent = dict[str, Any]


class EscapeRoomParallelEnv(ParallelEnv[str, Places, int]):  # type: ignore[misc]
    """EscapeRoom with an agent per player, see `parallel.parallel_env`."""

    def __init__(self, room: EscapeRoomEnv) -> None:
        """Wrap a room of Gymnasium."""
        self.room = room
        self.metadata = {"name": "escape_room_v0", **room.metadata}
        self.render_mode = room.render_mode
        self.possible_agents = [f"player_{i}" for i in range(room.room.players)]
        self.agents: list[str] = []
        self._seen = room.observation_space
        self._moves = {
            agent: gymnasium.spaces.Discrete(len(POSITION_NAMES)) for agent in self.possible_agents
        }

    def observation_space(self, agent: str) -> gymnasium.spaces.Space[Any]:
        """Where all players are; the same for every agent."""
        del agent
        return self._seen

    def action_space(self, agent: str) -> gymnasium.spaces.Space[Any]:
        """Where to go."""
        return self._moves[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ByAgent, ByAgent]:
        """All go back to the start."""
        positions, _ = self.room.reset(seed=seed, options=options)
        self.agents = self.possible_agents[:]
        return self._each(positions), {agent: {} for agent in self.agents}

    def _each(self, positions: Places) -> ByAgent:
        return {agent: positions.copy() for agent in self.agents}

    def step(self, actions: ByAgent) -> tuple[ByAgent, ByAgent, ByAgent, ByAgent, ByAgent]:
        """All move; `actions` has one of every agent.

        Raises:
            ResetNeeded: if the episode has ended or never began.
            ValueError: if an agent has no action or an impossible one, or there is no such agent.
        """
        if not self.agents:
            raise gymnasium.error.ResetNeeded("call reset() before the first step of an episode")
        of_every_agent(actions, self.agents)
        moves = np.array([actions[agent] for agent in self.agents], dtype=np.int64)
        positions, _, over, truncated, info = self.room.step(moves)
        rewards, paid = np.asarray(info["player_rewards"]), np.asarray(info["payments"])
        names = self.agents
        result = (
            self._each(positions),
            {agent: float(reward) for agent, reward in zip(names, rewards, strict=True)},
            dict.fromkeys(names, over),
            dict.fromkeys(names, truncated),
            {
                agent: {"without_payment": float(own)}
                for agent, own in zip(names, rewards - paid, strict=True)
            },
        )
        if over or truncated:
            self.agents = []
        return result

    def render(self) -> str | None:
        """As the room."""
        return self.room.render()
