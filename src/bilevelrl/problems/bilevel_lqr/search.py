"""J of BilevelLQR over the leader's gain: a map, the best known gain, and what it looks like."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bilevelrl.core.blocks import FollowerParams
from bilevelrl.core.exact import Hypergradient
from bilevelrl.core.follower import NotConverged
from bilevelrl.core.games import AscentParams
from bilevelrl.core.observations import discounted_return
from bilevelrl.core.problem import Problem, RunTasks
from bilevelrl.core.search import Searched, climb, climbed
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.bilevel_lqr.cell import make_problem
from bilevelrl.problems.bilevel_lqr.exact import lqr_hypergradient, lqr_leader_return
from bilevelrl.problems.bilevel_lqr.follower import MaxEntropyLQR
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR
from bilevelrl.problems.bilevel_lqr.rollout import LinearRollout
from bilevelrl.problems.bilevel_lqr.settings import (
    BilevelLQRBlock,
    BilevelLQRLeaders,
    BilevelLQRParams,
)

Floats = NDArray[np.float64]
#: The gains behind the paper's histogram.
PAPER_GAINS = {"paper: BC-HG": (-9.683, -10.25), "paper: Naive-PGD": (-7.59, 0.9306)}


@dataclass(frozen=True, eq=False)
class LqrLandscape:
    """BilevelLQR with its exact follower.

    Attributes:
        constants: of the problem.
        followers: accuracy of the best response.
        leaders: supplies the leader's noise and which J is reported.
        temperature: β.
    """

    constants: BilevelLQRParams
    followers: FollowerParams[Any]
    leaders: BilevelLQRLeaders
    temperature: float

    @property
    def problem(self) -> BilevelLQR:
        """With the leader's noise of params.yaml."""
        return make_problem(self.constants, self.leaders.leader_noise)

    @property
    def discount(self) -> float:
        """Of the J that is reported."""
        return self.constants.leader_discount if self.leaders.returns == "discounted" else 1.0

    def follower(self, number: int) -> MaxEntropyLQR:
        """The exact best response of `number` runs."""
        temperature = np.full(number, self.temperature)
        accuracy = (self.followers.tolerance, self.followers.max_iterations)
        return MaxEntropyLQR(self.problem, temperature, *accuracy)

    def returns(self, theta: Floats) -> Floats:
        """J at θ, shape (N, D); shape (N,)."""
        return lqr_leader_return(
            self.problem,
            theta,
            np.full(len(theta), self.temperature),
            discount=self.discount,
            horizon=self.constants.max_episode_steps,
            response=self.follower(len(theta)).respond(theta),
        )

    def initial_return(self, starts: Floats) -> float:
        """Mean of J over the starts."""
        return float(self.returns(starts).mean())

    def climb(self, search: AscentParams) -> tuple[Floats, Floats, Floats]:
        """Exact ascent of the reported J, see `core.search.climb`."""
        temperature = np.full(search.starts, self.temperature)

        def hypergradient(theta: Floats) -> Hypergradient:
            return lqr_hypergradient(
                self.problem,
                theta,
                temperature,
                discount=self.discount,
                horizon=self.constants.max_episode_steps,
                response=self.follower(search.starts).respond(theta),
            )

        return climb(hypergradient, self.problem.num_parameters, search)

    def table(self) -> pd.DataFrame:
        """Columns k1, k2, leader_return on a grid; empty where no follower can answer."""
        first, second = np.linspace(-14.0, 4.0, 181), np.linspace(-16.0, 6.0, 111)
        grid = np.stack(np.meshgrid(first, second, indexing="ij"), axis=-1).reshape(-1, 2)
        value = np.full(len(grid), np.nan)
        for block in np.array_split(np.arange(len(grid)), 200):
            try:
                value[block] = self.returns(grid[block])
            except NotConverged:
                for point in block:
                    value[point] = self._one(grid[point])
        return pd.DataFrame({"k1": grid[:, 0], "k2": grid[:, 1], "leader_return": value})

    def _one(self, theta: Floats) -> float:
        try:
            return float(self.returns(theta[None])[0])
        except NotConverged:
            return float("nan")

    def simulate(
        self, gains: dict[str, tuple[float, ...]], seed: int, steps: int = 200
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Play given gains against their best responses.

        Returns:
            Columns gain, episode, step, x1, x2 of five episodes each, and columns gain,
            leader_return (discounted over `steps`) of 1,000 episodes each.
        """
        problem = make_problem(
            self.constants.model_copy(update={"max_episode_steps": steps}),
            self.leaders.leader_noise,
        )
        paths, totals = [], []
        for label, gain in gains.items():
            theta = np.tile(np.array(gain), (1000, 1))
            response = self.follower(1000).respond(theta)
            rollout = LinearRollout(problem, 1, np.full(1000, problem.leader_noise))
            streams = Streams([seed + episode for episode in range(1000)])
            batch = rollout.sample(theta, response, streams, at_random=False)
            total = discounted_return(batch.leader_reward, steps, problem.leader_discount)
            totals.append(pd.DataFrame({"gain": label, "leader_return": total}))
            for episode in range(5):
                state = batch.state[episode]
                path = {"episode": episode, "step": np.arange(steps)}
                path |= {"x1": state[:, 0], "x2": state[:, 1]}
                paths.append(pd.DataFrame(path).assign(gain=label))
        columns = ["gain", "episode", "step", "x1", "x2"]
        return pd.concat(paths, ignore_index=True)[columns], pd.concat(totals, ignore_index=True)


def search(problem: Problem[BilevelLQRBlock], run_tasks: RunTasks) -> Searched:
    """Exact ascent from many starts, a map of J, and what known gains look like."""
    del run_tasks
    block = problem.block

    def landscape(temperature: float) -> LqrLandscape:
        return LqrLandscape(block.constants, problem.followers, block.training, temperature)

    first = landscape(problem.temperatures[0])
    searched = climbed(asdict(first.problem), block.search, landscape)
    best = searched.best_theta[f"published_{problem.temperatures[0]}"]
    gains = PAPER_GAINS | {"best known": tuple(best)}
    paths, totals = first.simulate(gains, block.search.seed)
    searched.tables |= {"landscape": first.table(), "simulations": paths, "returns": totals}
    return searched
