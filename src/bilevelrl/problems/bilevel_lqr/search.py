"""J of BilevelLQR over the leader's gain: a map, the best known gain, and what it looks like."""

from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd

from bilevelrl.core.arrays import Floats
from bilevelrl.core.exact import Hypergradient
from bilevelrl.core.follower import NotConverged
from bilevelrl.core.games import AscentParams
from bilevelrl.core.observations import discounted_return
from bilevelrl.core.problem import Problem, RunTasks
from bilevelrl.core.search import Searched, climb, climbed
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.bilevel_lqr.cell import exact_game
from bilevelrl.problems.bilevel_lqr.exact import lqr_hypergradient
from bilevelrl.problems.bilevel_lqr.game import LinearGame
from bilevelrl.problems.bilevel_lqr.rollout import LinearRollout
from bilevelrl.problems.bilevel_lqr.settings import BilevelLQRBlock

#: The gains behind the paper's histogram.
PAPER_GAINS = {"paper: BC-HG": (-9.683, -10.25), "paper: Naive-PGD": (-7.59, 0.9306)}


@dataclass(frozen=True, eq=False)
class LqrLandscape:
    """Implements `core.search.Landscape`; the game's one temperature is that of any number of θ."""

    game: LinearGame

    def returns(self, theta: Floats) -> Floats:
        """The reported J at θ, shape (N, D); shape (N,)."""
        return self.game.leader_return(theta, self.game.follower.respond(theta))

    def initial_return(self, starts: Floats) -> float:
        """Mean of J over the starts."""
        return float(self.returns(starts).mean())

    def climb(self, search: AscentParams) -> tuple[Floats, Floats, Floats]:
        """Exact ascent of the reported J, see `core.search.climb`."""
        game = self.game

        def hypergradient(theta: Floats) -> Hypergradient:
            response = game.follower.respond(theta)
            return lqr_hypergradient(game.follower, theta, response, game.return_discount)

        return climb(hypergradient, game.problem.num_parameters, search)

    def table(self) -> pd.DataFrame:
        """Columns k1, k2, leader_return on a grid; empty where no follower can answer."""
        first, second = np.linspace(-14.0, 4.0, 181), np.linspace(-16.0, 6.0, 111)
        grid = np.stack(np.meshgrid(first, second, indexing="ij"), axis=-1).reshape(-1, 2)
        value = np.concatenate([self._answered(block) for block in np.array_split(grid, 200)])
        return pd.DataFrame({"k1": grid[:, 0], "k2": grid[:, 1], "leader_return": value})

    def _answered(self, theta: Floats) -> Floats:
        """`returns`, NaN where no follower can answer."""
        try:
            return self.returns(theta)
        except NotConverged:
            if len(theta) == 1:
                return np.array([np.nan])
            return np.concatenate([self._answered(one[None]) for one in theta])

    def simulate(
        self, gains: dict[str, tuple[float, ...]], seed: int, steps: int = 200
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Play given gains against their best responses.

        Returns:
            Columns gain, episode, step, x1, x2 of five episodes each, and columns gain,
            leader_return (discounted over `steps`) of 1,000 episodes each.
        """
        problem = replace(self.game.problem, max_episode_steps=steps)
        paths, totals = [], []
        for label, gain in gains.items():
            theta = np.tile(np.array(gain), (1000, 1))
            response, streams = self.game.follower.respond(theta), Streams(range(seed, seed + 1000))
            batch = LinearRollout(problem, 1).observe(theta, response, streams, at_random=False)
            total = discounted_return(batch.leader_reward, steps, problem.leader_discount)
            totals.append(pd.DataFrame({"gain": label, "leader_return": total}))
            for episode, state in enumerate(batch.state[:5]):
                place = {"gain": label, "episode": episode, "step": np.arange(steps)}
                paths.append(pd.DataFrame(place | {"x1": state[:, 0], "x2": state[:, 1]}))
        return pd.concat(paths, ignore_index=True), pd.concat(totals, ignore_index=True)


def landscape(problem: Problem[BilevelLQRBlock], temperature: float) -> LqrLandscape:
    """J at one temperature, with the leader's noise of params.yaml."""
    block, beta = problem.block, np.array([temperature])
    return LqrLandscape(
        exact_game(block.constants, problem.followers, block.training, beta, np.zeros(1))
    )


def search(problem: Problem[BilevelLQRBlock], run_tasks: RunTasks) -> Searched:
    """Exact ascent from many starts, a map of J, and what known gains look like."""
    del run_tasks
    own, first = problem.block.search, landscape(problem, problem.temperatures[0])
    searched = climbed(asdict(first.game.problem), own, lambda beta: landscape(problem, beta))
    best = searched.best_theta[f"published_{problem.temperatures[0]}"]
    gains = PAPER_GAINS | {"best known": tuple(best)}
    paths, totals = first.simulate(gains, own.seed)
    searched.tables |= {"landscape": first.table(), "simulations": paths, "returns": totals}
    return searched
