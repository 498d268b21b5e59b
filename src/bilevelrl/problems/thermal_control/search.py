"""J of building thermal control over the design: the best known one, named ones, random ones."""

from dataclasses import asdict, dataclass
from functools import cached_property, partial

import numpy as np
import pandas as pd

from bilevelrl.core.arrays import Floats
from bilevelrl.core.blocks import FollowerParams
from bilevelrl.core.exact import Hypergradient
from bilevelrl.core.games import AscentParams
from bilevelrl.core.observations import discounted_return
from bilevelrl.core.problem import Problem, RunTasks
from bilevelrl.core.search import Searched, climb, climbed
from bilevelrl.core.seeding import Streams
from bilevelrl.models.deep.settings import ComparedSacParams
from bilevelrl.problems.thermal_control.cell import make_problem
from bilevelrl.problems.thermal_control.exact import (
    components,
    spectral_radius,
    thermal_hypergradient,
    weighted,
)
from bilevelrl.problems.thermal_control.follower import ThermalRegulator
from bilevelrl.problems.thermal_control.problem import ThermalControl
from bilevelrl.problems.thermal_control.rollout import ThermalRollout
from bilevelrl.problems.thermal_control.settings import (
    ThermalControlBlock,
    ThermalControlParams,
    ThermalSearchParams,
)

#: Designs by all levels of insulation and of airflow.
DESIGNS = {
    "start": (0.5, 0.5),
    "all 1": (1.0, 1.0),
    "all 0": (0.0, 0.0),
    "full insulation": (1.0, 0.5),
    "full airflow": (0.5, 1.0),
}
_CHUNK = 250  # random designs that are simulated together
_TASK = 2500  # in one process


@dataclass(frozen=True, eq=False)
class ThermalLandscape:
    """Building thermal control with its exact follower.

    Attributes:
        constants: of the problem.
        followers: accuracy of the best response.
        temperature: β.
    """

    constants: ThermalControlParams
    followers: FollowerParams[ComparedSacParams]
    temperature: float

    @cached_property
    def problem(self) -> ThermalControl:
        """With the constants of params.yaml."""
        return make_problem(self.constants)

    def follower(self, number: int) -> ThermalRegulator:
        """The exact best response of `number` runs."""
        accuracy = self.followers.tolerance, self.followers.max_iterations
        return ThermalRegulator(self.problem, np.full(number, self.temperature), *accuracy)

    def describe(self, theta: Floats) -> pd.DataFrame:
        """J, its components, the spectral radius and the design at θ, shape (N, D)."""
        problem, response = self.problem, self.follower(len(theta)).respond(theta)
        parts = components(problem, theta, response)
        radius = spectral_radius(problem, theta, response)
        known = {"leader_return": weighted(problem, parts), "spectral_radius": radius}
        return pd.DataFrame(known | parts | problem.design.named_levels(theta))

    def initial_return(self, starts: Floats) -> float:
        """J at θ = 0, around which the runs start."""
        return float(self.describe(np.zeros_like(starts[:1]))["leader_return"].iloc[0])

    def climb(self, search: AscentParams) -> tuple[Floats, Floats, Floats]:
        """Exact ascent, see `core.search.climb`."""
        follower = self.follower(search.starts)

        def hypergradient(theta: Floats) -> Hypergradient:
            return thermal_hypergradient(follower, theta, follower.respond(theta))

        return climb(hypergradient, self.problem.num_parameters, search)

    def designs(self, best: Floats) -> pd.DataFrame:
        """`describe` of the named designs and of the best known θ, shape (D,)."""
        zones = self.problem.num_zones
        levels = np.array([[a] * zones + [b] * zones for a, b in DESIGNS.values()])
        theta = np.vstack([_logit(levels), best])
        return self.describe(theta).assign(design=[*DESIGNS, "best known"])

    def random_search(self, search: ThermalSearchParams, run_tasks: RunTasks) -> pd.DataFrame:
        """`describe` of designs drawn uniformly, and what a few episodes of each show.

        Levels, not θ, are uniform.
        """
        shape = (search.samples, self.problem.num_parameters)
        theta = _logit(np.random.default_rng(search.seed).uniform(size=shape))
        tasks = [
            Shown(self, theta[first : first + _TASK], search.seed + first, search.sample_episodes)
            for first in range(0, search.samples, _TASK)
        ]
        shown = dict(run_tasks(sampled_returns, tasks, description="random designs"))
        returns = np.concatenate([shown[place] for place in range(len(tasks))])
        return self.describe(theta).assign(leader_return_sampled=returns)


@dataclass(frozen=True, eq=False)
class Shown:
    """Designs that are simulated in one process.

    Attributes:
        landscape: the problem.
        theta: shape (N, D).
        seed: of the first design; the others have the next ones.
        episodes: of each.
    """

    landscape: ThermalLandscape
    theta: Floats
    seed: int
    episodes: int


def sampled_returns(shown: Shown) -> Floats:
    """The mean discounted return that each design shows, shape (N,)."""
    problem, returns = shown.landscape.problem, []
    rollout = ThermalRollout(problem, shown.episodes)
    for first in range(0, len(shown.theta), _CHUNK):
        some = shown.theta[first : first + _CHUNK]
        streams = Streams(range(shown.seed + first, shown.seed + first + len(some)))
        batch = rollout.sample(some, shown.landscape.follower(len(some)).respond(some), streams)
        horizon = problem.max_episode_steps
        returns.append(discounted_return(batch.leader_reward, horizon, problem.discount))
    return np.concatenate(returns)


def _logit(levels: Floats) -> Floats:
    """θ of levels in [0, 1]; 0 and 1 become what double precision cannot tell from them."""
    with np.errstate(divide="ignore"):
        theta: Floats = np.clip(np.log(levels) - np.log1p(-levels), -40.0, 40.0)
    return theta


def search(problem: Problem[ThermalControlBlock], run_tasks: RunTasks) -> Searched:
    """Exact ascent from many starts, named designs, and random ones."""
    block = problem.block
    landscape = partial(ThermalLandscape, block.constants, problem.followers)
    first = landscape(problem.temperatures[0])
    searched = climbed(asdict(first.problem), block.search, landscape)
    best = searched.best_theta[f"published_{problem.temperatures[0]}"]
    searched.tables["designs"] = first.designs(best)
    searched.tables["random_search"] = first.random_search(block.search, run_tasks)
    return searched
