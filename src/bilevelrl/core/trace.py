"""The forward trace that turns the double sum of every estimator into one O(T) pass.

With injections i_k and the trace e_k = γ_F e_{k-1} + i_k (reset at every episode start),

    Σ_t i_t Σ_{k≥t} γ_F^{k-t} ψ_k = Σ_k e_k ψ_k.

In a tabular problem ψ_k = ∇_θ r(s_k, a_k; θ), so the pass accumulates one scalar weight per (s, a),
and a single pull-back of these weights through the reward gives the gradient, for any number D of
leader parameters.
"""

from typing import Literal, NamedTuple

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.batches import Batch
from bilevelrl.core.compilation import parallel_kernel

Normalisation = Literal["started_episodes", "finished_episodes"]


@parallel_kernel
def _trace(state, action, time, injection, by_time, visit_weight, discount, weights):  # type: ignore[no-untyped-def]
    num_runs, num_envs, num_steps = state.shape
    for r in numba.prange(num_runs):
        weights[r] = 0.0
        for e in range(num_envs):
            trace = 0.0
            for t in range(num_steps):
                s, a, tau = state[r, e, t], action[r, e, t], time[r, e, t]
                if tau == 0:
                    trace = 0.0
                trace = discount * trace + by_time[tau] * injection[r, s, a]
                weights[r, s, a] += trace * visit_weight[r, tau]


def powers(base: float, number: int) -> Floats:
    """1, base, base², ..., shape (number,)."""
    values: Floats = np.power(base, np.arange(number, dtype=np.float64))
    return values


def traced_weights(
    batch: Batch,
    injection: Floats,
    discount: float,
    *,
    by_time: Floats | None = None,
    visit_weight: Floats | None = None,
) -> Floats:
    """Σ_k w(τ_k) e_k 1[(s_k, a_k) = (s, a)] with e_k = γ e_{k-1} + g(τ_k) i(s_k, a_k).

    Args:
        batch: transitions.
        injection: i(s, a), shape (R, S, A).
        discount: γ of the trace.
        by_time: g(τ) for the in-episode times 0 .. T - 1, shape (T,); ones if omitted.
        visit_weight: w(τ), shape (R, T); ones if omitted.

    Returns:
        Weights of ∇_θ r(s, a; θ), shape (R, S, A).
    """
    num_runs, _, num_steps = batch.state.shape
    before = np.ones(num_steps) if by_time is None else by_time
    after = np.ones((num_runs, num_steps)) if visit_weight is None else visit_weight
    weights = np.empty_like(injection)
    _trace(batch.state, batch.action, batch.time, injection, before, after, discount, weights)
    return weights


class Visits(NamedTuple):
    """Visits of each (s, a): their number, and Σ_k γ^τ_k w(τ_k) over them, both (R, S, A)."""

    number: Floats
    weighted: Floats


@parallel_kernel
def _count(state, action, time, visit_weight, powers, count, weighted):  # type: ignore[no-untyped-def]
    num_runs, num_envs, num_steps = state.shape
    for r in numba.prange(num_runs):
        count[r] = 0.0
        weighted[r] = 0.0
        for e in range(num_envs):
            for t in range(num_steps):
                s, a, tau = state[r, e, t], action[r, e, t], time[r, e, t]
                count[r, s, a] += 1.0
                weighted[r, s, a] += powers[tau] * visit_weight[r, tau]


def count_visits(
    batch: Batch, shape: tuple[int, ...], discount: float, visit_weight: Floats
) -> Visits:
    """Count the visits of every (s, a) in `shape` = (R, S, A), with weights w(τ), shape (R, T)."""
    visits = Visits(np.empty(shape), np.empty(shape))
    discounts = powers(discount, batch.state.shape[2])
    _count(batch.state, batch.action, batch.time, visit_weight, discounts, *visits)
    return visits


@parallel_kernel
def _count_episodes(time, ended, observed, finished):  # type: ignore[no-untyped-def]
    num_runs, num_envs, num_steps = time.shape
    for r in numba.prange(num_runs):
        observed[r] = 0.0
        finished[r] = 0.0
        for e in range(num_envs):
            for t in range(num_steps):
                if time[r, e, t] == 0:
                    observed[r, num_steps - t - 1] += 1.0
                finished[r] += ended[r, e, t]
        for tau in range(num_steps - 2, -1, -1):
            observed[r, tau] += observed[r, tau + 1]


def episode_weight(batch: Batch, normalisation: Normalisation) -> Floats:
    """Weight of a transition by its in-episode time, shape (R, T): one over a number of episodes.

    "started_episodes" divides by the episodes whose step τ falls inside the batch, whether they
    were still running then or not. An episode's start decides that, not its length, so that cut
    episodes count as far as they were seen and no further. "finished_episodes" divides by the
    episodes that ended (at least 1) although unfinished ones enter the sum, as the released code
    does.
    """
    num_runs, _, num_steps = batch.time.shape
    observed, finished = np.empty((num_runs, num_steps)), np.empty(num_runs)
    _count_episodes(batch.time, batch.terminated | batch.truncated, observed, finished)
    if normalisation == "started_episodes":
        return 1.0 / np.maximum(1.0, observed)
    return np.repeat(1.0 / np.maximum(1.0, finished)[:, None], num_steps, axis=1)


@parallel_kernel
def _mean_return(state, action, time, reward, powers, mean):  # type: ignore[no-untyped-def]
    num_runs, num_envs, num_steps = state.shape
    for r in numba.prange(num_runs):
        total, episodes = 0.0, 0
        for e in range(num_envs):
            for t in range(num_steps):
                tau = time[r, e, t]
                episodes += tau == 0
                total += powers[tau] * reward[r, state[r, e, t], action[r, e, t]]
        mean[r] = total / episodes


def sampled_return(batch: Batch, reward: Floats, discount: float) -> Floats:
    """Mean discounted return of the batch's episodes, the cut ones as far as seen, shape (R,)."""
    mean = np.empty(len(reward))
    discounts = powers(discount, batch.state.shape[2])
    _mean_return(batch.state, batch.action, batch.time, reward, discounts, mean)
    return mean


@parallel_kernel
def _forward(injection, horizon, discount, include_current, trace):  # type: ignore[no-untyped-def]
    num_runs, num_steps = injection.shape
    for r in numba.prange(num_runs):
        e = 0.0
        for n in range(num_steps):
            if n % horizon == 0:
                e = 0.0
            e *= discount
            if include_current:
                e += injection[r, n]
            trace[r, n] = e
            if not include_current:
                e += injection[r, n]


def forward_trace(
    injection: Floats, horizon: int, discount: float, *, include_current: bool
) -> Floats:
    """The trace of whole episodes of `horizon` steps, one after the other, shape (R, N).

    It is e_k = γ_F e_{k-1} + i_k of the injection i, shape (R, N); not `include_current`, the
    sensitivity starts one step later, e_k = Σ_{t<k} γ_F^{k-t} i_t.
    """
    trace = np.empty_like(injection)
    _forward(injection, horizon, discount, include_current, trace)
    return trace


@parallel_kernel
def _to_come(sensitivity, horizon, discount, total):  # type: ignore[no-untyped-def]
    num_runs, num_steps, size = sensitivity.shape
    for r in numba.prange(num_runs):
        for n in range(num_steps - 1, -1, -1):
            last = (n + 1) % horizon == 0
            for p in range(size):
                later = 0.0 if last else total[r, n + 1, p] + sensitivity[r, n + 1, p]
                total[r, n, p] = discount * later


def sensitivity_to_come(sensitivity: Floats, horizon: int, discount: float) -> Floats:
    """Σ_{k>t} γ^{k-t} ψ_k to the end of the episode, one sample of ∇_θ Q_F per step, (R, N, P).

    From ψ of every step of whole episodes of `horizon` steps, one after the other, (R, N, P).
    """
    total = np.empty_like(sensitivity)
    _to_come(sensitivity, horizon, discount, total)
    return total
