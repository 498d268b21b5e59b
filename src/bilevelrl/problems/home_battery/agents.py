"""The class behind `parallel.parallel_env`; importing it needs PettingZoo."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from pettingzoo import ParallelEnv

from bilevelrl.core.arguments import of_every_agent
from bilevelrl.core.arrays import Floats
from bilevelrl.problems.home_battery.gym import HomeBatteryEnv
from bilevelrl.problems.home_battery.profiles import HOURS

ByAgent = dict[str, Any]


class HomeBatteryParallelEnv(ParallelEnv[str, Floats, Floats]):  # type: ignore[misc]
    """HomeBattery with an agent per house, see `parallel.parallel_env`."""

    def __init__(self, houses: Sequence[HomeBatteryEnv]) -> None:
        """Houses of Gymnasium under the same tariff, with episodes of equal length."""
        self.houses = {f"house_{place}": house for place, house in enumerate(houses, start=1)}
        self.metadata = {"name": "home_battery_v0", "render_modes": []}
        self.render_mode = None
        self.possible_agents = [*self.houses]
        self.agents: list[str] = []
        self._time = 0

    def observation_space(self, agent: str) -> gymnasium.spaces.Space[Any]:
        """Hour and charge of the house."""
        return self.houses[agent].observation_space

    def action_space(self, agent: str) -> gymnasium.spaces.Space[Any]:
        """KWh to charge in the next hour."""
        return self.houses[agent].action_space

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ByAgent, ByAgent]:
        """Midnight, with empty batteries; each house has random numbers of its own."""
        number = len(self.houses)
        seeds: list[int | None] = [None] * number
        if seed is not None:
            seeds = [int(own) for own in np.random.SeedSequence(seed).generate_state(number)]
        self.agents, self._time = [*self.houses], 0
        found = {
            agent: house.reset(seed=own, options=options)
            for (agent, house), own in zip(self.houses.items(), seeds, strict=True)
        }
        seen = {agent: observation for agent, (observation, _) in found.items()}
        return seen, {agent: info for agent, (_, info) in found.items()}

    def step(self, actions: ByAgent) -> tuple[ByAgent, ByAgent, ByAgent, ByAgent, ByAgent]:
        """An hour of all houses; `actions` has one of every agent.

        Raises:
            ResetNeeded: if the episode has ended or never began.
            ValueError: if an agent has no action or an impossible one, or there is no such agent.
        """
        if not self.agents:
            raise gymnasium.error.ResetNeeded("call reset() before the first step of an episode")
        of_every_agent(actions, self.agents)
        found = {agent: self.houses[agent].step(actions[agent]) for agent in self.agents}
        shared = self._leader_reward(sum(result[4]["energy"] for result in found.values()))
        seen: ByAgent = {agent: result[0] for agent, result in found.items()}
        rewards: ByAgent = {agent: result[1] for agent, result in found.items()}
        over: ByAgent = {agent: result[2] for agent, result in found.items()}
        truncated: ByAgent = {agent: result[3] for agent, result in found.items()}
        infos: ByAgent = {
            agent: result[4] | {"leader_reward": shared} for agent, result in found.items()
        }
        self._time += 1
        if any(truncated.values()):
            self.agents = []
        return seen, rewards, over, truncated, infos

    def _leader_reward(self, energy: float) -> float:
        house = next(iter(self.houses.values()))
        problem, price = house.problem, float(house.theta[self._time % HOURS])
        pull = problem.tariff_weight * (price - problem.target) ** 2
        return -problem.peak_weight * energy**2 - pull

    def render(self) -> None:
        """Nothing is drawn of several houses."""
        gymnasium.logger.warn("render() draws nothing of several houses; one has HomeBatteryEnv")
