"""The best known prices on days that vary: the best fixed 24, and the best of every type of day."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from bilevelrl.core.arrays import Floats
from bilevelrl.problems.home_battery.varying_days.days import typed_table
from bilevelrl.problems.home_battery.varying_days.exact import (
    leader_return,
    price_gradient,
    typed_days,
)
from bilevelrl.problems.home_battery.varying_days.planner import VaryingPlanner
from bilevelrl.problems.home_battery.varying_days.tariffs import PricesOfTypes, SamePrices

#: Of L-BFGS: the largest slope in $ per day per $/kWh that may remain.
_SLOPE = 1e-6


@dataclass(frozen=True, eq=False)
class VaryingClimber:
    """J of one run and the ascent within [0, 1] $/kWh from the flat tariff.

    Attributes:
        planner: the houses, with a temperature of shape (1,).
        num_evaluations: of J and its gradient in one ascent, at most.
    """

    planner: VaryingPlanner
    num_evaluations: int

    def value(self, prices: Floats) -> float:
        """J of prices (K, 24), in $ per day."""
        problem = self.planner.problem
        days = typed_days(problem, self.planner.best(prices[None]).policy)
        return float(leader_return(problem, prices[None], days)[0])

    def climb(self, tariff: SamePrices | PricesOfTypes, start: Floats) -> Floats:
        """The best prices (K, 24) that L-BFGS finds, from θ of shape (D,)."""
        problem, planner = self.planner.problem, self.planner
        memory = planner.start(1)

        def loss(theta: Floats) -> tuple[float, Floats]:
            answer = planner.respond(tariff.prices(theta[None]), memory)
            truth = price_gradient(problem, answer.prices, answer.policy, planner.temperature)
            return -float(truth.leader_return[0]), -tariff.pull_back(theta[None], truth.total)[0]

        options = {"maxfun": self.num_evaluations, "maxiter": self.num_evaluations, "maxcor": 30,
                   "ftol": 1e-9, "gtol": _SLOPE}  # fmt: skip
        bounds = [(0.0, 1.0)] * len(start)
        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        prices: Floats = tariff.prices(np.clip(found.x, 0.0, 1.0)[None])[0]
        return prices

    def known(self) -> dict[str, Floats]:
        """Prices (K, 24) by name: flat, the best fixed ones, and the best known ones.

        The best known ones are climbed to from the best fixed ones, and may differ between types.
        """
        same, own = (
            kind(self.planner.problem.types.number) for kind in (SamePrices, PricesOfTypes)
        )
        start = same.start(1)
        fixed = self.climb(same, start[0])
        return {
            "flat": same.prices(start)[0],
            "best fixed": fixed,
            "best known": self.climb(own, fixed.reshape(-1)),
        }

    def table(self, known: dict[str, Floats]) -> pd.DataFrame:
        """Columns state and `TYPED_COLUMNS`: the mean day of every type under known prices."""
        return pd.concat(
            [typed_table(self.planner, prices).assign(state=state)
             for state, prices in known.items()],
            ignore_index=True,
        )  # fmt: skip
