"""Finite Markov decision processes with few successors per state, as arrays that kernels accept."""

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import kernel, parallel_kernel
from bilevelrl.models.tabular.elimination import Places, factorise, plan_elimination, solve


class TabularModel(NamedTuple):
    """Dynamics shared by all runs; made by `tabular_model`, which checks them.

    Attributes:
        successor: the K states reachable from each state, shape (S, K).
        probability: of moving to successor k, shape (S, A, K); the last axis sums to one.
        discount: γ where the episode goes on after this state, 0 where it ends, shape (S,).
        initial: distribution of the first state, shape (S,).
        order: the state that each step of the elimination of I - γ P_π eliminates, shape (S,).
        start: step k owns the entries start[k]:start[k + 1] of `later`, `upper`, `lower`, shape (S
            + 1,).
        later: states coupled to the eliminated one and eliminated later.
        upper: place of (eliminated, later) in the value array.
        lower: place of (later, eliminated) in the value array.
        target: place that each multiply-subtract updates, in the order in which it is done.
        entry: place of (s, successor[s, k]), shape (S, K).
        num_factors: length of the value array; its first S places are the diagonal.
    """

    successor: Places
    probability: Floats
    discount: Floats
    initial: Floats
    order: Places
    start: Places
    later: Places
    upper: Places
    lower: Places
    target: Places
    entry: Places
    num_factors: int

    @property
    def num_states(self) -> int:
        """S."""
        return len(self.probability)

    @property
    def num_actions(self) -> int:
        """A."""
        return len(self.probability[0])

    @property
    def transition(self) -> Floats:
        """P(s' | s, a) as a dense table, shape (S, A, S)."""
        dense = np.zeros((self.num_states, self.num_actions, self.num_states))
        for k in range(self.successor.shape[1]):
            for s in range(self.num_states):
                dense[s, :, self.successor[s, k]] += self.probability[s, :, k]
        return dense


def tabular_model(
    successor: NDArray[np.integer], probability: Floats, discount: Floats, initial: Floats
) -> TabularModel:
    """Check the tables of a finite process and plan its elimination.

    Raises:
        ValueError: if shapes disagree, a distribution does not sum to 1, or a discount leaves [0,
            1).
    """
    num_states, num_successors = successor.shape
    num_actions = probability.shape[1]
    if probability.shape != (num_states, num_actions, num_successors):
        raise ValueError(
            f"probability must have shape {(num_states, num_actions, num_successors)} "
            f"to match successor, got {probability.shape}"
        )
    if discount.shape != (num_states,) or initial.shape != (num_states,):
        raise ValueError(f"discount and initial must have shape {(num_states,)}")
    if not np.allclose(probability.sum(-1), 1.0, atol=1e-12) or probability.min() < 0.0:
        raise ValueError("probability must be non-negative and sum to one over successors")
    if not np.isclose(initial.sum(), 1.0, atol=1e-12) or initial.min() < 0.0:
        raise ValueError("initial must be non-negative and sum to one")
    if discount.min() < 0.0 or discount.max() >= 1.0:
        raise ValueError(f"discount must lie in [0, 1), got {discount.min()} to {discount.max()}")
    reachable = np.ascontiguousarray(successor, dtype=np.int32)
    return TabularModel(
        reachable,
        np.ascontiguousarray(probability, dtype=np.float64),
        np.ascontiguousarray(discount, dtype=np.float64),
        np.ascontiguousarray(initial, dtype=np.float64),
        *plan_elimination(reachable),
    )


@kernel
def solve_policy(model, policy, reward, factors, value):  # type: ignore[no-untyped-def]
    """Solve (I - γ P_π) v = r_π for one run; fills `factors` (num_factors,) and `value` (S,)."""
    num_states, num_actions = policy.shape
    factorise(model, policy, factors)
    for s in range(num_states):
        value[s] = 0.0
        for a in range(num_actions):
            value[s] += policy[s, a] * reward[s, a]
    solve(model, factors, False, value)


@parallel_kernel
def _evaluate(model, policy, reward, value):  # type: ignore[no-untyped-def]
    for r in numba.prange(len(policy)):
        factors = np.empty(model.num_factors)
        solve_policy(model, policy[r], reward[r], factors, value[r])


def evaluate_policy(model: TabularModel, policy: Floats, reward: Floats) -> Floats:
    """v(s) of π(a | s) and r(s, a), both (R, S, A): solves (I - γ P_π) v = r_π, shape (R, S)."""
    value = np.empty(policy.shape[:2])
    _evaluate(model, policy, reward, value)
    return value


def start_value(model: TabularModel, policy: Floats, reward: Floats) -> Floats:
    """The mean of `evaluate_policy` over the first state, shape (R,)."""
    return np.array([model.initial @ v for v in evaluate_policy(model, policy, reward)])


def action_values(model: TabularModel, policy: Floats, reward: Floats) -> Floats:
    """Q(s, a) = r(s, a) + γ Σ_s' P(s' | s, a) v(s') of π and r, all of shape (R, S, A)."""
    value = evaluate_policy(model, policy, reward)
    expected = np.einsum("sak,rsk->rsa", model.probability, value[:, model.successor])
    action_value: Floats = reward + model.discount[:, None] * expected
    return action_value
