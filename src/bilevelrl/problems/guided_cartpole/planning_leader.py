"""A leader of the guided cart-pole that plans in the model that it identified.

It plans its follower's best response there, and takes the exact hypergradient of that game.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.observations import discounted_return
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.guided_cartpole.planning.best_response import best_response
from bilevelrl.problems.guided_cartpole.planning.grid import GridParams
from bilevelrl.problems.guided_cartpole.planning.hypergradient import planned
from bilevelrl.problems.guided_cartpole.planning.mechanics import Mechanics
from bilevelrl.problems.guided_cartpole.planning.planner import Planner
from bilevelrl.problems.guided_cartpole.planning.player import PlannedPlayer
from bilevelrl.problems.guided_cartpole.policy import ModulePolicy
from bilevelrl.problems.guided_cartpole.rollout import CartPoleBatch
from bilevelrl.problems.guided_cartpole.view import follower_observation


@dataclass(frozen=True, eq=False)
class PlanningLeader:
    """Implements `sampled.Learner`; in place of the follower's answer it is told of a model.

    Attributes:
        policy: of the leader.
        winds: that it chooses from, shape (A,).
        temperature: β of each run, shape (R,).
        discounts: γ_L and γ_F.
        horizon: T.
        grid: that it plans on.
        most_surprise: nats by which the follower's choices may contradict the plan, see
            `PlannedPlayer.surprise`: from here on, the leader no longer reckons with its response
            to θ; up to half of it, it does in full. None never does.
    """

    policy: ModulePolicy
    winds: Floats
    temperature: Floats
    discounts: tuple[float, float]
    horizon: int
    grid: GridParams
    most_surprise: float | None = None

    def start(self, streams: Streams) -> Memory:
        """No plan yet, which is the last v_F, shape (R, K, L, N)."""
        grid = self.grid
        shape = (grid.angles, grid.rotations, grid.speeds * grid.positions)
        return {"plan": np.full((len(streams.seeds), *shape), np.nan, np.float32)}

    def acts_at_random(self, memory: Memory) -> bool:
        """The leader always follows θ."""
        del memory
        return False

    def learn(
        self,
        theta: Floats,
        response: Sequence[Mechanics],
        batch: CartPoleBatch,
        memory: Memory,
        streams: Streams,
    ) -> Estimate:
        """The exact hypergradient of the models, one per run."""
        del streams
        direct, indirect = np.zeros_like(theta), np.zeros_like(theta)
        discount = self.discounts[1]
        for run, beta in enumerate(self.temperature.tolist()):
            planner = Planner(response[run], self.policy, self.winds, self.grid)
            last = memory["plan"][run]
            guess = None if np.isnan(last[0, 0, 0]) else last.copy()
            answer = best_response(planner, theta[run], beta, discount, guess)
            last[:] = answer.value
            trust = self._trust(batch, run, PlannedPlayer(planner, answer.value, beta, discount))
            found = planned(
                planner, theta[run], answer, beta, self.discounts, self.horizon,
                indirect=trust > 0.0,
            )  # fmt: skip
            direct[run], indirect[run] = found.direct, trust * found.indirect
        return Estimate(
            direct,
            indirect,
            discounted_return(batch.leader_reward, self.horizon, self.discounts[0]),
            env_steps=batch.leader_reward.shape[1],
        )

    def _trust(self, batch: CartPoleBatch, run: int, player: PlannedPlayer) -> float:
        if self.most_surprise is None:
            return 0.0
        alive = batch.alive[run]
        wind = self.winds[batch.leader_action[run][alive]]
        seen = follower_observation(batch.state[run][alive], wind)
        surprise = player.surprise(seen, batch.follower_action[run][alive])
        return float(np.clip(2.0 - 2.0 * surprise / self.most_surprise, 0.0, 1.0))
