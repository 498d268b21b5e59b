"""The follower of a finite game, as learned from watching it.

Its policy is the maximum-likelihood estimate, a table of frequencies. What it expects is the soft
value of *that* policy, under the rewards that were seen and the transitions that were counted:

    V_F(s, a) = Σ_b π(b | s, a) [r_F(s, a, b) - β log π(b | s, a) + γ_F Σ_s' P(s' | s, a, b) v(s')],
    v(s)      = Σ_a f(a | s) V_F(s, a).

For a best response that is its own soft-optimal value, and to first order in the error of π no
other: π maximises what is averaged.
"""

from dataclasses import dataclass

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import parallel_kernel
from bilevelrl.core.estimator import Memory
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.frequencies import frequencies
from bilevelrl.core.observations import Observations
from bilevelrl.core.seeding import Streams
from bilevelrl.models.finite_game.markov_game import GameSizes
from bilevelrl.models.finite_game.policies import CategoricalPolicy


@parallel_kernel
def _soft_values(  # type: ignore[no-untyped-def]
    times, rewards, moved, leader, policy, temperature, discount, value
):
    num_runs, num_states, num_leader, num_follower = times.shape
    for r in numba.prange(num_runs):
        chain, earned = np.eye(num_states), np.zeros(num_states)
        own = np.zeros((num_states, num_leader, num_states))
        seen = np.zeros((num_states, num_leader))
        for s in range(num_states):
            known = 0.0
            for a in range(num_leader):
                value[r, s, a] = 0.0
                for b in range(num_follower):
                    n = times[r, s, a, b]
                    if n > 0.0 and policy[r, s, a, b] > 0.0:
                        seen[s, a] += policy[r, s, a, b]
                for b in range(num_follower):
                    n, p = times[r, s, a, b], policy[r, s, a, b]
                    if n > 0.0 and p > 0.0:
                        p /= seen[s, a]
                        value[r, s, a] += p * (rewards[r, s, a, b] / n - temperature[r] * np.log(p))
                        for k in range(num_states):
                            own[s, a, k] += p * moved[r, s, a, b, k] / n
                if seen[s, a] > 0.0:
                    known += leader[r, s, a]
            # Leader actions that were never seen are left out of the average.
            for a in range(num_leader):
                if seen[s, a] > 0.0:
                    share = leader[r, s, a] / known
                    earned[s] += share * value[r, s, a]
                    for k in range(num_states):
                        chain[s, k] -= discount * share * own[s, a, k]
        state_value = np.linalg.solve(chain, earned)
        for s in range(num_states):
            for a in range(num_leader):
                if seen[s, a] > 0.0:
                    for k in range(num_states):
                        value[r, s, a] += discount * own[s, a, k] * state_value[k]
                else:
                    value[r, s, a] = state_value[s]


@dataclass(frozen=True, eq=False)
class FiniteBelief:
    """Learns policy and value of the follower from transitions and its rewards.

    Attributes:
        sizes: of the game.
        policy: the leader's own, f_θ(a | s).
        temperature: β of each run, shape (R,).
        forgetting_factor: weight of all earlier batches against the newest in the counts behind the
            policy, which changes with θ; transitions and rewards do not, and are not forgotten.
        smoothing: share of uniform actions in the policy, see `frequencies`.
    """

    sizes: GameSizes
    policy: CategoricalPolicy
    temperature: Floats
    forgetting_factor: float = 0.0
    smoothing: float = 0.0

    def start(self, streams: Streams) -> Memory:
        """Nothing seen."""
        game, num_runs = self.sizes, len(streams.seeds)
        shape = (game.num_states, game.num_leader_actions, game.num_follower_actions)
        return {
            "belief_played": np.zeros((num_runs, *shape)),
            "belief_paid": np.zeros((num_runs, *shape)),
            "belief_moved": np.zeros((num_runs, *shape, game.num_states)),
        }

    def learn(self, theta: Floats, seen: Observations, memory: Memory) -> BestResponse:
        """What the follower seems to play, and to expect, from transitions under θ, shape (R, D).

        Raises:
            ValueError: if the follower's rewards were not seen.
        """
        leader = self.policy.probabilities(theta)
        place = (seen.state, seen.leader_action, seen.follower_action)
        runs = np.arange(len(leader))[:, None]
        played, moved = memory["belief_played"], memory["belief_moved"]
        played *= self.forgetting_factor
        np.add.at(played, (runs, *place), 1.0)
        np.add.at(memory["belief_paid"], (runs, *place), seen.follower_rewards())
        np.add.at(moved, (runs, *place, seen.next_state), 1.0)
        played_now = frequencies(played, self.smoothing)
        value = np.empty(leader.shape)
        _soft_values(
            moved.sum(axis=-1), memory["belief_paid"], moved, leader, played_now,
            self.temperature, self.sizes.follower_discount, value,
        )  # fmt: skip
        unknown = np.full(len(leader), np.nan)
        return BestResponse(played_now, value, unknown, np.zeros(len(leader), dtype=np.int64))
