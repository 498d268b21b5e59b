"""J of the discrete toy as a function of the one probability that it depends on."""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from bilevelrl.core.arrays import Floats
from bilevelrl.core.blocks import FollowerParams
from bilevelrl.core.finite_settings import SoftQParams
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.problem import Problem, RunTasks
from bilevelrl.core.search import Searched
from bilevelrl.core.seeding import Streams
from bilevelrl.models.finite_game.estimators import order_of
from bilevelrl.models.finite_game.markov_game import MarkovGame, leader_return
from bilevelrl.models.finite_game.soft_q_iteration import (
    SoftQIteration,
    TruncatedSoftQ,
    optimality_gap,
)
from bilevelrl.problems.discrete_toy.cell import PROBABILITY, make_game
from bilevelrl.problems.discrete_toy.problem import STATE_NAMES
from bilevelrl.problems.discrete_toy.settings import DiscreteToyBlock

_GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0


def leader_policies(probability: Floats) -> Floats:
    """Leaders that play 1 with `probability` (N,) in A and uniformly elsewhere, (N, S, A)."""
    policies = np.full((len(probability), len(STATE_NAMES), 2), 0.5)
    revisited = STATE_NAMES.index("A")
    policies[:, revisited, 0], policies[:, revisited, 1] = 1.0 - probability, probability
    return policies


@dataclass(frozen=True, eq=False)
class ToyLandscape:
    """J of the toy with the exact follower of a variant, see `estimators.order_of`."""

    game: MarkovGame
    followers: FollowerParams[SoftQParams]
    variant: str
    temperature: float

    def best_response(self, probability: Floats) -> BestResponse:
        """Answers to leaders with these probabilities (N,)."""
        solver, beta = self.followers, np.full(len(probability), self.temperature)
        follower = SoftQIteration(
            self.game, beta, solver.tolerance, solver.max_iterations, order_of(self.variant)
        )
        return follower.respond(leader_policies(probability), follower.start(len(probability)))

    def returns(self, probability: Floats, returns: str) -> Floats:
        """J over an episode, "discounted" or "undiscounted", shape (N,)."""
        game, leader = self.game, leader_policies(probability)
        follower, horizon = self.best_response(probability).policy, game.max_episode_steps
        discount = game.leader_discount if returns == "discounted" else 1.0
        return leader_return(game, leader, follower, discount=discount, horizon=horizon)

    def table(self, points: int) -> pd.DataFrame:
        """Columns variant, probability, discounted, undiscounted on a regular grid of [0, 1]."""
        grid = np.linspace(0.0, 1.0, points)
        kinds = ("discounted", "undiscounted")
        return pd.DataFrame(
            {"variant": self.variant, "probability": grid}
            | {kind: self.returns(grid, kind) for kind in kinds}
        )

    def best(self, points: int, returns: str) -> tuple[float, float]:
        """(probability, J) at the highest J: a grid of `points`, then golden sections."""
        grid = np.linspace(0.0, 1.0, points)
        top = int(np.argmax(self.returns(grid, returns)))
        low, high = grid[max(0, top - 1)], grid[min(points - 1, top + 1)]
        for _ in range(60):
            inner = np.array([high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)])
            left, right = self.returns(inner, returns)
            low, high = (low, inner[1]) if left > right else (inner[0], high)
        centre = np.array([0.5 * (low + high)])
        return float(centre[0]), float(self.returns(centre, returns)[0])

    def convergence(self) -> pd.DataFrame:
        """Certified error of V_F and KL after so many sweeps of soft Q iteration from zero.

        Columns solver, iteration, accuracy, kl, for a uniform leader; the first row is the exact
        solver's.
        """
        start, beta, order = np.array([0.5]), np.array([self.temperature]), order_of(self.variant)
        optimum = self.best_response(start)
        rows = [("newton", int(optimum.iterations[0]), float(optimum.accuracy[0]), 0.0)]
        for sweeps in (1, 2, 5, 10, 50, 100, 500, 1000):
            follower = TruncatedSoftQ(self.game, beta, np.array([sweeps]), "carry", order)
            answer = follower.respond(leader_policies(start), follower.start(1), Streams([0]))
            gap = max(0.0, float(optimality_gap(answer.policy, optimum.policy)[0]))
            rows.append(("soft_q_iteration", sweeps, float(answer.accuracy[0]), gap))
        return pd.DataFrame(rows, columns=["solver", "iteration", "accuracy", "kl"])


def search(problem: Problem[DiscreteToyBlock], run_tasks: RunTasks) -> Searched:
    """J of every leader, and the best one, for both followers."""
    del run_tasks
    game, points = make_game(problem.block.constants), problem.block.search.points
    returns = problem.block.reported_return
    searched, tables = Searched(asdict(game)), []
    for variant in ("published", "corrected"):
        for temperature in problem.temperatures:
            landscape = ToyLandscape(game, problem.followers, variant, temperature)
            probability, best = landscape.best(points, returns)
            searched.best_theta[f"{variant}_{temperature}"] = np.array([probability])
            searched.add(
                variant,
                temperature,
                initial_return=float(landscape.returns(np.array([0.5]), returns)[0]),
                best_known=best,
                best_known_start=f"{PROBABILITY} = {probability:.6f}",
                num_starts=points,
            )
        first = ToyLandscape(game, problem.followers, variant, problem.temperatures[0])
        tables.append(first.table(201))
    searched.tables["landscape"] = pd.concat(tables, ignore_index=True)
    return searched
