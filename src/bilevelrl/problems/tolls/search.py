"""The best known tolls, by exact gradients, for both objectives and both sets of toll links."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from bilevelrl.core.arrays import Floats
from bilevelrl.core.problem import Problem, RunTasks
from bilevelrl.core.search import Searched
from bilevelrl.core.seeding import Streams
from bilevelrl.models.network_flow.charged_roads import ChargedRoads
from bilevelrl.models.network_flow.game import RoadGame
from bilevelrl.models.network_flow.marginal_costs import marginal_costs
from bilevelrl.problems.tolls.cell import make_problem
from bilevelrl.problems.tolls.links import LINK_COLUMNS, link_table
from bilevelrl.problems.tolls.problem import OBJECTIVES, Pricing
from bilevelrl.problems.tolls.settings import TollsBlock, TollsSearchParams

#: Of L-BFGS: the largest slope in vehicle-minutes per minute, at |J| of millions.
_SLOPE = 1e-2
#: L-BFGS is told J and slopes in these, so that its first step is of minutes.
_UNIT = 1e4
#: Columns of the table `links`: every case without toll and under the best known ones.
LINKS_TABLE = ("state", "temperature", "case", *LINK_COLUMNS)


@dataclass(frozen=True, eq=False)
class Climber:
    """J of one run of `game` and the ascent within bounds from anywhere.

    Attributes:
        roads: what the planner faces.
        rationality: β_r per minute.
        tolerance: see `RoadGame`.
    """

    roads: ChargedRoads
    rationality: float
    tolerance: float

    @property
    def game(self) -> RoadGame:
        """With one run."""
        return RoadGame(self.roads, np.array([self.rationality]), tolerance=self.tolerance)

    def value(self, theta: Floats) -> float:
        """J at tolls (D,), in vehicle-minutes."""
        return float(self.game.optimal_return(theta[None])[0])

    def climb(self, start: Floats, num_evaluations: int) -> tuple[Floats, float]:
        """The best tolls (D,) that L-BFGS within bounds finds from `start`, and their J."""
        game, streams = self.game, Streams([0])
        memory = game.follower_memory(1, streams)

        def loss(theta: Floats) -> tuple[float, Floats]:
            response = game.respond(theta[None], memory, streams)
            found = game.hypergradient(theta[None], response)
            return -float(found.leader_return[0]) / _UNIT, -found.total[0] / _UNIT

        bounds = [(0.0, self.roads.highest)] * len(start)
        options = {"maxfun": num_evaluations, "maxiter": num_evaluations, "maxcor": 30,
                   "ftol": 1e-15, "gtol": _SLOPE / _UNIT}  # fmt: skip
        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        best = np.clip(found.x, 0.0, self.roads.highest)
        return best, self.value(best)


def starts(search: TollsSearchParams, num_parameters: int) -> Iterator[tuple[str, Floats]]:
    """Names and tolls (D,) in minutes from which to climb."""
    yield "no toll", np.zeros(num_parameters)
    generator = np.random.default_rng(search.seed)
    for place in range(search.random_starts):
        yield f"random {place}", generator.uniform(0.0, search.largest_start, num_parameters)


def cases(pricing: Pricing) -> list[tuple[str, int]]:
    """Objectives and numbers of tolls, the case of the main comparison first."""
    counts = (len(pricing.toll_links), pricing.network.num_links)
    return [(objective, count) for objective in OBJECTIVES for count in counts]


def case_name(objective: str, tollable: int) -> str:
    """What tells the J of one case from that of the others."""
    return f"objective={objective};tollable={tollable}"


def search(problem: Problem[TollsBlock], run_tasks: RunTasks) -> Searched:
    """No toll and the best known tolls of every case at every temperature.

    Marginal-cost tolls are recorded where every link has one and the net cost counts: the optimum
    if no toll were bounded.
    """
    del run_tasks
    own, pricing = problem.block.search, make_problem(problem.block.constants)
    searched, links = Searched(_arrays(pricing)), []
    for temperature in problem.temperatures:
        rationality = 1.0 / temperature
        for place, (objective, tollable) in enumerate(cases(pricing)):
            roads = pricing.roads(objective, tollable)
            climber = Climber(roads, rationality, problem.followers.tolerance)
            nothing = climber.value(np.zeros(tollable))
            found = [
                (name, *climber.climb(start, own.num_evaluations))
                for name, start in starts(own, tollable)
            ]
            name, best, highest = max(found, key=lambda each: each[2])
            states = {"no toll": np.zeros(tollable), "best known": best}
            tolerance = problem.followers.tolerance
            links += [
                link_table(roads, theta, rationality, tolerance).assign(
                    state=state, temperature=temperature, case=case_name(objective, tollable)
                )
                for state, theta in states.items()
            ]
            extra: dict[str, object] = {"best_known_start": name, "num_starts": len(found)}
            if (objective, tollable) == ("net", pricing.network.num_links):
                free = marginal_costs(pricing.network, np.array([rationality]))
                extra["unbounded_optimum"] = -float(roads.objective(free).loss[0])
                extra["largest_marginal_cost"] = float(free.theta.max())
            for variant in ("published", "corrected", "improved"):
                searched.add(
                    variant, temperature, initial_return=nothing, charge_nothing_return=nothing,
                    best_known=highest, share_origin=nothing,
                    case=case_name(objective, tollable), **extra,
                )  # fmt: skip
                searched.best_theta[_stored(variant, temperature, objective, tollable, place)] = (
                    best
                )
                if place == 0:
                    searched.starts += [
                        (variant, temperature, "L-BFGS", start, value) for start, _, value in found
                    ]
    searched.tables["links"] = pd.concat(links, ignore_index=True)[list(LINKS_TABLE)]
    return searched


def _stored(variant: str, temperature: float, objective: str, tollable: int, place: int) -> str:
    # The first case has the name that all problems use.
    plain = f"{variant}_{temperature}"
    return plain if place == 0 else f"{plain}_{objective}_{tollable}"


def _arrays(pricing: Pricing) -> dict[str, object]:
    net = pricing.network
    names = ("tail", "head", "free_flow_time", "capacity", "congestion", "power",
             "destinations", "demand")  # fmt: skip
    return {name: getattr(net, name) for name in names} | {
        "toll_links": pricing.toll_links, "highest_toll": pricing.highest_toll,
    }  # fmt: skip
