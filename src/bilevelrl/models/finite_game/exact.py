"""Ground truth of a finite game in which the leader acts: dJ/df(a | s) without sampling."""

from typing import Literal, NamedTuple

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import kernel, parallel_kernel
from bilevelrl.core.follower import BestResponse, NotConverged
from bilevelrl.models.finite_game.kernels import fill_values, look_ahead, mix, newton, solve_chain
from bilevelrl.models.finite_game.markov_game import MarkovGame, num_value_rows
from bilevelrl.models.finite_game.soft_q_iteration import Order

#: How far the follower's reaction reaches: "infinite" as J demands, or to the end of the episode.
Influence = Literal["infinite", "episode"]
_MAX_ITERATIONS = 200


class GameHypergradient(NamedTuple):
    """Coefficients with dJ = Σ_sa (direct + indirect)(s, a) df(a | s) wherever Σ_a df(a | s) = 0.

    Adding a function of s changes no such dJ; of all equivalent tables these have mean zero under
    the leader, Σ_a f(a | s) direct(s, a) = Σ_a f(a | s) indirect(s, a) = 0. f(a | s) times a
    coefficient is therefore the derivative by the logit of a in s, and for any policy f_θ
    ∇_θ J = Σ_sa (direct + indirect)(s, a) f(a | s) ∇_θ log f(a | s).

    Attributes:
        direct: through the leader's own actions, the follower held fixed, shape (R, S, A).
        indirect: through the follower's best response, shape (R, S, A).
        leader_return: J, shape (R,).
    """

    direct: Floats
    indirect: Floats
    leader_return: Floats


@kernel
def _score(transition, reward, leader, policy, discount, visits, following, direct, caused):  # type: ignore[no-untyped-def]
    # Adds d(s) Σ_b π Q_L to `direct`, and to `caused`(s') what d f π A_L moves into s', with
    # A_L(s, a, b) the advantage over the follower's other actions.
    num_states, num_leader, num_follower = policy.shape
    table = np.empty(policy.shape)
    look_ahead(transition, reward, discount, following, table)
    for s in range(num_states):
        for a in range(num_leader):
            mean = 0.0
            for b in range(num_follower):
                mean += policy[s, a, b] * table[s, a, b]
            direct[s, a] += visits[s] * mean
            for b in range(num_follower):
                weight = visits[s] * leader[s, a] * policy[s, a, b] * (table[s, a, b] - mean)
                for t in range(num_states):
                    caused[t] += weight * transition[s, a, b, t]


@kernel
def _push(chain, discount, weight):  # type: ignore[no-untyped-def]
    moved = np.zeros(len(weight))
    for s in range(len(weight)):
        for t in range(len(weight)):
            moved[t] += discount * weight[s] * chain[s, t]
    weight[:] = moved


@kernel
def _centre(leader, table):  # type: ignore[no-untyped-def]
    for s in range(len(table)):
        mean = 0.0
        for a in range(len(table[s])):
            mean += leader[s, a] * table[s, a]
        for a in range(len(table[s])):
            table[s, a] -= mean


@parallel_kernel
def _differentiate(  # type: ignore[no-untyped-def]
    transition, leader_reward, follower_reward, initial, leader_discount, follower_discount,
    leader, policy, temperature, published, max_iterations, sensitivity, to_episode_end,
    value, direct, indirect, converged,
):  # fmt: skip
    num_states = len(initial)
    for r in numba.prange(len(leader)):
        chain = np.empty((num_states, num_states))
        mix(transition, leader[r], policy[r], chain)
        fill_values(
            transition, leader_reward, leader[r], policy[r], chain, leader_discount, value[r]
        )
        influence_chain = chain
        converged[r] = True
        if published:
            # The states' values of this order cannot be read off π and V_F where π underflows, so
            # they are solved for; the last of the quadratic steps ends far below the tolerance.
            state_value = sensitivity[r, :, 0].copy()
            table, weights = np.empty(policy[r].shape), np.empty(policy[r].shape)
            tolerance = 1e-13 * np.abs(sensitivity[r]).max() / (1.0 - follower_discount)
            accuracy, _ = newton(
                transition, follower_reward, follower_discount, leader[r], temperature[r], True,
                tolerance, max_iterations, state_value, table, weights,
            )  # fmt: skip
            converged[r] = accuracy <= tolerance
            sensitivity[r] = (weights * table).sum(axis=2)
            influence_chain = np.empty((num_states, num_states))
            mix(transition, leader[r], weights, influence_chain)

        visits, caused = initial.copy(), np.zeros(num_states)
        reached, trace = np.zeros(num_states), np.zeros(num_states)
        direct[r] = 0.0
        stationary = len(value[r]) == 1
        if stationary:
            solve_chain(chain, leader_discount, True, visits)
        for t in range(1 if stationary else len(value[r]) - 1):
            reached += trace
            caused_now = np.zeros(num_states)
            _score(
                transition, leader_reward, leader[r], policy[r], leader_discount,
                visits, value[r, 0 if stationary else t + 1], direct[r], caused_now,
            )  # fmt: skip
            caused += caused_now
            _push(chain, leader_discount, visits)
            _push(influence_chain, follower_discount, trace)
            trace += follower_discount * caused_now
        if not to_episode_end:
            reached = follower_discount * caused
            solve_chain(influence_chain, follower_discount, True, reached)
        indirect[r] = (reached / temperature[r]).reshape(-1, 1) * sensitivity[r]
        _centre(leader[r], direct[r])
        _centre(leader[r], indirect[r])


def game_hypergradient(
    game: MarkovGame,
    leader_policy: Floats,
    response: BestResponse,
    temperature: Floats,
    *,
    discount: float,
    horizon: int | None,
    order: Order,
    influence: Influence = "infinite",
) -> GameHypergradient:
    """Differentiate J through the follower's fixed point, arXiv 2603.14867.

    With d(s) the discounted visits, A_L the leader's advantage over the follower's other actions
    and c = d f π A_L / β, the implicit function theorem gives

        dJ = Σ d df π Q_L + Σ c dQ_F,   dQ_F = γ_F P g,   g = Σ_a df(a | ·) h(·, a) + γ_F P_w g,

    where h = V_F and P_w is the states' chain under both policies in the correct order; in the
    published one w(b | s) is the softmax of Σ_a f Q_F(s, a, b) / β, and h(s, a) = Σ_b w Q_F(s, a,
    b). One transposed solve, z = (I - γ_F P_w)⁻ᵀ γ_F Pᵀ c, serves every direction: the indirect
    coefficients are z(s) h(s, a). With a finite horizon d and Q_L depend on time.

    Args:
        game: its `follower_discount` is γ_F.
        leader_policy: f(a | s), shape (R, S, A).
        response: the follower's best response to it, in the same order. The order "correct" with a
            response in the published one is what BC-HG estimates from it, not the hypergradient.
        temperature: β of each run, shape (R,).
        discount: γ_L of J; below 1 if the horizon is infinite.
        horizon: steps per episode, or None if they never end.
        order: of average and soft maximum in the follower's backup.
        influence: "episode" counts the follower's reaction up to the end of the episode only, which
            is what can be estimated from episodes of `horizon` steps.

    Raises:
        ValueError: if shapes disagree, `leader_policy` is none, or J is not finite.
        NotConverged: if the published order cannot be solved.
    """
    leader = game.checked_leader_policy(leader_policy)
    policy = game.checked_follower_policy(response.policy)
    runs = len(leader)
    if not len(policy) == len(temperature) == runs:
        raise ValueError(f"{runs} runs, {len(policy)} responses, {len(temperature)} temperatures")
    if order not in ("correct", "published"):
        raise ValueError(f"order must be 'correct' or 'published', got {order!r}")
    if influence not in ("infinite", "episode"):
        raise ValueError(f"influence must be 'infinite' or 'episode', got {influence!r}")
    if influence == "episode" and horizon is None:
        raise ValueError("influence 'episode' needs a finite horizon")
    value = np.empty((runs, num_value_rows(discount, horizon), game.num_states))
    direct, indirect, converged = np.empty_like(leader), np.empty_like(leader), np.empty(runs, bool)
    _differentiate(
        game.transition, game.leader_reward, game.follower_reward, game.initial,
        discount, game.follower_discount, leader, policy, temperature,
        order == "published", _MAX_ITERATIONS, np.array(response.value), influence == "episode",
        value, direct, indirect, converged,
    )  # fmt: skip
    if not converged.all():
        raise NotConverged(f"run {int(np.argmin(converged))} in the published order")
    total = np.array([game.initial @ first for first in value[:, 0]])
    return GameHypergradient(direct, indirect, total)
