"""Episodes of players at an equilibrium, as their leader sees them."""

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import kernel, parallel_kernel
from bilevelrl.core.seeding import Streams
from bilevelrl.models.logit_equilibrium.equilibrium import Equilibrium
from bilevelrl.models.logit_equilibrium.stochastic_game import StochasticGame

Places = NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class Episodes:
    """E episodes of each of R runs, of at most H steps.

    Attributes:
        state: s, -1 where the episode is over, shape (R, E, H).
        action: the joint one, -1 likewise, shape (R, E, H).
        reward: of every player, payments included, without the bonus for entropy, 0 where the
            episode is over, shape (R, E, H, N).
        leader_reward: without what the leader pays, 0 likewise, shape (R, E, H).
    """

    state: Places
    action: Places
    reward: Floats
    leader_reward: Floats

    @property
    def env_steps(self) -> int:
        """Transitions of a run as if no episode ended early: E · H."""
        _, episodes, horizon = self.state.shape
        return int(episodes * horizon)

    def leader_return(self, discount: float) -> Floats:
        """Mean over episodes of the leader's discounted rewards, shape (R,)."""
        weight = discount ** np.arange(self.state.shape[2])
        mean: Floats = (self.leader_reward * weight).sum(axis=2).mean(axis=1)
        return mean


def play(reached: Equilibrium, num_episodes: int, streams: Streams) -> Episodes:
    """Episodes of players who draw their actions independently of one another."""
    game, runs = reached.game, len(reached.policy)
    shape = (num_episodes, game.max_episode_steps)
    uniforms = streams.uniforms("rollout", (*shape, game.num_players + 2))
    state = np.full((runs, *shape), -1, dtype=np.int16)
    action = np.full((runs, *shape), -1, dtype=np.int16)
    _simulate(game.transition, game.initial, reached.policy, uniforms, state, action)
    return Episodes(state, action, *_rewards(game, reached.payments, state, action))


def _rewards(
    game: StochasticGame, payments: Floats, state: Places, action: Places
) -> tuple[Floats, Floats]:
    # At -1 both tables are read at their last entries, and then set to 0.
    lasts = state >= 0
    own = game.actions[action]  # (R, E, H, N)
    run = np.arange(len(state))[:, None, None, None]
    player = np.arange(game.num_players)
    reward = game.reward[player, state[..., None], action[..., None]]
    reward = reward + payments[run, player, state[..., None], own]
    return reward * lasts[..., None], game.leader_reward[state, action] * lasts


@kernel
def _draw(probabilities, uniform):  # type: ignore[no-untyped-def]
    # -1 where a number is beyond the sum of the probabilities, but for rounding.
    cumulative = 0.0
    for k in range(len(probabilities)):
        cumulative += probabilities[k]
        if uniform < cumulative:
            return k
    return len(probabilities) - 1 if cumulative > 1.0 - 1e-9 else -1


@parallel_kernel
def _simulate(transition, initial, policy, uniforms, state, action):  # type: ignore[no-untyped-def]
    runs, episodes, horizon, _ = uniforms.shape
    players, own = policy.shape[3:]
    for r in numba.prange(runs):
        for e in range(episodes):
            s = _draw(initial, uniforms[r, e, 0, players + 1])
            for t in range(horizon):
                joint = 0
                for i in range(players):
                    joint = joint * own + _draw(policy[r, t, s, i], uniforms[r, e, t, i])
                state[r, e, t], action[r, e, t] = s, joint
                s = _draw(transition[s, joint], uniforms[r, e, t, players])
                if s < 0:
                    break
