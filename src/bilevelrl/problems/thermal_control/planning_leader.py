"""A leader of building thermal control that plans in the building that it identified.

It recommends the best design of the building that it believes in. For every batch it draws a
building that it thinks possible. If another design would be better there, by more than exploring is
worth, it plays the design of which it knows least: a corner, as in experiments that are planned for
their worst prediction (Kiefer and Wolfowitz 1960). Else it plays what it recommends. So it explores
as often as it may be wrong.
"""

import itertools
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import minimize
from scipy.stats import qmc

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.exact import Hypergradient
from bilevelrl.core.follower import NotConverged
from bilevelrl.core.observations import Observations, discounted_return
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.thermal_control.building import Building
from bilevelrl.problems.thermal_control.exact import components, thermal_hypergradient, weighted
from bilevelrl.problems.thermal_control.follower import ThermalRegulator
from bilevelrl.problems.thermal_control.identified import BuildingBelief

#: Designs keep so far from α, β = 0 and 1, whose logits are infinite.
_MARGIN = 1e-4
#: Two to this power designs are looked at, to climb from the best of them.
_LOOKS = 6
#: Relative change of J at which a climb ends.
_TOLERANCE = 1e-7


@dataclass(frozen=True, eq=False)
class PlanningLeader:
    """Implements `sampled.Learner`; in place of the follower's answer it is told of its belief.

    Attributes:
        temperature: β of each run, shape (R,).
        num_parameters: D.
        worth: of exploring, in J.
        tolerance, max_iterations: of the best responses in its plans, see `ThermalRegulator`.
    """

    temperature: Floats
    num_parameters: int
    worth: float
    tolerance: float = 1e-10
    max_iterations: int = 50

    def start(self, streams: Streams) -> Memory:
        """Every lever in the middle."""
        return {"recommended": np.zeros((len(streams.seeds), self.num_parameters))}

    def acts_at_random(self, memory: Memory) -> bool:
        """The leader does not act."""
        del memory
        return False

    def learn(
        self,
        theta: Floats,
        response: BuildingBelief,
        batch: Observations,
        memory: Memory,
        streams: Streams,
    ) -> Estimate:
        """The exact hypergradient of the best guess at θ, and what to play and to recommend."""
        direct, indirect = np.zeros_like(theta), np.zeros_like(theta)
        proposal, recommended = theta.copy(), memory["recommended"]
        normals = streams.normals("actor", response.guess.shape[1:])
        for run in range(len(theta)):
            expected, drawn = response.expected(run), response.drawn(run, normals[run])
            try:
                found = hypergradient(self._regulator(expected, run, 1), theta[run : run + 1])
                direct[run], indirect[run] = found.direct[0], found.indirect[0]
                recommended[run] = self._plan(expected, run, recommended[run])[0]
                sure = self._gain(drawn, run, recommended[run]) <= self.worth
            except NotConverged:
                # There is none in a building in which something grows that no unit reaches.
                sure = False
            proposal[run] = recommended[run] if sure else self._least_known(response, run)
        return Estimate(
            direct,
            indirect,
            discounted_return(batch.leader_reward, response.horizon, response.discount),
            env_steps=batch.leader_reward.shape[1],
            proposal=proposal,
            recommended=recommended.copy(),
        )

    def _gain(self, building: Building, run: int, theta: Floats) -> float:
        """By how much the best design of a building is better than θ."""
        _, best = self._plan(building, run, theta)
        own = hypergradient(self._regulator(building, run, 1), theta[None])
        return best - float(own.leader_return[0])

    def _least_known(self, belief: BuildingBelief, run: int) -> Floats:
        corners = _corners(self.num_parameters)
        least: Floats = corners[belief.doubt(run, corners).argmax()]
        return least

    def _plan(self, building: Building, run: int, last: Floats) -> tuple[Floats, float]:
        """The best θ that climbs find, shape (D,), and its J.

        They start from where every lever is in the middle, from `last`, and from the best of some
        designs that fill the space.
        """
        looks = _looks(self.num_parameters)
        many = self._regulator(building, run, len(looks))
        parts = components(building, looks, many.respond(looks))
        starts = [np.zeros(self.num_parameters), last, looks[weighted(building, parts).argmax()]]
        one = self._regulator(building, run, 1)
        return max((climb(one, start) for start in starts), key=lambda climbed: climbed[1])

    def _regulator(self, building: Building, run: int, number: int) -> ThermalRegulator:
        beta = np.full(number, self.temperature[run])
        return ThermalRegulator(building, beta, self.tolerance, self.max_iterations)


def hypergradient(follower: ThermalRegulator, theta: Floats) -> Hypergradient:
    """Exact in the follower's building, at θ, shape (R, D)."""
    return thermal_hypergradient(follower, theta, follower.respond(theta))


def climb(follower: ThermalRegulator, start: Floats) -> tuple[Floats, float]:
    """The θ, shape (D,), where a climb of J in the follower's building ends, and J there.

    L-BFGS-B on the levels themselves: in their logits, slopes vanish where a climb went too far.
    """

    def loss(levels: Floats) -> tuple[float, Floats]:
        found = hypergradient(follower, _logits(levels)[None])
        return -float(found.leader_return[0]), -found.total[0] / (levels * (1.0 - levels))

    first = np.clip(0.5 * (1.0 + np.tanh(0.5 * start)), _MARGIN, 1.0 - _MARGIN)
    bounds = [(_MARGIN, 1.0 - _MARGIN)] * len(start)
    done = minimize(
        loss, first, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": _TOLERANCE}
    )
    return _logits(done.x), -float(done.fun)


def _logits(levels: Floats) -> Floats:
    logits: Floats = np.log(levels) - np.log1p(-levels)
    return logits


@cache
def _looks(size: int) -> Floats:
    """Logits of levels that fill the space, shape (2^_LOOKS, D)."""
    points = qmc.Sobol(size, scramble=False).random_base2(_LOOKS)
    return _logits(np.clip(points, _MARGIN, 1.0 - _MARGIN))


@cache
def _corners(size: int) -> Floats:
    """Logits of all levels that are 0 or 1, shape (2^D, D)."""
    levels = np.array(list(itertools.product([_MARGIN, 1.0 - _MARGIN], repeat=size)))
    return _logits(levels)
