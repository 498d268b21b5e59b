"""On-policy batches of the guided cart-pole."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.core.observations import Observations
from bilevelrl.models.deep.players import Player
from bilevelrl.problems.guided_cartpole.policy import ModulePolicy
from bilevelrl.problems.guided_cartpole.problem import GuidedCartPole
from bilevelrl.problems.guided_cartpole.view import follower_observation, scaled

Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class CartPoleBatch(Observations):
    """Episodes one after the other, all stretched to the problem's last step.

    Leader actions are numbers of winds, and follower actions vectors of length 1. After a fall the
    state stays where it is, and nobody gets a reward.

    Attributes:
        alive: whether the episode was still going on, shape (R, N).
        terminated: whether this step ended it by a fall, shape (R, N).
    """

    alive: Flags = field(kw_only=True)
    terminated: Flags = field(kw_only=True)


@dataclass(frozen=True, eq=False)
class CartPoleRollout:
    """Whole episodes of `GuidedCartPole`.

    Attributes:
        problem: the bi-level problem.
        policy: of the leader.
        winds: that it chooses from, shape (A,).
    """

    problem: GuidedCartPole
    policy: ModulePolicy
    winds: Floats

    def play(
        self,
        theta: Floats,
        agents: Sequence[Player],
        uniforms: Iterable[Floats],
        normals: Iterable[Floats],
    ) -> CartPoleBatch:
        """E episodes of every run, each run by itself.

        Args:
            theta: leader parameters, shape (R, D).
            agents: followers, length R, which act on `follower_observation`.
            uniforms: in [0, 1), shape (R, E, 4 + T): of first states and of the leader.
            normals: of the followers, shape (R, E, T).

        Returns:
            N = E T transitions per run.
        """
        played = [self._play(*run) for run in zip(theta, agents, uniforms, normals, strict=True)]
        arrays = (np.stack(part) for part in zip(*played, strict=True))
        state, wind, push, after, alive, fell = (
            array.reshape(len(theta), -1, *array.shape[3:]) for array in arrays
        )
        reward = np.where(alive, self.problem.leader_reward(after), 0.0)
        return CartPoleBatch(
            state, wind, push, after, reward, alive.astype(np.float64), alive=alive, terminated=fell
        )

    def _play(
        self, theta: Floats, agent: Player, uniforms: Floats, normals: Floats
    ) -> tuple[Floats, Index, Floats, Floats, Flags, Flags]:
        episodes, horizon = normals.shape
        state, after = np.empty((2, episodes, horizon, 4))
        wind = np.zeros((episodes, horizon), dtype=np.int64)
        push = np.zeros((episodes, horizon, 1))
        alive, fell = np.zeros((2, episodes, horizon), dtype=np.bool_)
        here, going = self.problem.first_state(uniforms[:, :4]), np.ones(episodes, dtype=np.bool_)
        for t in range(horizon):
            state[:, t], alive[:, t] = here, going
            if going.any():
                wind[:, t] = self.policy.choose(theta, scaled(here), uniforms[:, 4 + t])
                blown = self.winds[wind[:, t]]
                seen = follower_observation(here, blown)
                push[:, t] = agent.act(seen, normals[:, t, None])[0]
                moved = self.problem.transition(here, blown, push[:, t, 0])
                here = np.where(going[:, None], moved, here)
                fell[:, t] = going & self.problem.fallen(here)
                going = going & ~fell[:, t]
            after[:, t] = here
        return state, wind, push, after, alive, fell
