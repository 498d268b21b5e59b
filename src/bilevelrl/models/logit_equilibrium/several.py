"""How many logit Markov equilibria there are, as far as several starts find them."""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.models.logit_equilibrium.equilibrium import Equilibrium, equilibrium, from_start
from bilevelrl.models.logit_equilibrium.hypergradient import evaluate
from bilevelrl.models.logit_equilibrium.stochastic_game import StochasticGame

#: Policies that differ by less anywhere are one equilibrium.
SAME = 1e-6


@dataclass(frozen=True, eq=False)
class Several:
    """Distinct equilibria of one game, K of them; the first is on the principal branch.

    Attributes:
        found: one per run, K runs.
        leader_return: J of each, shape (K,).
        starts: how many starts led to each, shape (K,).
    """

    found: Equilibrium
    leader_return: Floats
    starts: Index


def equilibria(
    game: StochasticGame,
    payments: Floats,
    temperature: Floats,
    cost: float,
    *,
    starts: int,
    seed: int,
    tolerance: float = 1e-12,
) -> Several:
    """Those near every pure joint action and near random policies, and the principal branch's.

    They are found by `from_start`. A start is the same in all states and steps, so that equilibria
    which mix several branches of different states are found only by chance.

    Args:
        game: with N players, S states and A actions.
        payments: shape (N, S, A).
        temperature: β of every player, shape (N,).
        cost: what the leader counts of its payments, see `Payments`.
        starts: number of random ones.
        seed: of these.
        tolerance: see `equilibrium`.

    Raises:
        NotConverged: see `equilibrium`.
        ValueError: see `equilibrium`.
    """
    shape = game.num_players, game.num_actions
    pure = np.eye(game.num_actions)[game.actions]  # (A^N, N, A)
    drawn = np.random.default_rng(seed).dirichlet(np.full(shape[1], 0.5), (starts, shape[0]))
    first = np.concatenate([pure, drawn])

    def repeated(array: Floats, times: int) -> Floats:
        return np.ascontiguousarray(np.broadcast_to(array, (times, *array.shape)))

    principal = equilibrium(
        game, repeated(payments, 1), repeated(temperature, 1), tolerance=tolerance
    )
    others = from_start(
        game, repeated(payments, len(first)), repeated(temperature, len(first)), first,
        tolerance=tolerance,
    )  # fmt: skip
    distinct, counts = [principal.policy[0]], [1]
    kept = [-1]
    for run, policy in enumerate(others.policy):
        for place, known in enumerate(distinct):
            if np.abs(policy - known).max() < SAME:
                counts[place] += 1
                break
        else:
            distinct.append(policy)
            counts.append(1)
            kept.append(run)
    found = _joined(principal, others, kept[1:])
    returns = evaluate(found, cost).leader_return
    return Several(found, returns, np.array(counts, dtype=np.int64))


def _joined(principal: Equilibrium, others: Equilibrium, kept: list[int]) -> Equilibrium:
    names = ("payments", "temperature", "policy", "quality", "value", "residual", "steps")
    joined = {
        name: np.concatenate([getattr(principal, name), getattr(others, name)[kept]])
        for name in names
    }
    return Equilibrium(principal.game, **joined)
