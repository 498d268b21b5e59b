"""Perturbed follower on roads: charge everybody a little for what the planner dislikes.

Equilibria minimise a potential, so that K = dw/dθ = (I - W diag(t'))⁻¹ W is symmetric. A loss of
charges, flows and expected costs then has

    d loss/dθ = ∂_θ loss + ∂_c loss + K u,    u = ∂_w loss + t' ∂_c loss,

and K u is how flows change, per ε, if ε u is charged on top, on every link and of everybody. For
the travel time u is the marginal cost t + w t', for the net cost w t' - θ: what the externality
update goes along without K.
"""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.perturbed_follower import derivative
from bilevelrl.core.seeding import Streams
from bilevelrl.models.network_flow.choice_counts import ChoiceCounts
from bilevelrl.models.network_flow.equilibrium import Equilibrium, equilibrium
from bilevelrl.models.network_flow.game import Travel
from bilevelrl.models.network_flow.hypergradient import Sensitivity
from bilevelrl.models.network_flow.seen_trips import SeenTrips
from bilevelrl.models.network_flow.trips import TripSampler


def push(found: Sensitivity, slope: Floats) -> Floats:
    """What a loss makes of each vehicle more on each link, u in minutes, shape (R, L)."""
    more: Floats = found.of_flow + slope * found.of_cost
    return more


def largest_epsilon(cost: Floats, more: Floats, *, two_sided: bool) -> Floats:
    """The ε, shape (R,), at which a payment takes half of what an empty road costs, or ∞.

    Beyond, travellers might gain by driving in circles.

    Args:
        cost: of empty roads, charges included, in minutes, shape (R, L).
        more: u, shape (R, L).
        two_sided: whether ε u is also paid, not only charged.
    """
    paid = np.abs(more) if two_sided else np.maximum(-more, 0.0)
    share: Floats = (paid / cost).max(axis=1)
    return np.divide(0.5, share, out=np.full_like(share, np.inf), where=share > 0.0)


@dataclass(frozen=True, eq=False)
class PerturbedTravel:
    """dJ/dθ from how flows move under small charges, and from nothing else.

    It needs what BC-HG does without: the power to charge every link, and to pay for it, and one or
    two more equilibria per estimate. Charges may leave the planner's bounds.

    Attributes:
        seen: what the planner sees; its trips are shared out equally among the equilibria.
        epsilon: ε of each run, without unit, shape (R,); `largest_epsilon` is a bound.
        two_sided: whether payments go both ways.
        common: whether both ends of the quotient share their random numbers, trip by trip.
        tolerance: of the equilibria, see `RoadGame`.
    """

    seen: SeenTrips
    epsilon: Floats
    two_sided: bool = True
    common: bool = True
    tolerance: float = 1e-12

    @property
    def trips_each(self) -> int:
        """That one equilibrium is seen by."""
        return max(1, self.seen.num_trips // (3 if self.two_sided else 2))

    def start(self, streams: Streams) -> Memory:
        """Nothing is remembered."""
        del streams
        return {}

    def estimate(
        self, theta: Floats, response: Travel, memory: Memory, streams: Streams
    ) -> Estimate:
        """Watch trips at θ, and at θ with a little more to pay."""
        del memory
        seen, roads = self.seen, self.seen.roads
        uniforms = self._sampler.draw(streams)
        flows = seen.at(theta, self._counted(response.reached, uniforms, streams))
        if self.two_sided:  # what is charged does not depend on the trips that answer to it
            uniforms = self._sampler.draw(streams)
        found, charges = roads.objective(flows), roads.charges(theta)
        more = push(found, flows.slope)

        def answer(epsilon: Floats) -> Floats:
            reached = equilibrium(
                roads.network, charges + epsilon[:, None] * more, seen.rationality,
                response.reached.flow, tolerance=self.tolerance,
            )  # fmt: skip
            own = uniforms if self.common else self._sampler.draw(streams)
            return self._counted(reached, own, streams)

        empty = roads.network.free_flow_time + charges
        epsilon = np.minimum(self.epsilon, largest_epsilon(empty, more, two_sided=self.two_sided))
        moved = derivative(answer, epsilon, None if self.two_sided else flows.flow)
        return self._estimate(theta, found, moved)

    def _estimate(self, theta: Floats, found: Sensitivity, moved: Floats) -> Estimate:
        roads = self.seen.roads
        direct, indirect = (
            roads.pulled_back(theta, part) for part in (-found.of_theta, -found.of_cost - moved)
        )
        used = self.trips_each * (3 if self.two_sided else 2)
        return Estimate(direct, indirect, -found.loss, env_steps=used)

    @property
    def _sampler(self) -> TripSampler:
        return TripSampler(self.seen.roads.network, self.trips_each)

    def _counted(self, reached: Equilibrium, uniforms: Floats, streams: Streams) -> Floats:
        # Flows from how the travellers of some trips chose: who travels where is known.
        counts = ChoiceCounts(self.seen.roads.network, 0.0)
        memory = counts.start(streams)
        counts.see(self._sampler.follow(reached.policy, uniforms), memory)
        return np.array([
            counts.covariance(run, memory, float(rationality)).flow
            for run, rationality in enumerate(self.seen.rationality)
        ])  # fmt: skip
