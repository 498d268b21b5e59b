"""Travellers who learn from day to day how long links take, and lag behind their equilibrium.

Every day all of them choose soft-optimally by the times that they expect, make the times that they
meet, and move what they expect towards that: e ← e + η (t(w(e + θ)) - e), for which charges are
known and times are not. An expectation that stays is the equilibrium (Horowitz 1984). Near it an
expectation is off by I - η (I - diag(t') W) times as much the day after, so that it comes back if η
is below 2 / (1 + λ), λ being the largest eigenvalue of -diag(t') W.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.exact import Hypergradient
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import GroundTruth
from bilevelrl.models.network_flow.game import RoadGame, Travel
from bilevelrl.models.network_flow.loading import Loading, Refused, load
from bilevelrl.models.network_flow.network import Network


@dataclass(frozen=True, eq=False)
class ExpectedTravel:
    """Travellers who go by the times they expect; implements `hypergradient.Flows`.

    Attributes:
        network: with L links.
        theta: charge on each link in minutes, shape (R, L).
        expected: e in minutes, shape (R, L).
        loadings: travellers at the costs e + θ, one per run.
    """

    network: Network
    theta: Floats
    expected: Floats
    loadings: Sequence[Loading]

    @property
    def flow(self) -> Floats:
        """w(e + θ) in vehicles, shape (R, L)."""
        return np.array([each.flow for each in self.loadings])

    @property
    def time(self) -> Floats:
        """t(w) in minutes, which they meet, shape (R, L)."""
        return self.network.time(self.flow)

    @property
    def slope(self) -> Floats:
        """t'(w) in minutes per vehicle, shape (R, L)."""
        return self.network.slope(self.flow)

    @property
    def policy(self) -> Floats:
        """Probability of each link at its tail by destination, shape (R, K, L)."""
        return np.array([each.policy for each in self.loadings])

    @property
    def total_cost(self) -> Floats:
        """Σ q τ in vehicle-minutes at the times they meet, shape (R,).

        Their policy costs them w · (t(w) - e) more than they expect.
        """
        expected = np.array([each.total_cost for each in self.loadings])
        missed = [row.sum() for row in self.flow * (self.time - self.expected)]
        more: Floats = expected + np.array(missed)
        return more


@dataclass(frozen=True, eq=False)
class LearnedTravel:
    """How travellers answer who learn.

    Attributes:
        reached: what they do.
        steps: trips that each run's travellers made to learn this answer.
    """

    reached: ExpectedTravel
    steps: int

    @property
    def best(self) -> list[Loading | None]:
        """Of each run, where one traveller would go who knew the times; None if that is refused."""
        found = list[Loading | None]()
        costs = self.reached.time + self.reached.theta
        for cost, own in zip(costs, self.reached.loadings, strict=True):
            try:
                found.append(load(self.reached.network, cost, own.rationality))
            except Refused:
                found.append(None)
        return found

    @property
    def accuracy(self) -> Floats:
        """Largest |w - w(t(w) + θ)| as a share of all vehicles, shape (R,); ∞ if times are absurd.

        It is 0 in equilibrium.
        """
        residual = [
            np.inf if best is None else np.abs(own - best.flow).max()
            for own, best in zip(self.reached.flow, self.best, strict=True)
        ]
        share: Floats = np.array(residual) / self.reached.network.total_demand
        return share


@dataclass(frozen=True, eq=False)
class DayToDayGame:
    """Implements `core.training.Game` with travellers that learn.

    Attributes:
        equilibrium: the same roads with travellers that need not learn.
        days: before each answer.
        step_size: η of each run, shape (R,).
        carries: whether expectations go on after the charges have changed; otherwise they begin
            with the times of empty roads, as at the start.

    Raises:
        ValueError: if there is no day, or a step size is not in (0, 1].
    """

    equilibrium: RoadGame
    days: int
    step_size: Floats
    carries: bool

    def __post_init__(self) -> None:
        if self.days < 1:
            raise ValueError(f"days = {self.days}: at least 1 is needed")
        for value in self.step_size:
            if not 0.0 < value <= 1.0:
                raise ValueError(f"step_size = {value}: above 0 and at most 1 is allowed")

    def start(self, streams: Streams) -> tuple[Floats, Floats]:
        """First θ, shape (R, D), and the travellers' memory."""
        theta, _ = self.equilibrium.start(streams)
        return theta, self.follower_memory(len(theta), streams)

    def follower_memory(self, num_runs: int, streams: Streams) -> Floats:
        """Times that are expected, shape (R, L): those of empty roads."""
        del streams
        return np.tile(self.equilibrium.roads.network.free_flow_time, (num_runs, 1))

    def respond(self, theta: Floats, memory: Floats, streams: Streams) -> LearnedTravel:
        """What travellers do after some days under θ; updates `memory` in place.

        Raises:
            Refused: if somebody has no finite expected cost, see `load`.
        """
        roads, net = self.equilibrium.roads, self.equilibrium.roads.network
        charges = roads.charges(theta)
        if not self.carries:
            memory[:] = self.follower_memory(len(theta), streams)
        loadings = list[Loading]()
        for run, (charge, rationality) in enumerate(
            zip(charges, self.equilibrium.rationality, strict=True)
        ):
            expected = memory[run]
            for _ in range(self.days):
                flow = load(net, expected + charge, float(rationality), name=f"run {run}").flow
                expected += self.step_size[run] * (net.time(flow) - expected)
            loadings.append(load(net, expected + charge, float(rationality), name=f"run {run}"))
        reached = ExpectedTravel(net, charges, memory.copy(), loadings)
        return LearnedTravel(reached, round(self.days * net.total_demand))

    def leader_return(self, theta: Floats, response: LearnedTravel) -> Floats:
        """J(θ) of what travellers do and meet, shape (R,), in vehicle-minutes."""
        del theta
        loss: Floats = -self.equilibrium.roads.objective(response.reached).loss
        return loss

    def optimal_return(self, theta: Floats) -> Floats:
        """J(θ) in equilibrium, shape (R,)."""
        return self.equilibrium.optimal_return(theta)

    def objective(self, theta: Floats, response: LearnedTravel) -> Floats:
        """The J that the leader climbs: the one that is reported."""
        return self.leader_return(theta, response)

    def _equilibrium(self, theta: Floats) -> Travel:
        streams = Streams(list(range(len(theta))))  # from which nothing is drawn
        memory = self.equilibrium.follower_memory(len(theta), streams)
        return self.equilibrium.respond(theta, memory, streams)

    def hypergradient(self, theta: Floats, response: LearnedTravel) -> Hypergradient:
        """dJ/dθ in equilibrium, shape (R, D)."""
        del response
        return self.equilibrium.hypergradient(theta, self._equilibrium(theta))

    def ground_truth(self, theta: Floats, response: LearnedTravel) -> GroundTruth:
        """Of the equilibrium, and how far from it travellers are.

        `follower_kl` is a mean over nodes and destinations; `follower_value_gap` is what a
        traveller's trip costs more, in minutes and on average, than that of one who knew the times.
        """
        settled = self._equilibrium(theta)
        truth = self.equilibrium.hypergradient(theta, settled)
        net, played = self.equilibrium.roads.network, response.reached
        kl = [
            _divergence(net, own, best)
            for own, best in zip(played.policy, settled.reached.policy, strict=True)
        ]
        least = [np.nan if best is None else best.total_cost for best in response.best]
        gap = (played.total_cost - np.array(least)) / net.total_demand
        return GroundTruth(truth.total, truth.leader_return, np.array(kl), gap)

    def coordinates(self, theta: Floats, response: LearnedTravel) -> dict[str, Floats]:
        """As in equilibrium, see `RoadGame.coordinates`."""
        return self.equilibrium.coordinates(theta, response)

    def extremes(self, theta: Floats, response: LearnedTravel) -> dict[str, Floats]:
        """Nothing."""
        del theta, response
        return {}


def _divergence(network: Network, policy: Floats, best: Floats) -> float:
    # KL(policy || best), both (K, L), on average over all nodes where somebody has yet to arrive.
    played = np.where(policy > 0.0, policy, 1.0)
    ratio = np.log(played) - np.log(np.where(policy > 0.0, best, 1.0))
    total = float((policy * ratio).sum())
    return max(total, 0.0) / (network.num_destinations * (network.num_nodes - 1))
