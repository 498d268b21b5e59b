"""Gradients from trips: means, angles with the exact gradient, and runs on their own."""

from collections.abc import Callable

import numpy as np
import pytest

from bilevelrl.core.ascent import Adam
from bilevelrl.core.estimator import Estimate, Estimator
from bilevelrl.core.projected_ascent import Projected
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import train
from bilevelrl.models.network_flow.charged_roads import ChargedRoads
from bilevelrl.models.network_flow.direct_only import DirectOnly
from bilevelrl.models.network_flow.externality import Externality
from bilevelrl.models.network_flow.game import RoadGame, Travel
from bilevelrl.models.network_flow.hypergradient import (
    Objective,
    net_cost,
    travel_time,
    without_adjoint,
)
from bilevelrl.models.network_flow.learned_road_covariance import LearnedRoadCovariance
from bilevelrl.models.network_flow.marginal_costs import marginal_costs
from bilevelrl.models.network_flow.network import Network
from bilevelrl.models.network_flow.road_covariance import RoadCovariance
from bilevelrl.models.network_flow.seen_trips import SeenTrips
from tests.models.network_flow.examples import CHARGED, Floats, cosine, generated, sioux

Make = Callable[[SeenTrips], Estimator[Travel]]
MAKERS: dict[str, Make] = {
    "direct": DirectOnly,
    "pairs": RoadCovariance,
    "fixed": lambda seen: RoadCovariance(seen, adjoint=False),
    "learned": LearnedRoadCovariance,
    "externality": lambda seen: Externality(seen, np.full(len(seen.rationality), 0.3)),
}
LINKS = [3, 10, 17, 25, 31, 40]


class Case:
    """A game at one θ for all runs."""

    def __init__(
        self, objective: Objective, runs: int, trips: int, network: Network | None = None,
        theta: Floats | None = None, first_seed: int = 0,
    ) -> None:  # fmt: skip
        charged = CHARGED if network is None else LINKS
        roads = ChargedRoads(network or sioux(), np.array(charged), 30.0, objective)
        single = RoadGame(roads, np.ones(1))
        self.game = RoadGame(roads, np.ones(runs))
        self.streams = Streams(list(range(first_seed, first_seed + runs)))
        one = np.zeros((1, len(charged))) if theta is None else theta[None]
        self.theta = np.repeat(one, runs, axis=0)
        memory = self.game.follower_memory(runs, self.streams)
        self.response = self.game.respond(self.theta, memory, self.streams)
        own = single.respond(one, single.follower_memory(1, self.streams), self.streams)
        self.exact = single.hypergradient(one, own)
        part = without_adjoint(objective, own.reached)
        self.fixed = roads.pulled_back(one, part.total)[0]
        self.seen = SeenTrips(roads, trips, np.ones(runs))

    def estimates(self, make: Make, number: int = 1) -> list[Estimate]:
        estimator = make(self.seen)
        memory = estimator.start(self.streams)
        return [
            estimator.estimate(self.theta, self.response, memory, self.streams)
            for _ in range(number)
        ]

    def cosine(self, estimate: Estimate) -> float:
        """Mean over runs."""
        return float(np.mean([cosine(g, self.exact.total[0]) for g in estimate.gradient]))


def generic(seed: int = 2) -> Floats:
    return np.random.default_rng(seed).uniform(0.5, 6.0, len(LINKS))


@pytest.mark.parametrize("objective", [travel_time, net_cost])
def test_means_are_the_exact_gradients_at_a_generic_point(objective: Objective) -> None:
    # 60 runs of 20,000 trips. Standard errors of the mean are below 1.5 % of the gradient, and
    # no mean is more than 4 % away; the missing adjoint would be more than 30 %.
    case = Case(objective, 60, 20_000, generated(), generic())
    exact = case.exact.total[0]
    assert np.linalg.norm(case.fixed - exact) > 0.3 * np.linalg.norm(exact)
    for name, wanted in (("pairs", exact), ("learned", exact), ("fixed", case.fixed)):
        (found,) = case.estimates(MAKERS[name])
        size = np.linalg.norm(wanted)
        error = found.gradient.std(axis=0, ddof=1) / np.sqrt(60)
        assert np.linalg.norm(error) < 0.015 * size, name
        assert np.linalg.norm(found.gradient.mean(axis=0) - wanted) < 0.04 * size, name
        direct = found.direct.mean(axis=0)
        np.testing.assert_allclose(direct, case.exact.direct[0], rtol=0.05, atol=1e-9)
    (found,) = case.estimates(MAKERS["direct"])
    assert not found.indirect.any()
    np.testing.assert_allclose(
        found.gradient.mean(axis=0), case.exact.direct[0], rtol=0.05, atol=1e-9
    )


def test_the_bias_of_few_trips_falls_like_one_over_their_number() -> None:
    # Measured along the gradient, as a share of it: -.12 from 250 trips and a quarter of that from
    # 1,000, with standard errors of .012 at most.
    bias = list[float]()
    for trips, runs in ((250, 1_000), (1_000, 600)):
        case = Case(travel_time, runs, trips, generated(), generic())
        exact = case.exact.total[0]
        (found,) = case.estimates(RoadCovariance)
        along = found.gradient @ exact / (exact @ exact) - 1.0
        assert along.std() / np.sqrt(runs) < 0.012
        bias.append(float(along.mean()))
    assert -0.17 < bias[0] < -0.08
    assert -0.07 < bias[1] < -0.005


def test_angles_of_pairs_on_sioux_falls() -> None:
    # At 20 runs the standard deviation of such a mean is .04 at most.
    ladder = {300: (0.0, 0.35), 1_000: (0.25, 0.65), 3_000: (0.55, 0.85), 10_000: (0.78, 0.95)}
    for trips, (least, most) in ladder.items():
        case = Case(travel_time, 20, trips)
        (found,) = case.estimates(RoadCovariance)
        assert least < case.cosine(found) < most, trips
        assert found.env_steps == trips


@pytest.mark.parametrize("objective", [travel_time, net_cost])
def test_a_memory_makes_1_000_trips_enough(objective: Objective) -> None:
    case = Case(objective, 20, 1_000)
    found = case.estimates(LearnedRoadCovariance, 9)
    angles = [case.cosine(each) for each in found]
    assert angles[-1] > 0.9
    assert angles[0] < 0.8  # the first batch alone is not
    assert case.cosine(case.estimates(RoadCovariance)[0]) < 0.75


def test_without_adjoint_charges_never_leave_zero_on_the_net_cost() -> None:
    case = Case(net_cost, 3, 500)
    for make in (
        MAKERS["fixed"],
        lambda seen: LearnedRoadCovariance(seen, adjoint=False),
    ):
        (found,) = case.estimates(make)
        assert not found.gradient.any()
        assert found.direct.all()
    (found,) = case.estimates(MAKERS["pairs"])
    assert found.gradient.any(axis=1).all()


def test_what_a_planner_can_measure() -> None:
    case = Case(travel_time, 10, 20_000)
    (found,) = case.estimates(DirectOnly)
    assert not found.gradient.any()
    assert found.leader_return_sampled.mean() == pytest.approx(-7_433_602, rel=0.01)
    (found,) = Case(net_cost, 2, 100).estimates(DirectOnly)
    assert np.isnan(found.leader_return_sampled).all()


def test_externality_goes_towards_marginal_costs() -> None:
    net = generated()
    every = ChargedRoads(net, np.arange(net.num_links), 100.0, net_cost)
    best = marginal_costs(net, np.ones(1))
    game, streams = RoadGame(every, np.ones(1)), Streams([0])
    _, memory = game.start(streams)
    response = game.respond(best.theta, memory, streams)
    estimator = Externality(SeenTrips(every, 400_000, np.ones(1)), np.array([0.5]))
    found = estimator.estimate(best.theta, response, {}, streams)
    assert found.proposal is not None
    np.testing.assert_allclose(found.proposal, best.theta, rtol=0.05, atol=0.05)
    moved = np.clip(best.theta + 0.5 * found.indirect, 0.0, 100.0)
    np.testing.assert_allclose(found.proposal, moved)
    low = ChargedRoads(net, np.arange(net.num_links), 1e-3, net_cost)
    found = Externality(SeenTrips(low, 100, np.ones(1)), np.array([0.5])).estimate(
        np.zeros_like(best.theta), response, {}, streams
    )
    assert found.proposal is not None
    assert found.proposal.max() == 1e-3


def test_ascent_from_1_000_trips_comes_close_to_the_best_charges() -> None:
    case = Case(travel_time, 2, 1_000)
    rule = Projected(Adam(np.full(2, 0.1)), 0.0, 30.0)
    trained = train(
        case.game, LearnedRoadCovariance(case.seen), case.streams, rule=rule, num_updates=100,
        max_rows=5,
    )  # fmt: skip
    # Charges can gain 127,831 vehicle-minutes.
    gain = case.game.optimal_return(trained.theta) + 7_433_602.0
    assert (gain > 0.88 * 127_831.0).all()
    assert (trained.theta >= 0.0).all()


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_run_is_the_same_alone_and_in_a_batch_of_4(make: Make) -> None:
    theta = np.random.default_rng(7).uniform(0.0, 6.0, len(CHARGED))
    together = Case(travel_time, 4, 300, theta=theta).estimates(make, 3)
    again = Case(travel_time, 4, 300, theta=theta).estimates(make, 3)
    alone = Case(travel_time, 1, 300, theta=theta, first_seed=2).estimates(make, 3)
    for ours, same, own in zip(together, again, alone, strict=True):
        for name in ("direct", "indirect", "leader_return_sampled"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(same, name))
            np.testing.assert_array_equal(getattr(ours, name)[2], getattr(own, name)[0])
    if together[0].indirect.any():
        assert (together[0].indirect[0] != together[0].indirect[1]).any()
        assert (together[0].indirect != together[1].indirect).any()
