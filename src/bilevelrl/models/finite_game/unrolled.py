"""The unrolled follower of a finite game: differentiate K sweeps of its soft Q iteration.

The sweeps are Q_k(s, a, b) = r_F + γ_F Σ_s' P(s'|s, a, b) Σ_a' f(a'|s') V_{k-1}(s', a'), with
V_k(s, a) = β log Σ_b exp(Q_k / β), k = 1 to K, and π_K is proportional to exp(Q_K / β). What they
start from, V_0, counts as a constant. In reverse, with w_K = Σ_t γ_L^t d_t f π_K A_L / β,

    u_k(s') = γ_F Σ_sab w_k P(s'|s, a, b),   w_{k-1}(s', a, b) = u_k(s') f(a|s') π_{k-1}(b|s', a),

and dJ/df(a|s) through the follower is Σ_k u_k(s) V_{k-1}(s, a). It needs the whole model. As K
grows it becomes the exact hypergradient.
"""

from dataclasses import dataclass
from typing import Literal

import numba
import numpy as np

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.core.compilation import kernel, parallel_kernel
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.seeding import Streams
from bilevelrl.models.finite_game.kernels import fill_values, look_ahead, mix, soft_maximum
from bilevelrl.models.finite_game.markov_game import MarkovGame
from bilevelrl.models.finite_game.policies import CategoricalPolicy

#: What the sweeps start from: the follower's answer, or a value of 0.
Start = Literal["answer", "zero"]


@kernel
def _sweep(transition, reward, discount, leader, temperature, before, policy, value):  # type: ignore[no-untyped-def]
    # Fills π_k and V_k from V_{k-1}.
    num_states, num_leader, _ = policy.shape
    state_value, table = np.zeros(num_states), np.empty(policy.shape)
    for s in range(num_states):
        for a in range(num_leader):
            state_value[s] += leader[s, a] * before[s, a]
    look_ahead(transition, reward, discount, state_value, table)
    for s in range(num_states):
        for a in range(num_leader):
            value[s, a] = soft_maximum(table[s, a], temperature, policy[s, a])


@kernel
def _last_weights(  # type: ignore[no-untyped-def]
    transition, reward, initial, discount, horizon, leader, policy, temperature, direct, weight
):
    # dJ/df(a|s) with π held fixed, into `direct`, and dJ/dQ_K into `weight`; returns J.
    num_states, num_leader, num_follower = policy.shape
    chain, value = np.empty((num_states, num_states)), np.empty((horizon + 1, num_states))
    table = np.empty(policy.shape)
    mix(transition, leader, policy, chain)
    fill_values(transition, reward, leader, policy, chain, discount, value)
    visits, following = initial.copy(), np.empty(num_states)
    direct[:], weight[:] = 0.0, 0.0
    for t in range(horizon):
        look_ahead(transition, reward, discount, value[t + 1], table)
        for s in range(num_states):
            for a in range(num_leader):
                mean = 0.0
                for b in range(num_follower):
                    mean += policy[s, a, b] * table[s, a, b]
                direct[s, a] += visits[s] * mean
                share = visits[s] * leader[s, a] / temperature
                for b in range(num_follower):
                    weight[s, a, b] += share * policy[s, a, b] * (table[s, a, b] - mean)
        following[:] = 0.0
        for s in range(num_states):
            for after in range(num_states):
                following[after] += discount * visits[s] * chain[s, after]
        visits[:] = following
    returned = 0.0
    for s in range(num_states):
        returned += initial[s] * value[0, s]
    return returned


@parallel_kernel
def _unroll(  # type: ignore[no-untyped-def]
    transition, leader_reward, follower_reward, initial, leader_discount, follower_discount,
    horizon, leader, temperature, sweeps, start, direct, indirect, returned,
):  # fmt: skip
    num_states, num_leader, num_follower, _ = transition.shape
    for r in numba.prange(len(leader)):
        played = np.empty((sweeps[r], num_states, num_leader, num_follower))
        values = np.empty((sweeps[r] + 1, num_states, num_leader))
        values[0] = start[r]
        for k in range(sweeps[r]):
            _sweep(
                transition, follower_reward, follower_discount, leader[r], temperature[r],
                values[k], played[k], values[k + 1],
            )  # fmt: skip
        weight, reached = np.empty(played.shape[1:]), np.empty(num_states)
        returned[r] = _last_weights(
            transition, leader_reward, initial, leader_discount, horizon, leader[r], played[-1],
            temperature[r], direct[r], weight,
        )  # fmt: skip
        indirect[r] = 0.0
        for k in range(sweeps[r] - 1, -1, -1):
            reached[:] = 0.0
            for s in range(num_states):
                for a in range(num_leader):
                    for b in range(num_follower):
                        for after in range(num_states):
                            reached[after] += weight[s, a, b] * transition[s, a, b, after]
            for s in range(num_states):
                reached[s] *= follower_discount
                for a in range(num_leader):
                    indirect[r, s, a] += reached[s] * values[k, s, a]
                    if k > 0:
                        share = reached[s] * leader[r, s, a]
                        for b in range(num_follower):
                            weight[s, a, b] = share * played[k - 1, s, a, b]


@dataclass(frozen=True, eq=False)
class UnrolledTables:
    """What K sweeps make of a leader: dJ = Σ_sa (direct + indirect)(s, a) df(a|s).

    Attributes:
        direct: with π_K held fixed, shape (R, S, A).
        indirect: through the sweeps, shape (R, S, A).
        leader_return: J of π_K, discounted with γ_L over an episode, shape (R,).
    """

    direct: Floats
    indirect: Floats
    leader_return: Floats


def unrolled(
    game: MarkovGame, leader_policy: Floats, temperature: Floats, sweeps: Index, start: Floats
) -> UnrolledTables:
    """Differentiate J(π_K(f), f), the value that the sweeps start from held fixed.

    Args:
        game: what is played.
        leader_policy: f(a|s), shape (R, S, A).
        temperature: β of each run, shape (R,).
        sweeps: K of each run, shape (R,).
        start: V_0(s, a) of each run, shape (R, S, A).

    Raises:
        ValueError: if a K is not positive, or `leader_policy` is none.
    """
    for run, number in enumerate(sweeps):
        if number < 1:
            raise ValueError(f"sweeps = {number} of run {run}: at least 1 is needed")
    leader = game.checked_leader_policy(leader_policy)
    direct, indirect = np.empty_like(leader), np.empty_like(leader)
    returned = np.empty(len(leader))
    _unroll(
        game.transition, game.leader_reward, game.follower_reward, game.initial,
        game.leader_discount, game.follower_discount, game.max_episode_steps, leader, temperature,
        sweeps, np.ascontiguousarray(start), direct, indirect, returned,
    )  # fmt: skip
    return UnrolledTables(direct, indirect, returned)


@dataclass(frozen=True, eq=False)
class UnrolledFollower:
    """Implements `core.estimator.Estimator`; costs no samples.

    Attributes:
        game: what is played.
        policy: f_θ(a|s).
        temperature: β of each run, shape (R,).
        sweeps: K of each run, shape (R,).
        start_from: "answer" starts the sweeps from the value of the follower's answer, "zero" from
            0.
    """

    game: MarkovGame
    policy: CategoricalPolicy
    temperature: Floats
    sweeps: Index
    start_from: Start = "answer"

    def start(self, streams: Streams) -> Memory:
        """Nothing is remembered."""
        del streams
        return {}

    def estimate(
        self, theta: Floats, response: BestResponse, memory: Memory, streams: Streams
    ) -> Estimate:
        """The derivative through K sweeps."""
        del memory, streams
        leader = self.policy.probabilities(theta)
        first = response.value if self.start_from == "answer" else np.zeros_like(response.value)
        found = unrolled(self.game, leader, self.temperature, self.sweeps, first)
        direct, indirect = (
            self.policy.pull_back(theta, table * leader) for table in (found.direct, found.indirect)
        )
        return Estimate(direct, indirect, np.full(len(theta), np.nan))
