"""The best known tariff, by exact gradients, for several numbers of houses and several λ."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from bilevelrl.core.arrays import Floats
from bilevelrl.core.problem import Problem, RunTasks
from bilevelrl.core.search import Searched
from bilevelrl.problems.home_battery.cell import exact_planner, make_problem
from bilevelrl.problems.home_battery.days import DAY_COLUMNS, day_table
from bilevelrl.problems.home_battery.exact import (
    components,
    exact_hypergradient,
    leader_return,
    mean_day,
)
from bilevelrl.problems.home_battery.planner import ExactPlanner
from bilevelrl.problems.home_battery.problem import FLAT, HomeBattery
from bilevelrl.problems.home_battery.profiles import HOURS
from bilevelrl.problems.home_battery.settings import HomeBatteryBlock, HomeBatterySearchParams
from bilevelrl.problems.home_battery.varying_days.cell import make_varying_days
from bilevelrl.problems.home_battery.varying_days.days import TYPED_COLUMNS
from bilevelrl.problems.home_battery.varying_days.planner import VaryingPlanner
from bilevelrl.problems.home_battery.varying_days.search import VaryingClimber

#: Of L-BFGS: the largest slope in $ per day per $/kWh that may remain.
_SLOPE = 1e-6
#: The data set's own tariff: peak hours, and $/kWh in them and outside.
_PEAK_HOURS, _PEAK_PRICE, _OTHER_PRICE = slice(16, 21), 0.54, 0.22
#: Columns of the table `days`: the mean day of every case under known tariffs.
DAYS_TABLE = ("state", "temperature", "case", *DAY_COLUMNS)
#: Columns of the table `tradeoff`: what the best known tariff of every λ makes of a day.
TRADEOFF_TABLE = ("temperature", "houses", "tariff_weight", "leader_return", "peak_cost", "peak",
                  "bill", "bought", "lost", "mean_price")  # fmt: skip
#: Columns of the table `forecast_days`: the mean day of every type under known prices.
FORECAST_TABLE = ("state", "temperature", "case", *TYPED_COLUMNS)


def time_of_use() -> Floats:
    """The tariff that came with the data, $/kWh, shape (24,)."""
    prices = np.full(HOURS, _OTHER_PRICE)
    prices[_PEAK_HOURS] = _PEAK_PRICE
    return prices


@dataclass(frozen=True, eq=False)
class Climber:
    """J of one run and the ascent within [0, 1] $/kWh from anywhere.

    Attributes:
        planner: the houses, with a temperature of shape (1,).
    """

    planner: ExactPlanner

    @property
    def problem(self) -> HomeBattery:
        """The houses."""
        return self.planner.problem

    def value(self, theta: Floats) -> float:
        """J of prices (24,), in $ per day."""
        policy = self.planner.best(theta[None]).policy
        return float(leader_return(self.problem, theta[None], mean_day(self.problem, policy))[0])

    def climb(self, start: Floats, num_evaluations: int) -> tuple[Floats, float]:
        """The best prices (24,) that L-BFGS within bounds finds from `start`, and their J."""
        problem, planner = self.problem, self.planner
        memory = planner.start(1)

        def loss(theta: Floats) -> tuple[float, Floats]:
            answer = planner.respond(problem.follower_reward(theta[None]), memory)
            truth = exact_hypergradient(problem, theta[None], answer.policy, planner.temperature)
            return -float(truth.leader_return[0]), -truth.total[0]

        options = {"maxfun": num_evaluations, "maxiter": num_evaluations, "maxcor": 30,
                   "ftol": 1e-14, "gtol": _SLOPE}  # fmt: skip
        bounds = [(0.0, 1.0)] * HOURS
        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        best = np.clip(found.x, 0.0, 1.0)
        return best, self.value(best)


def starts(search: HomeBatterySearchParams) -> Iterator[tuple[str, Floats]]:
    """Names and prices (24,) in $/kWh from which to climb."""
    yield "flat", np.full(HOURS, FLAT)
    generator = np.random.default_rng(search.seed)
    for place in range(search.random_starts):
        yield f"random {place}", generator.uniform(0.0, search.largest_start, HOURS)


def case_name(houses: int, tariff_weight: float, day_spread: float = 0.0) -> str:
    """What tells the J of one case from that of the others."""
    varying = f";day_spread={day_spread}" if day_spread else ""
    return f"houses={houses};tariff_weight={tariff_weight}{varying}"


def search(problem: Problem[HomeBatteryBlock], run_tasks: RunTasks) -> Searched:
    """The flat and the best known tariff for every number of houses at every temperature.

    The data set's own tariff is recorded beside them, and the best known tariffs of other λ for as
    many houses as the main comparison has. On days that vary the best known prices are those of
    every type of day, and the best fixed 24 are recorded beside them.
    """
    del run_tasks
    own, block = problem.block.search, problem.block
    weight = block.training.tariff_weight
    main = make_problem(block.constants, block.training.houses, weight)
    searched, days, tradeoff = Searched(_arrays(main)), [], []
    varying: list[pd.DataFrame] = []
    for temperature in problem.temperatures:
        for place, houses in enumerate(own.houses):
            battery = make_problem(block.constants, houses, weight)
            climber = _climber(problem, battery, temperature)
            found = [(name, *climber.climb(start, own.num_evaluations)) for name, start in
                     starts(own)]  # fmt: skip
            name, best, highest = max(found, key=lambda each: each[2])
            flat = np.full(HOURS, FLAT)
            states = {"flat": flat, "time of use": time_of_use(), "best known": best}
            days += [
                day_table(climber.planner, theta).assign(
                    state=state, temperature=temperature, case=case_name(houses, weight)
                )
                for state, theta in states.items()
            ]
            flat_return = climber.value(flat)
            for variant in ("published", "corrected", "improved"):
                searched.add(
                    variant, temperature, initial_return=flat_return, best_known=highest,
                    share_origin=flat_return, case=case_name(houses, weight),
                    flat_return=flat_return, time_of_use_return=climber.value(time_of_use()),
                    best_known_start=name, num_starts=len(found),
                )  # fmt: skip
                plain = f"{variant}_{temperature}"
                key = plain if place == 0 else f"{plain}_{houses}"
                searched.best_theta[key] = best
                if place == 0:
                    searched.starts += [
                        (variant, temperature, "L-BFGS", start, value) for start, _, value in found
                    ]
        tradeoff += [_traded(problem, main, temperature, other) for other in own.tariff_weights]
        varying += [
            _varying(problem, searched, temperature, houses, spread)
            for spread in own.day_spreads
            for houses in own.varying_houses
        ]
    searched.tables["forecast_days"] = (
        pd.concat(varying, ignore_index=True) if varying else pd.DataFrame(columns=FORECAST_TABLE)
    )[list(FORECAST_TABLE)]
    searched.tables["days"] = pd.concat(days, ignore_index=True)[list(DAYS_TABLE)]
    searched.tables["tradeoff"] = pd.DataFrame(tradeoff, columns=list(TRADEOFF_TABLE))
    return searched


def _varying(
    problem: Problem[HomeBatteryBlock], searched: Searched, temperature: float, houses: int,
    spread: float,
) -> pd.DataFrame:  # fmt: skip
    # Adds an entry for every variant, and returns rows of `FORECAST_TABLE`.
    block, weight = problem.block, problem.block.training.tariff_weight
    battery = make_varying_days(block.constants, houses, weight, spread)
    planner = VaryingPlanner(battery, np.array([temperature]), problem.followers.tolerance)
    climber = VaryingClimber(planner, block.search.num_evaluations)
    known = climber.known()
    flat, fixed, best = (climber.value(prices) for prices in known.values())
    case = case_name(houses, weight, spread)
    for variant in ("published", "corrected", "improved"):
        searched.add(
            variant, temperature, initial_return=flat, best_known=best, share_origin=flat,
            case=case, flat_return=flat, best_fixed_return=fixed, best_known_start="best fixed",
            num_starts=1,
        )  # fmt: skip
        key = f"{variant}_{temperature}_{houses}_{spread}"
        searched.best_theta[key] = known["best known"].reshape(-1)
    return climber.table(known).assign(temperature=temperature, case=case)


def _climber(
    problem: Problem[HomeBatteryBlock], battery: HomeBattery, temperature: float
) -> Climber:
    return Climber(exact_planner(battery, np.array([temperature]), problem.followers))


def _traded(
    problem: Problem[HomeBatteryBlock], battery: HomeBattery, temperature: float, weight: float
) -> dict[str, float]:
    # A row of `TRADEOFF_TABLE`.
    own = replace(battery, tariff_weight=weight)
    climber = _climber(problem, own, temperature)
    flat = np.full(HOURS, FLAT)
    best, highest = climber.climb(flat, problem.block.search.num_evaluations)
    days = mean_day(own, climber.planner.best(best[None]).policy)
    parts = {key: float(value[0]) for key, value in components(own, best[None], days).items()}
    return parts | {
        "temperature": temperature, "houses": own.num_houses, "tariff_weight": weight,
        "leader_return": highest,
    }  # fmt: skip


def _arrays(battery: HomeBattery) -> dict[str, object]:
    demand, grid = battery.demand, battery.grid
    return {
        "net": demand.net, "probability": demand.probability, "charge": grid.charge,
        "action": grid.action, "energy": grid.energy, "lower": grid.lower, "share": grid.share,
    }  # fmt: skip
