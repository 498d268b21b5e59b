"""Followers of the guided cart-pole that answer at once, with the best response on a grid."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.exact import Hypergradient
from bilevelrl.core.seeding import Streams
from bilevelrl.models.deep.game import AgentResponse
from bilevelrl.problems.guided_cartpole import cell
from bilevelrl.problems.guided_cartpole.planning.best_response import best_response
from bilevelrl.problems.guided_cartpole.planning.hypergradient import Planned, planned
from bilevelrl.problems.guided_cartpole.planning.mechanics import TrueMechanics
from bilevelrl.problems.guided_cartpole.planning.planner import Planner
from bilevelrl.problems.guided_cartpole.planning.player import PlannedPlayer
from bilevelrl.problems.guided_cartpole.rollout import CartPoleRollout
from bilevelrl.problems.guided_cartpole.settings import (
    GuidedCartPoleParams,
    PlannedCritic,
    ReferenceGrid,
)


class Solved(NamedTuple):
    """One θ on the grid: the follower's best response, J and its gradient."""

    player: PlannedPlayer
    planned: Planned


@dataclass(frozen=True, eq=False)
class BestResponses:
    """Of the true dynamics, each θ solved once.

    Attributes:
        rollout: the problem and its leader.
        planner: the grid.
    """

    rollout: CartPoleRollout
    planner: Planner
    _known: dict[tuple[bytes, float], Solved] = field(default_factory=dict, init=False)

    def to(self, theta: Floats, temperature: float) -> Solved:
        """What one θ, shape (D,), leads to at β."""
        key = (theta.tobytes(), temperature)
        if key not in self._known:
            problem = self.rollout.problem
            discounts = problem.leader_discount, problem.follower_discount
            answer = best_response(self.planner, theta, temperature, discounts[1])
            player = PlannedPlayer(self.planner, answer.value, temperature, discounts[1])
            horizon = problem.max_episode_steps
            found = planned(self.planner, theta, answer, temperature, discounts, horizon)
            self._known[key] = Solved(player, found)
        return self._known[key]

    def of_all(self, theta: Floats, temperature: Floats) -> list[Solved]:
        """One per run, of θ, shape (R, D), and β, shape (R,)."""
        return [self.to(*run) for run in zip(theta, temperature.tolist(), strict=True)]

    def hypergradient(self, theta: Floats, temperature: Floats) -> Hypergradient:
        """Exact on the grid, likewise."""
        found = [each.planned for each in self.of_all(theta, temperature)]
        return Hypergradient(
            np.stack([each.direct for each in found]),
            np.stack([each.indirect for each in found]),
            np.array([each.leader_return for each in found]),
        )


@lru_cache
def best_responses(
    constants: GuidedCartPoleParams,
    winds: tuple[float, ...],
    units: tuple[int, ...],
    grid: ReferenceGrid,
) -> BestResponses:
    """One per process, because all rungs ask for the same few θ."""
    rollout = cell.make_rollout(constants, winds, units)
    mechanics = TrueMechanics(rollout.problem)
    return BestResponses(rollout, Planner(mechanics, rollout.policy, rollout.winds, grid))


@dataclass(frozen=True, eq=False)
class AnsweredGame:
    """What the study asks of a game.

    Attributes:
        responses: of the followers.
        coarse: the same on the grid of training.
        temperature: β of each run, shape (R,).
        planner: grid of leaders that plan.
    """

    responses: BestResponses
    coarse: BestResponses
    temperature: Floats
    planner: PlannedCritic

    @property
    def rollout(self) -> CartPoleRollout:
        """The problem and its leader."""
        return self.responses.rollout

    def follower_memory(self, num_runs: int, streams: Streams) -> None:
        """Best responses need none."""
        del num_runs, streams

    def solved(self, theta: Floats) -> list[Solved]:
        """One per run, of θ, shape (R, D)."""
        return self.responses.of_all(theta, self.temperature)

    def respond(self, theta: Floats, memory: None, streams: Streams) -> AgentResponse:
        """The best responses."""
        del memory, streams
        return AgentResponse([each.player for each in self.solved(theta)], 0)

    def hypergradient(self, theta: Floats, response: AgentResponse) -> Hypergradient:
        """Exact on the grid of the responses."""
        del response
        return self.responses.hypergradient(theta, self.temperature)


@dataclass(frozen=True, eq=False)
class ExactOn:
    """Implements `core.estimator.Estimator`: the exact hypergradient on a grid.

    Attributes:
        responses: on that grid.
        temperature: β of each run, shape (R,).
        direct_only: whether the indirect term is left out.
    """

    responses: BestResponses
    temperature: Floats
    direct_only: bool = False

    def start(self, streams: Streams) -> Memory:
        """Nothing to remember."""
        del streams
        return {}

    def estimate(
        self, theta: Floats, response: AgentResponse, memory: Memory, streams: Streams
    ) -> Estimate:
        """Costs no transitions."""
        del response, memory, streams
        found = self.responses.hypergradient(theta, self.temperature)
        indirect = np.zeros_like(found.indirect) if self.direct_only else found.indirect
        return Estimate(found.direct, indirect, found.leader_return, env_steps=0)
