"""Houses that learn by soft actor-critic, from one answer to the next."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.seeding import Streams, stream
from bilevelrl.problems.home_battery.continuous import ContinuousActions, Limits
from bilevelrl.problems.home_battery.planner import HouseholdResponse, check_temperature
from bilevelrl.problems.home_battery.problem import HomeBattery
from bilevelrl.problems.home_battery.sac_agent import SacHouse
from bilevelrl.problems.home_battery.sac_settings import HouseholdSacParams


@dataclass(frozen=True, eq=False)
class SacHousehold:
    """Implements `planner.Household`; what they remember are the agents themselves.

    Attributes:
        problem: the houses.
        temperature: β of each run, in $, shape (R,).
        first_steps: hours that every house lives before its first answer.
        steps: hours before each later one.
        options: of the rule.
        limits: what an action means where the battery's bounds are near, see `continuous`.

    Raises:
        ValueError: if a temperature or a number of hours is not positive.
    """

    problem: HomeBattery
    temperature: Floats
    first_steps: int
    steps: int
    options: HouseholdSacParams
    limits: Limits

    def __post_init__(self) -> None:
        check_temperature(self.temperature)
        for name in ("first_steps", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    def start(self, num_runs: int, streams: Streams) -> list[list[SacHouse]]:
        """Agents that know nothing, of every run one per house, with random numbers of their own.

        Raises:
            ValueError: if there are not as many seeds as runs.
        """
        if len(streams.seeds) != num_runs:
            raise ValueError(f"num_runs = {num_runs}: there are {len(streams.seeds)} seeds")
        actions = ContinuousActions(self.problem.grid, self.limits)
        discount, houses = self.problem.follower_discount, self.problem.num_houses
        return [
            [
                SacHouse(actions, float(beta), discount, self.options, numbers)
                for numbers in stream(seed, "follower").spawn(houses)
            ]
            for beta, seed in zip(self.temperature, streams.seeds, strict=True)
        ]

    def respond(
        self, reward: Floats, memory: Sequence[Sequence[SacHouse]], streams: Streams
    ) -> HouseholdResponse:
        """Live on under r_F, shape (R, H, 24, C, A), in $, and answer; `memory` learns.

        Nothing is known of the answer's `value`, and nothing certifies it: both are NaN.

        Raises:
            FollowerDiverged: if an agent cannot go on.
        """
        del streams
        steps = self.steps if memory[0][0].steps else self.first_steps
        policy, shape = np.empty_like(reward), reward.shape[:2]
        for r, houses in enumerate(memory):
            for i, house in enumerate(houses):
                house.learn(reward[r, i], steps)
                policy[r, i] = house.policy()
        return HouseholdResponse(
            policy,
            np.full(reward.shape[:4], np.nan),
            np.full(shape, np.nan),
            np.zeros(shape, np.int64),
            steps * shape[1],
        )
