"""A leader that takes the hypergradient in the houses that it identified on days that vary.

The battery's capacity and power, the houses' β and their γ_F are known, and how days are drawn;
`identification` has the rest.
"""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.home_battery.varying_days.exact import price_gradient
from bilevelrl.problems.home_battery.varying_days.identification import ForecastIdentification
from bilevelrl.problems.home_battery.varying_days.planner import VaryingPlanner, VaryingResponse
from bilevelrl.problems.home_battery.varying_days.rollout import VaryingRollout
from bilevelrl.problems.home_battery.varying_days.tariffs import Tariff


@dataclass(frozen=True, eq=False)
class IdentifiedForecast:
    """Implements `core.estimator.Estimator`: plans as its houses do, in what it identified.

    Attributes:
        rollout: draws the batches.
        tariff: from θ to prices.
        identification: of the houses; all batches count alike.
        temperature: β of each run, in $, shape (R,).
    """

    rollout: VaryingRollout
    tariff: Tariff
    identification: ForecastIdentification
    temperature: Floats

    def start(self, streams: Streams) -> Memory:
        """Nothing seen."""
        return self.identification.start(len(streams.seeds))

    def estimate(
        self, theta: Floats, response: VaryingResponse, memory: Memory, streams: Streams
    ) -> Estimate:
        """Watch a batch, and differentiate in the model; updates `memory` in place."""
        problem, prices = self.rollout.problem, self.tariff.prices(theta)
        seen = self.rollout.sample(response.policy, streams)
        self.identification.see(seen, memory)
        slopes = []
        for run, houses in enumerate(self.identification.houses(memory)):
            own, beta = prices[run : run + 1], self.temperature[run : run + 1]
            answer = VaryingPlanner(houses, beta).best(own)
            slopes.append(price_gradient(houses, own, answer.policy, beta).indirect)
        return Estimate(
            self.tariff.pull_back(theta, problem.tariff_slope(prices)),
            self.tariff.pull_back(theta, np.concatenate(slopes)),
            seen.sampled_return(problem, prices),
            env_steps=self.rollout.env_steps,
        )
