"""A leader that takes the hypergradient in the houses that it identified.

The battery's capacity and power, the houses' β and their γ_F are known; `identification` has the
rest.
"""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.exact import Hypergradient
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.home_battery.exact import exact_hypergradient
from bilevelrl.problems.home_battery.identification import HouseholdIdentification
from bilevelrl.problems.home_battery.planner import ExactPlanner, HouseholdResponse
from bilevelrl.problems.home_battery.problem import HomeBattery
from bilevelrl.problems.home_battery.rollout import DayRollout, sampled_return


@dataclass(frozen=True, eq=False)
class IdentifiedHousehold:
    """Implements `core.estimator.Estimator`: plans as its houses do, in the houses it identified.

    Attributes:
        rollout: draws the batches.
        identification: of the houses; all batches count alike.
        temperature: β of each run, in $, shape (R,).
    """

    rollout: DayRollout
    identification: HouseholdIdentification
    temperature: Floats

    def start(self, streams: Streams) -> Memory:
        """Nothing seen."""
        return self.identification.start(len(streams.seeds))

    def estimate(
        self, theta: Floats, response: HouseholdResponse, memory: Memory, streams: Streams
    ) -> Estimate:
        """Watch a batch, and differentiate in the model; updates `memory` in place."""
        seen = self.rollout.sample(response.policy, streams)
        self.identification.see(seen, memory)
        believed = list(self.identification.houses(memory))

        def hypergradient(theta: Floats) -> Floats:
            return np.concatenate(
                [self._in(houses, theta, run).total for run, houses in enumerate(believed)]
            )

        direct = self.rollout.problem.tariff_slope(theta)
        return Estimate(
            direct,
            hypergradient(theta) - direct,
            sampled_return(self.rollout.problem, theta, seen),
            env_steps=self.rollout.env_steps,
            again=hypergradient,
        )

    def _in(self, houses: HomeBattery, theta: Floats, run: int) -> Hypergradient:
        own = slice(run, run + 1)
        policy = ExactPlanner(houses, self.temperature[own]).best(theta[own]).policy
        return exact_hypergradient(houses, theta[own], policy, self.temperature[own])
