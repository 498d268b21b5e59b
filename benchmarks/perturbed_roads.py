"""Road pricing's perturbed follower at equal trips: what a smaller ε takes of the bias and adds.

`OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python benchmarks/perturbed_roads.py >
benchmarks/results/perturbed_roads.csv`: travel time, 18 links with a toll, rationality 1 per
minute. Without tolls, and at half of what marginal costs are on these links; seeds that nothing
else has, the same for every ε. `exact_error` is the quotient's error with exact flows over
|dJ/dθ|, the rest is of estimates: see `bilevelrl.evaluation.gradient_quality`, and the two
ratios are to the row with ε = .1 and the same θ, trips and side. Beyond `largest_epsilon` ε is cut
to it, as the estimator does.
"""

import sys
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from bilevelrl.core.arrays import Floats
from bilevelrl.core.perturbed_follower import derivative
from bilevelrl.core.seeding import Streams
from bilevelrl.evaluation.gradient_quality import gradient_row
from bilevelrl.models.network_flow.charged_roads import ChargedRoads
from bilevelrl.models.network_flow.equilibrium import equilibrium
from bilevelrl.models.network_flow.game import RoadGame, Travel
from bilevelrl.models.network_flow.hypergradient import travel_time
from bilevelrl.models.network_flow.marginal_costs import marginal_costs
from bilevelrl.models.network_flow.perturbed_travel import PerturbedTravel, largest_epsilon, push
from bilevelrl.models.network_flow.seen_trips import SeenTrips
from bilevelrl.models.network_flow.sioux_falls import sioux_falls
from bilevelrl.runs.params import read_params

#: One-sided and two-sided.
EPSILONS = {False: (0.3, 0.1, 0.03, 0.01), True: (0.1, 0.01, 0.003)}
TRIPS = (1_000, 10_000)
FIRST_SEED, REPLICATES, USUAL = 40_000, 100, 0.1


def points(links: Any) -> Iterator[tuple[str, Floats]]:
    """Tolls at which to estimate, shape (D,)."""
    yield "no toll", np.zeros(len(links))
    best = marginal_costs(sioux_falls(), np.ones(1)).theta[0]
    yield "half of the marginal costs", 0.5 * best[links]


def exact_error(
    game: RoadGame, theta: Floats, answer: Travel, epsilon: float, two_sided: bool
) -> tuple[float, float]:
    """Relative error of the quotient with exact flows, and the ε that was taken."""
    network, reached = game.roads.network, answer.reached
    told, charges = travel_time(reached), game.roads.charges(theta)
    more = push(told, reached.slope)
    largest = largest_epsilon(network.free_flow_time + charges, more, two_sided=two_sided)
    taken = np.minimum(epsilon, largest)

    def flow(share: Floats) -> Floats:
        return equilibrium(network, charges + share[:, None] * more, np.ones(1), reached.flow).flow

    moved = derivative(flow, taken, None if two_sided else reached.flow)
    found = game.roads.pulled_back(theta, -(told.of_theta + told.of_cost + moved))
    truth = game.hypergradient(theta, answer).total
    return float(np.linalg.norm(found - truth) / np.linalg.norm(truth)), float(taken[0])


def rows() -> Iterator[dict[str, object]]:
    """One per θ, number of trips, side and ε."""
    constants: Any = read_params().block("tolls").constants
    links = np.array(constants.toll_links)
    roads = ChargedRoads(sioux_falls(), links, constants.highest_toll, travel_time)
    seeds = range(FIRST_SEED, FIRST_SEED + REPLICATES)
    cases = [(two_sided, each) for two_sided, several in EPSILONS.items() for each in several]
    for (point, toll), trips, (two_sided, epsilon) in product(points(links), TRIPS, cases):
        alone = RoadGame(roads, np.ones(1))
        one = alone.respond(toll[None], alone.follower_memory(1, Streams([0])), Streams([0]))
        error, taken = exact_error(alone, toll[None], one, epsilon, two_sided)
        streams, many = Streams(seeds), np.ones(REPLICATES)
        theta = np.tile(toll, (REPLICATES, 1))
        game = RoadGame(roads, many)
        answer = game.respond(theta, game.follower_memory(REPLICATES, streams), streams)
        estimator = PerturbedTravel(SeenTrips(roads, trips, many), epsilon * many, two_sided)
        found = estimator.estimate(theta, answer, estimator.start(streams), streams).gradient
        exact = alone.hypergradient(toll[None], one).total[0]
        yield gradient_row(
            found, exact, point=point, trips=trips, sides="two" if two_sided else "one"
        ) | {"epsilon": epsilon, "taken": taken, "exact_error": error}


if __name__ == "__main__":
    table = pd.DataFrame(rows())
    keys = pd.MultiIndex.from_frame(table[["point", "trips", "sides"]])
    usual = table.set_index(keys)[table["epsilon"].eq(USUAL).to_numpy()]
    for name in ("rmse", "exact_error"):
        table[f"{name.split('_')[0]}_ratio"] = table[name] / usual[name].reindex(keys).to_numpy()
    table.to_csv(sys.stdout, index=False, float_format="%.6g", lineterminator="\n")
