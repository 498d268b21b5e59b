"""The best response of a follower that is paid a share of the leader's rewards, step by step.

The leader counts H steps with γ_L, the follower all steps with γ_F. For the payments to be worth
ε J to the follower, step t < H pays ε (γ_L / γ_F)^t r_L, and later steps pay nothing. What it
answers depends on the step, and is found from the last one back:

    Q_t = r_F + ε (γ_L / γ_F)^t r_L + γ_F Σ_s' P Σ_a f V_{t+1},
    V_t(s, a) = β log Σ_b exp(Q_t / β),

with V_H the soft value of the follower without pay.
"""

from typing import NamedTuple

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import kernel, parallel_kernel
from bilevelrl.models.finite_game.kernels import look_ahead, mix, soft_maximum, solve_chain
from bilevelrl.models.finite_game.markov_game import MarkovGame
from bilevelrl.models.finite_game.rollout import draw


class PaidAnswer(NamedTuple):
    """How a paid follower plays an episode.

    Attributes:
        policy: π_t(b|s, a), shape (R, H, S, A, B).
        value: V_t(s, a), payments included, shape (R, H, S, A).
    """

    policy: Floats
    value: Floats


@parallel_kernel
def _answer(  # type: ignore[no-untyped-def]
    transition, follower_reward, leader_reward, ratio, discount, leader, temperature, epsilon,
    last, policy, value,
):  # fmt: skip
    runs, horizon, num_states, num_leader, num_follower = policy.shape
    for r in numba.prange(runs):
        following, table = np.empty(num_states), np.empty(follower_reward.shape)
        paid = np.empty(follower_reward.shape)
        for t in range(horizon - 1, -1, -1):
            ahead = last[r] if t + 1 == horizon else value[r, t + 1]
            share = epsilon[r] * ratio**t
            for s in range(num_states):
                following[s] = 0.0
                for a in range(num_leader):
                    following[s] += leader[r, s, a] * ahead[s, a]
                    for b in range(num_follower):
                        paid[s, a, b] = follower_reward[s, a, b] + share * leader_reward[s, a, b]
            look_ahead(transition, paid, discount, following, table)
            for s in range(num_states):
                for a in range(num_leader):
                    value[r, t, s, a] = soft_maximum(
                        table[s, a], temperature[r], policy[r, t, s, a]
                    )


def paid_answer(
    game: MarkovGame, leader: Floats, temperature: Floats, epsilon: Floats, unpaid: Floats
) -> PaidAnswer:
    """The answer to f(a|s), shape (R, S, A), and pay ε of either sign, shape (R,).

    Args:
        game: what is played.
        leader: f.
        temperature: β of each run, shape (R,).
        epsilon: ε.
        unpaid: V_F(s, a) of the best response without pay, shape (R, S, A).

    Raises:
        ValueError: if the follower does not look ahead, but the leader does.
    """
    if game.follower_discount == 0.0 < game.leader_discount:
        raise ValueError(
            f"follower_discount = 0, leader_discount = {game.leader_discount}: no payment makes "
            "such a follower look ahead; it must be positive"
        )
    shape = (len(leader), game.max_episode_steps, *game.follower_reward.shape)
    policy, value = np.empty(shape), np.empty(shape[:-1])
    ratio = game.leader_discount / game.follower_discount if game.follower_discount else 0.0
    _answer(
        game.transition, game.follower_reward, game.leader_reward, ratio, game.follower_discount,
        leader, temperature, epsilon, np.ascontiguousarray(unpaid), policy, value,
    )  # fmt: skip
    return PaidAnswer(policy, value)


@kernel
def _add(leader, value, visits, weight):  # type: ignore[no-untyped-def]
    # visits(s) f(a|s) (V(s, a) - Σ_a f V), shape (S, A).
    for s in range(len(leader)):
        mean = 0.0
        for a in range(leader.shape[1]):
            mean += leader[s, a] * value[s, a]
        for a in range(leader.shape[1]):
            weight[s, a] += visits[s] * leader[s, a] * (value[s, a] - mean)


@parallel_kernel
def _exact_weights(  # type: ignore[no-untyped-def]
    transition, initial, discount, leader, policy, value, last_policy, last_value, weight
):
    num_states = len(initial)
    for r in numba.prange(len(leader)):
        chain, visits = np.empty((num_states, num_states)), initial.copy()
        weight[r] = 0.0
        for t in range(policy.shape[1]):
            _add(leader[r], value[r, t], visits, weight[r])
            mix(transition, leader[r], policy[r, t], chain)
            visits = discount * (chain.T * visits).sum(axis=1)
        mix(transition, leader[r], last_policy[r], chain)
        solve_chain(chain, discount, True, visits)
        _add(leader[r], last_value[r], visits, weight[r])


def exact_weights(
    game: MarkovGame, leader: Floats, answer: PaidAnswer, policy: Floats, value: Floats
) -> Floats:
    """Weights of ∇log f(a|s) in d/dθ of what the paid follower expects, shape (R, S, A).

    Σ_t γ_F^t P(s_t = s) f(a|s) (V_t(s, a) - Σ_a f V_t), without end; after the episode the follower
    goes on with `policy`, shape (R, S, A, B), and `value`, shape (R, S, A), those without pay.
    """
    weight = np.empty_like(leader)
    _exact_weights(
        game.transition, game.initial, game.follower_discount, leader, *answer, policy,
        np.ascontiguousarray(value), weight,
    )  # fmt: skip
    return weight


@parallel_kernel
def _sampled_weights(  # type: ignore[no-untyped-def]
    transition, initial, discount, leader, policy, value, reward, leader_discount, uniforms,
    weight, returned,
):  # fmt: skip
    runs, episodes, horizon, _ = uniforms.shape
    for r in numba.prange(runs):
        weight[r], returned[r] = 0.0, 0.0
        visits = np.zeros((horizon, len(initial)))
        for e in range(episodes):
            s = draw(initial, uniforms[r, e, 0, 3])
            for t in range(horizon):
                visits[t, s] += discount**t / episodes
                a = draw(leader[r, s], uniforms[r, e, t, 0])
                b = draw(policy[r, t, s, a], uniforms[r, e, t, 1])
                returned[r] += leader_discount**t * reward[s, a, b] / episodes
                s = draw(transition[s, a, b], uniforms[r, e, t, 2])
        for t in range(horizon):
            _add(leader[r], value[r, t], visits[t], weight[r])


def sampled_weights(
    game: MarkovGame, leader: Floats, answer: PaidAnswer, uniforms: Floats
) -> tuple[Floats, Floats]:
    """The same from episodes, up to their end, and the leader's mean return, shape (R,).

    The mean over the leader's own action is taken, which it knows.

    Args:
        game: what is played.
        leader: f(a|s), shape (R, S, A).
        answer: what the follower plays.
        uniforms: random numbers, shape (R, episodes, H, 4).
    """
    weight, returned = np.empty_like(leader), np.empty(len(leader))
    _sampled_weights(
        game.transition, game.initial, game.follower_discount, leader, *answer, game.leader_reward,
        game.leader_discount, uniforms, weight, returned,
    )  # fmt: skip
    return weight, returned
