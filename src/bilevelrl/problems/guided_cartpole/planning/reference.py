"""What can be said of a θ with the true dynamics: the problem's ground truth."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.observations import discounted_return
from bilevelrl.core.training import GroundTruth
from bilevelrl.models.deep.players import Player
from bilevelrl.problems.guided_cartpole.planning.best_response import best_response
from bilevelrl.problems.guided_cartpole.planning.hypergradient import Planned, planned
from bilevelrl.problems.guided_cartpole.planning.planner import Planner
from bilevelrl.problems.guided_cartpole.planning.player import PlannedPlayer
from bilevelrl.problems.guided_cartpole.rollout import CartPoleBatch, CartPoleRollout
from bilevelrl.problems.guided_cartpole.view import follower_observation


@dataclass(frozen=True, eq=False)
class Answer:
    """One θ, solved on the grid.

    Attributes:
        player: the best response.
        planned: J and its gradient in the game on the grid.
        leader_return: J by simulation, against the best response.
        soft_return: the follower's discounted rewards and entropy, there.
    """

    player: PlannedPlayer
    planned: Planned
    leader_return: float
    soft_return: float


@dataclass(frozen=True, eq=False)
class Noting:
    """A `Player` that notes the log densities of what it does, step by step."""

    player: Player
    densities: list[Floats] = field(default_factory=list)

    def act(self, state: Floats, normals: Floats) -> tuple[Floats, Floats]:
        """See `Player`."""
        action, density = self.player.act(state, normals)
        self.densities.append(density)
        return action, density


@dataclass(frozen=True, eq=False)
class Reference:
    """Best responses, J and hypergradients on the grid, with the true dynamics.

    Every θ is solved from the same first guess: what is found does not depend on what was asked
    before. The answers to as many θ as there are runs are remembered.

    Attributes:
        rollout: the problem and its leader.
        planner: the grid.
        uniforms: of the episodes that J and the follower's return are estimated with, (E, 4 + T).
        normals: likewise, shape (E, T).
    """

    rollout: CartPoleRollout
    planner: Planner
    uniforms: Floats
    normals: Floats
    _answers: dict[tuple[int, bytes, float], Answer] = field(default_factory=dict, init=False)

    def truth(self, theta: Floats, temperature: Floats, agents: Sequence[Player]) -> GroundTruth:
        """See `Game.ground_truth`; the followers' errors are estimated over the episodes."""
        rows, gaps, divergences = [], [], []
        for run, agent in enumerate(agents):
            own = self.answer(run, theta[run], float(temperature[run]))
            soft_return, divergence = self._played(theta[run], agent, own.player)
            rows.append(own)
            gaps.append(own.soft_return - soft_return)
            divergences.append(divergence)
        return GroundTruth(
            np.stack([own.planned.direct + own.planned.indirect for own in rows]),
            np.array([own.leader_return for own in rows]),
            np.array(divergences),
            np.array(gaps),
        )

    def leader_return(self, theta: Floats, temperature: Floats) -> Floats:
        """J against the best response, by simulation, shape (R,)."""
        runs = enumerate(zip(theta, temperature.tolist(), strict=True))
        return np.array([self.answer(run, *own).leader_return for run, own in runs])

    def answer(self, run: int, theta: Floats, temperature: float) -> Answer:
        """Of one run's θ, shape (D,)."""
        key = (run, theta.tobytes(), temperature)
        if key not in self._answers:
            for old in [other for other in self._answers if other[0] == run]:
                del self._answers[old]
            self._answers[key] = self._solved(theta, temperature)
        return self._answers[key]

    def _solved(self, theta: Floats, temperature: float) -> Answer:
        problem = self.rollout.problem
        discounts = problem.leader_discount, problem.follower_discount
        response = best_response(self.planner, theta, temperature, discounts[1])
        found = planned(
            self.planner, theta, response, temperature, discounts, problem.max_episode_steps
        )
        player = PlannedPlayer(self.planner, response.value, temperature, discounts[1])
        batch, _, soft_return = self._simulated(theta, player, temperature)
        horizon = problem.max_episode_steps
        leader_return = discounted_return(batch.leader_reward, horizon, discounts[0])
        return Answer(player, found, float(leader_return[0]), soft_return)

    def _simulated(
        self, theta: Floats, player: Player, temperature: float
    ) -> tuple[CartPoleBatch, Floats, float]:
        """Episodes, the log densities of what was played, shape (E T,), and the soft return."""
        noting, horizon = Noting(player), self.normals.shape[1]
        batch = self.rollout.play(theta[None], [noting], [self.uniforms], [self.normals])
        density = np.zeros(self.normals.shape)
        density[:, : len(noting.densities)] = np.stack(noting.densities, axis=1)
        alive = batch.alive[0].reshape(self.normals.shape)
        discounts = self.rollout.problem.follower_discount ** np.arange(horizon)
        paid = (alive * (1.0 - temperature * density)) @ discounts
        return batch, density.ravel(), float(paid.mean())

    def _played(self, theta: Floats, agent: Player, best: PlannedPlayer) -> tuple[float, float]:
        """An agent's soft return, and its KL to the best response where it goes."""
        batch, density, soft_return = self._simulated(theta, agent, best.temperature)
        alive = batch.alive[0]
        wind = self.rollout.winds[batch.leader_action[0][alive]]
        seen = follower_observation(batch.state[0][alive], wind)
        optimal = best.log_density(seen, batch.follower_action[0][alive])
        return soft_return, float((density[alive] - optimal).mean())
