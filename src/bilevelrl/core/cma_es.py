"""CMA-ES: a black box that evaluates J where it likes and never asks for a gradient.

Source: Hansen and Ostermeier 2001, as implemented by the library `cma`, which is imported when a
run starts. What the library draws comes from the run's own stream.
"""

from dataclasses import dataclass
from typing import Any, Generic

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.cell import Group, per_run
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.follower import Response
from bilevelrl.core.seeding import Streams
from bilevelrl.core.zero_order import Solvable


@dataclass(eq=False)
class Draws:
    """Standard normals that were drawn for the library, handed out once each.

    Attributes:
        left: what was drawn and not asked for yet, shape (N, D).
    """

    left: Floats

    def __call__(self, number: int, size: int) -> Floats:
        """The next `number` rows of `size` entries.

        Raises:
            ValueError: if they were not drawn.
        """
        if size != self.left.shape[1] or number > len(self.left):
            raise ValueError(f"asked for {(number, size)} numbers where {self.left.shape} are left")
        given, self.left = self.left[:number], self.left[number:]
        return given


@dataclass(frozen=True, eq=False)
class CMAES(Generic[Response]):
    """Every update evaluates `population_size` neighbours of θ, and moves to their weighted mean.

    θ is the mean of the search distribution, what the library recommends. There is no estimate of
    dJ/dθ: both parts are 0. A population costs as many answers of the follower and values of J; the
    value at θ itself is measured for the records only.

    Attributes:
        game: whose J is evaluated.
        spread: first standard deviation of neighbours, in units of θ, shape (R,).
        population_size: of each update, at least 3.
        bounds: that neighbours and θ stay within, lower and upper; None does without.

    Raises:
        ValueError: if the population is smaller, a spread is not positive, or the bounds are empty.
    """

    game: Solvable[Response]
    spread: Floats
    population_size: int
    bounds: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.population_size < 3:
            raise ValueError(f"population_size = {self.population_size}: must be at least 3")
        if not ((self.spread > 0.0) & np.isfinite(self.spread)).all():
            raise ValueError(f"spread = {self.spread}: must be positive")
        if self.bounds is not None and not self.bounds[0] < self.bounds[1]:
            raise ValueError(f"bounds = {self.bounds}: nothing is between")

    def start(self, streams: Streams) -> Memory:
        """The searches, an object per run, made at the first θ; the follower's warm start."""
        num_runs = len(streams.seeds)
        return {
            "search": np.full(num_runs, None, dtype=object),
            "follower": self.game.follower_memory(num_runs, streams),
        }

    def estimate(
        self, theta: Floats, response: Response, memory: Memory, streams: Streams
    ) -> Estimate:
        """Evaluate J at the neighbours; `proposal` is where the search has moved."""
        del response
        searches, shape = memory["search"], (self.population_size, theta.shape[1])
        drawn = streams.normals("zero_order", shape)
        for run, own in enumerate(theta):
            if searches[run] is None:
                searches[run] = self._begin(own, float(self.spread[run]))
            searches[run].opts["randn"].left = drawn[run]
        # Runs by neighbours: what one run asks for does not depend on the others.
        asked = np.stack([np.stack(search.ask()) for search in searches])
        values = np.empty((len(theta), self.population_size))
        for place in range(self.population_size):
            neighbour = np.ascontiguousarray(asked[:, place])
            answer = self.game.respond(neighbour, memory["follower"], streams)
            values[:, place] = self.game.objective(neighbour, answer)
        for search, points, own in zip(searches, asked, values, strict=True):
            search.tell(list(points), (-own).tolist())
        nothing = np.zeros_like(theta)
        return Estimate(
            nothing, nothing, np.full(len(theta), np.nan),
            proposal=np.stack([search.result.xfavorite for search in searches]),
        )  # fmt: skip

    def _begin(self, theta: Floats, spread: float) -> Any:
        import cma

        options = {
            "popsize": self.population_size, "randn": Draws(np.empty((0, len(theta)))),
            "seed": np.nan, "verbose": -9, "bounds": list(self.bounds or (None, None)),
        }  # fmt: skip
        return cma.CMAEvolutionStrategy(theta, spread, options)


def cma_es(group: Group[Any, Any]) -> CMAES[Any]:
    """CMA-ES without bounds."""
    return bounded(group, None)


def bounded(group: Group[Any, Any], bounds: tuple[float, float] | None) -> CMAES[Any]:
    """CMA-ES within bounds of every coordinate, with what its setting says."""
    return CMAES(
        group.game, per_run(group.settings, "spread"), group.shared.population_size, bounds
    )
