"""BC-HG with several followers: what the leader's advantage says of each player's values.

The adjoint of `hypergradient` per visit: with ω_i(t, s, b) the weight of a change of Q_i there,

    ω_j(b) = η_j + E[A_L + Σ_i≠j ω_i(a_i) δ_i | a_j = b] / β_j,
    dJ/dθ = direct + E Σ_t γ_L^t Σ_i ω_i ∂_θ r_i,

where δ_i = r_i + γ_F V_i(s') - Q_i(a_i) is what player i did not expect, since it comes from the
others, and η_j(t + 1, s') = γ_F / γ_L E[ω_j(t) | s'] carries weights to what comes later. Without
the sum this is BC-HG for every player alone, as if nobody reacted to anybody.

Everything is estimated from one batch: values are means of what followed, from the last step back;
policies are frequencies; players are independent of one another in a state, so that expectations
over the others are products of these. What a joint action leads to that no episode has in a state
is not known, and taken for what each player's own action leads to on average.
"""

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import kernel, parallel_kernel
from bilevelrl.models.logit_equilibrium.episodes import Episodes
from bilevelrl.models.logit_equilibrium.stage import couple, expect, solve_coupled
from bilevelrl.models.logit_equilibrium.stochastic_game import Sizes

#: A coupling that makes weights too large is multiplied by this, so often at most.
SHRINKING, ATTEMPTS = 0.7, 12


def weights(
    sizes: Sizes,
    episodes: Episodes,
    leader_reward: Floats,
    temperature: Floats,
    *,
    coupled: bool,
    largest: float,
) -> Floats:
    """Estimate of ∂J/∂payments through the policies, shape (R, N, S, A).

    The error falls with the root of the episodes, and the bias with their number, both from far up
    where I - K is nearly singular. K of a state is therefore shrunk until no ω is larger than
    `largest` times what it would be at most without K.

    Args:
        sizes: of the game.
        episodes: E of each run.
        leader_reward: what the leader got less what it paid, shape (R, E, H).
        temperature: β of the players as the leader knows them, shape (R, N).
        coupled: whether players react to one another.
        largest: at least 1.
    """
    result = np.zeros((len(temperature), sizes.num_players, sizes.num_states, sizes.num_actions))
    _weigh(
        episodes.state, episodes.action, episodes.reward, leader_reward, temperature,
        sizes.actions, sizes.follower_discount, sizes.leader_discount, coupled, largest, result,
    )  # fmt: skip
    return result


@kernel
def _successors(  # type: ignore[no-untyped-def]
    t, state, action, reward, leader_reward, discount, leader_discount, value, leader_value,
    seen, utility, leader_utility,
):  # fmt: skip
    # How often each joint action was seen at step t, by state, and the mean of what it led to.
    episodes, horizon = state.shape
    players = utility.shape[1]
    seen[:], utility[:], leader_utility[:] = 0.0, 0.0, 0.0
    for e in range(episodes):
        s = state[e, t]
        if s < 0:
            continue
        a = action[e, t]
        later = state[e, t + 1] if t + 1 < horizon else -1
        beyond = 0.0 if later < 0 else leader_value[t + 1, later]
        seen[s, a] += 1.0
        leader_utility[s, a] += leader_reward[e, t] + leader_discount * beyond
        for i in range(players):
            beyond = 0.0 if later < 0 else value[t + 1, later, i]
            utility[s, i, a] += reward[e, t, i] + discount * beyond
    for s in range(len(seen)):
        for a in range(seen.shape[1]):
            if seen[s, a] > 0.0:
                leader_utility[s, a] /= seen[s, a]
                for i in range(players):
                    utility[s, i, a] /= seen[s, a]


@kernel
def _complete(seen, utility, leader_utility, actions, policy):  # type: ignore[no-untyped-def]
    # Frequencies of the players' actions in a state, and utilities of what was never seen there.
    players, own = policy.shape
    total = seen.sum()
    mean = np.zeros((players, own))
    policy[:] = 0.0
    for a in range(len(seen)):
        for i in range(players):
            policy[i, actions[a, i]] += seen[a] / total
            mean[i, actions[a, i]] += seen[a] / total * utility[i, a]
    leader_mean = (seen * leader_utility).sum() / total
    for a in range(len(seen)):
        if seen[a] == 0.0:
            leader_utility[a] = leader_mean
            for i in range(players):
                share = policy[i, actions[a, i]]
                utility[i, a] = mean[i, actions[a, i]] / share if share > 0.0 else 0.0


@kernel
def _soft(expected, policy, temperature):  # type: ignore[no-untyped-def]
    # Σ_b π(b) (Q(b) - β log π(b)) of one player.
    total = 0.0
    for b in range(len(policy)):
        if policy[b] > 0.0:
            total += policy[b] * (expected[b] - temperature * np.log(policy[b]))
    return total


@kernel
def _solved(coupling, right, largest):  # type: ignore[no-untyped-def]
    # (I - c K)⁻ᵀ b with the first c = 1, 0.7, ... that keeps it small, per visit of an action.
    matrix = np.ascontiguousarray(coupling.T)
    bound = largest * np.abs(right).max()
    for _ in range(ATTEMPTS):
        trial = right.copy()
        if solve_coupled(matrix, trial) and np.abs(trial).max() <= bound:
            return trial
        matrix *= SHRINKING
    return right


@parallel_kernel
def _weigh(  # type: ignore[no-untyped-def]
    state, action, reward, leader_reward, temperature, actions, discount, leader_discount,
    coupled, largest, result,
):  # fmt: skip
    runs, episodes, horizon = state.shape
    players, states, own = result.shape[1:]
    size, joint = players * own, len(actions)
    for r in numba.prange(runs):
        value = np.zeros((horizon + 1, states, players))
        leader_value = np.zeros((horizon + 1, states))
        seen = np.zeros((horizon, states, joint))
        utility = np.zeros((horizon, states, players, joint))
        leader_utility = np.zeros((horizon, states, joint))
        policy = np.zeros((horizon, states, players, own))
        expected, repeated = np.empty((players, own)), np.empty((players, joint))
        for t in range(horizon - 1, -1, -1):
            _successors(
                t, state[r], action[r], reward[r], leader_reward[r], discount, leader_discount,
                value, leader_value, seen[t], utility[t], leader_utility[t],
            )  # fmt: skip
            for s in range(states):
                total = seen[t, s].sum()
                if total == 0.0:
                    continue
                leader_value[t, s] = (seen[t, s] * leader_utility[t, s]).sum() / total
                _complete(seen[t, s], utility[t, s], leader_utility[t, s], actions, policy[t, s])
                expect(utility[t, s], policy[t, s], actions, expected)
                for i in range(players):
                    value[t, s, i] = _soft(expected[i], policy[t, s, i], temperature[r, i])
        coupling, right = np.zeros((size, size)), np.empty((size, 1))
        before, after = np.zeros((states, players)), np.zeros((states, players))
        weight = np.zeros((states, players, own))
        for t in range(horizon):
            for s in range(states):
                total = seen[t, s].sum()
                if total == 0.0:
                    continue
                here = policy[t, s]
                for i in range(players):
                    repeated[i] = leader_utility[t, s]
                expect(repeated, here, actions, expected)
                for i in range(players):
                    mean = (here[i] * expected[i]).sum()
                    for b in range(own):
                        advantage = (expected[i, b] - mean) / temperature[r, i]
                        right[i * own + b, 0] = here[i, b] * (advantage + before[s, i])
                if coupled:
                    couple(utility[t, s], here, temperature[r], actions, expected, coupling)
                    right[:] = _solved(coupling, right, largest)
                for i in range(players):
                    for b in range(own):
                        own_weight = right[i * own + b, 0]
                        result[r, i, s, b] += leader_discount**t * total / episodes * own_weight
                        weight[s, i, b] = own_weight / here[i, b] if here[i, b] > 0.0 else 0.0
            after[:] = 0.0
            for e in range(episodes):
                if state[r, e, t] < 0 or t + 1 == horizon or state[r, e, t + 1] < 0:
                    continue
                s, later = state[r, e, t], state[r, e, t + 1]
                share = discount / leader_discount / seen[t + 1, later].sum()
                for i in range(players):
                    after[later, i] += share * weight[s, i, actions[action[r, e, t], i]]
            before[:] = after
