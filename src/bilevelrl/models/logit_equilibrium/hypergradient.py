"""Exact hypergradients through logit Markov equilibria, by an adjoint and by sensitivities.

With G_i = dQ_i/dθ, H_i = Σ_b π_i G_i = dV_i/dθ (V_i is the soft value: its entropy's derivative and
that of π_i cancel) and K the coupling of `stage.couple`, every step and state has the system

    G_i(b) = ∂_θ r_i(b) + γ_F E[H_i(s') | a_i = b] + (K G)_i(b).

The leader's return then has the derivative

    dJ/dθ = E Σ_t γ_L^t [∂_θ r_L + A_L Σ_j (G_j(a_j) - H_j) / β_j].

The adjoint solves the transposed systems from the first step on, once for all of θ.
"""

from dataclasses import dataclass
from typing import Literal

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import kernel, parallel_kernel
from bilevelrl.core.exact import Hypergradient
from bilevelrl.models.logit_equilibrium.equilibrium import Equilibrium, couplings, utilities
from bilevelrl.models.logit_equilibrium.payments import Payments
from bilevelrl.models.logit_equilibrium.stage import couple, solve_coupled

#: Whether players answer one another's changes, or take the others for a fixed environment.
Reaction = Literal["coupled", "uncoupled"]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The leader's side of an equilibrium.

    Attributes:
        leader_return: J, shape (R,).
        value: V_L(t, s), shape (R, H + 1, S).
        occupancy: probability of being in s at step t, shape (R, H, S), undiscounted.
        advantage: A_L(t, s, a), shape (R, H, S, A^N).
        chosen: probability of every joint action, in the same shape.
    """

    leader_return: Floats
    value: Floats
    occupancy: Floats
    advantage: Floats
    chosen: Floats


def evaluate(reached: Equilibrium, cost: float) -> Evaluation:
    """The leader's values if it pays `cost` of every payment itself."""
    game, runs = reached.game, len(reached.policy)
    horizon, actions = game.max_episode_steps, game.actions
    own = reached.policy[:, :, :, np.arange(game.num_players), actions]  # (R, H, S, A^N, N)
    chosen = own.prod(axis=4)
    paid = reached.payments[:, np.arange(game.num_players), :, actions]  # (A^N, N, R, S)
    reward = game.leader_reward - cost * paid.sum(axis=1).transpose(1, 2, 0)
    value = np.zeros((runs, horizon + 1, game.num_states))
    advantage = np.empty((runs, horizon, game.num_states, len(actions)))
    for t in range(horizon - 1, -1, -1):
        later = _expected(game.transition, value[:, t + 1])
        quality = reward + game.leader_discount * later
        value[:, t] = (chosen[:, t] * quality).sum(axis=2)
        advantage[:, t] = quality - value[:, t, :, None]
    occupancy = np.zeros((runs, horizon, game.num_states))
    occupancy[:, 0] = game.initial
    for t in range(horizon - 1):
        leaving = occupancy[:, t, :, None] * chosen[:, t]
        occupancy[:, t + 1] = np.stack([_arriving(game.transition, each) for each in leaving])
    leader_return: Floats = (value[:, 0] * game.initial).sum(axis=1)
    return Evaluation(leader_return, value, occupancy, advantage, chosen)


def _expected(transition: Floats, value: Floats) -> Floats:
    # One product per run, so that no run's bits depend on the batch.
    return np.stack([transition @ each for each in value])


def _arriving(transition: Floats, leaving: Floats) -> Floats:
    arriving: Floats = (leaving[:, :, None] * transition).sum(axis=(0, 1))
    return arriving


def hypergradient(
    reached: Equilibrium,
    payments: Payments,
    theta: Floats,
    reaction: Reaction = "coupled",
) -> Hypergradient:
    """Both parts of dJ/dθ, each (R, D), by one adjoint; "uncoupled" leaves K out and is none."""
    found = evaluate(reached, payments.cost)
    direct = payments.pulled_back(theta, _direct(reached, found, payments.cost))
    return Hypergradient(
        direct, payments.pulled_back(theta, adjoint(reached, found, reaction)), found.leader_return
    )


def _direct(reached: Equilibrium, found: Evaluation, cost: float) -> Floats:
    # ∂J/∂payments with the policies held fixed, (R, N, S, A): what is paid is lost.
    discount = reached.game.leader_discount ** np.arange(reached.game.max_episode_steps)
    weight = found.occupancy * discount[:, None]
    direct: Floats = -cost * (weight[..., None, None] * reached.policy).sum(axis=1)
    return direct.transpose(0, 2, 1, 3)


def adjoint(reached: Equilibrium, found: Evaluation, reaction: Reaction = "coupled") -> Floats:
    """∂J/∂payments through the policies, shape (R, N, S, A)."""
    game = reached.game
    result = np.zeros_like(reached.payments)
    _adjoint(
        game.transition, game.reward, reached.payments, reached.temperature, game.actions,
        game.follower_discount, game.leader_discount, reached.policy, reached.value,
        found.occupancy, found.advantage, reaction == "coupled", result,
    )  # fmt: skip
    return result


@kernel
def _others(policy, actions, a, i):  # type: ignore[no-untyped-def]
    # Probability of what all but player i do in the joint action a.
    product = 1.0
    for j in range(len(policy)):
        if j != i:
            product *= policy[j, actions[a, j]]
    return product


@parallel_kernel
def _adjoint(  # type: ignore[no-untyped-def]
    transition, reward, payments, temperature, actions, discount, leader_discount, policy, value,
    occupancy, advantage, coupled, result,
):  # fmt: skip
    runs, horizon, states, players, own = policy.shape
    for r in numba.prange(runs):
        utility, expected = np.empty((players, len(actions))), np.empty((players, own))
        coupling = np.zeros((players * own, players * own))
        arriving = np.zeros((horizon + 1, states, players))
        weight = np.empty((players * own, 1))
        for t in range(horizon):
            for s in range(states):
                here = policy[r, t, s]
                weight[:] = 0.0
                for a in range(len(actions)):
                    for i in range(players):
                        joint = _others(here, actions, a, i) * here[i, actions[a, i]]
                        weight[i * own + actions[a, i], 0] += joint * advantage[r, t, s, a]
                scale = leader_discount**t * occupancy[r, t, s]
                for i in range(players):
                    for b in range(own):
                        weight[i * own + b, 0] *= scale / temperature[r, i]
                        weight[i * own + b, 0] += here[i, b] * arriving[t, s, i]
                if coupled:
                    utilities(
                        transition, reward, payments[r], actions, discount, s, value[r, t + 1],
                        utility,
                    )  # fmt: skip
                    couple(utility, here, temperature[r], actions, expected, coupling)
                    solve_coupled(np.ascontiguousarray(coupling.T), weight)
                for i in range(players):
                    for b in range(own):
                        result[r, i, s, b] += weight[i * own + b, 0]
                for a in range(len(actions)):
                    for i in range(players):
                        moved = discount * weight[i * own + actions[a, i], 0]
                        moved *= _others(here, actions, a, i)
                        for following in range(states):
                            share = transition[s, a, following]
                            if share > 0.0:
                                arriving[t + 1, following, i] += moved * share


def sensitivities(reached: Equilibrium, payments: Payments, theta: Floats) -> Floats:
    """G_i = dQ_i/dθ, shape (R, H, S, N, A, D), from the last step back."""
    game, coupling = reached.game, couplings(reached)
    runs, horizon, states, players, own = reached.policy.shape
    size, parameters = players * own, payments.num_parameters
    paid = np.zeros((runs, states, players, own, parameters))
    of_own = payments.amounts(theta) * (1.0 - payments.amounts(theta) / payments.highest)
    places = payments.state, payments.player, payments.action, np.arange(parameters)
    paid[:, *places] = of_own
    result = np.zeros((runs, horizon, states, players, own, parameters))
    of_value = np.zeros((runs, states, players, parameters))
    for t in range(horizon - 1, -1, -1):
        for r in range(runs):
            for s in range(states):
                right = paid[r, s].copy()
                for a, each in enumerate(game.actions):
                    probability = reached.policy[r, t, s, np.arange(players), each]
                    for i in range(players):
                        others = np.delete(probability, i).prod()
                        later = np.tensordot(game.transition[s, a], of_value[r, :, i], 1)
                        right[i, each[i]] += game.follower_discount * others * later
                system = np.eye(size) - coupling[r, t, s]
                solved = np.linalg.solve(system, right.reshape(size, parameters))
                result[r, t, s] = solved.reshape(players, own, parameters)
        of_value = (reached.policy[:, t, ..., None] * result[:, t]).sum(axis=3)
    return result


def by_sensitivities(reached: Equilibrium, payments: Payments, theta: Floats) -> Hypergradient:
    """The same as `hypergradient`, from all G_i: D systems in place of one, for checks."""
    game, found = reached.game, evaluate(reached, payments.cost)
    moved = sensitivities(reached, payments, theta)
    centred = moved - (reached.policy[..., None] * moved).sum(axis=4, keepdims=True)
    score = centred / reached.temperature[:, None, None, :, None, None]
    discount = game.leader_discount ** np.arange(game.max_episode_steps)
    weight = (found.occupancy * discount[:, None])[..., None] * found.chosen * found.advantage
    players = np.arange(game.num_players)
    summed = score[:, :, :, players, game.actions].sum(axis=4)  # (R, H, S, A^N, D)
    indirect: Floats = (weight[..., None] * summed).sum(axis=(1, 2, 3))
    direct = payments.pulled_back(theta, _direct(reached, found, payments.cost))
    return Hypergradient(direct, indirect, found.leader_return)
