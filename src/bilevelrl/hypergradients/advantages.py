"""Advantages from critics and samples, for episodes of any length."""

import numpy as np

from bilevelrl.core.compilation import kernel
from bilevelrl.hypergradients.arrays import AnyArray, Array, floats, integers, like, numbers
from bilevelrl.hypergradients.episodes import Episodes


def generalized_advantages(
    episodes: Episodes,
    reward: Array,
    value: AnyArray,
    next_value: AnyArray,
    *,
    discount: float,
    decay: float = 0.95,
    baseline: AnyArray | None = None,
) -> Array:
    """Advantages of the leader's action, or of the draw of the next state, for either agent.

    With δ_k = r_k + γ V(s_{k+1}) - V(s_k), the advantage at t is
    r_t + γ V(s_{t+1}) - b_t + Σ_{k>t} (γλ)^{k-t} δ_k, the sum to the end of the episode (Schulman
    et al. 2016, arXiv 1506.02438). b is V(s) for the leader's action, and Q(s, b) for the draw of
    the next state. Rewards of an entropy-regularised follower include -β log π(b | s), as its
    values do; against its draw b is then Q(s, b) - β log π(b | s).

    Not for A_L, the advantage over the follower's actions: what was sampled later would count in
    both factors of the covariance and bias it. `choice_advantages` takes a critic alone.

    Args:
        episodes: of all arrays here.
        reward: r, floating-point numbers of shape (N,) or (R, N).
        value: V(s), same shape.
        next_value: V of the observation that a step returned, same shape: where an episode was
            cut, of its last one, not of the first of the next. Ignored where it terminated.
        discount: γ, 0 to 1.
        decay: λ, 0 to 1; 0 trusts the critic alone, 1 what was sampled.
        baseline: b, same shape; None takes `value`.

    Returns:
        Shape, kind, dtype and device of `reward`; zero at padding.

    Raises:
        TypeError: an argument holds no floating-point numbers.
        ValueError: shapes differ, a number is not finite, or γ or λ out of range.
    """
    fraction("discount", discount)
    fraction("decay", decay)
    shape, valid = episodes.shape, episodes.valid
    target = numbers("reward", reward, shape, valid)
    values = numbers("value", value, shape, valid)
    beyond = numbers("next_value", next_value, shape, valid & ~episodes.terminated)
    against = values if baseline is None else numbers("baseline", baseline, shape, valid)
    target += discount * beyond
    later = np.empty_like(target)
    _to_come(target - values, episodes.last | ~valid, discount * decay, later)
    return like(np.where(valid, target - against + later, 0.0), reward)


def choice_advantages(values: Array, probabilities: AnyArray, choice: AnyArray) -> Array:
    """A_L(s, b) = Q_L(s, b) - Σ_b' π(b' | s) Q_L(s, b'), which is centred whatever the critic is.

    Args:
        values: Q_L of every action of the follower, shape (N, B) or (R, N, B).
        probabilities: π, of the same shape; sums to one over the last axis.
        choice: the follower's actions b, integers of shape (N,) or (R, N).

    Returns:
        Shape (N,) or (R, N), of the kind, dtype and device of `values`.

    Raises:
        TypeError: an argument is no array, or of the wrong kind of numbers.
        ValueError: shapes differ, a number is not finite, probabilities are negative or do not sum
            to one, or an action is none of the B.
    """
    quality, mass = floats("values", values), floats("probabilities", probabilities)
    action, shape = integers("choice", choice), quality.shape
    if mass.shape != shape or action.shape != shape[:-1] or quality.ndim < 2 or not quality.size:
        raise ValueError(
            f"values, probabilities and choice have shapes {shape}, {mass.shape} and "
            f"{action.shape}; expected (N, B), (N, B) and (N,), or a leading R for all"
        )
    if not np.isfinite(quality).all():
        raise ValueError(
            f"values holds {quality[~np.isfinite(quality)][0]}; expected finite numbers"
        )
    off = np.abs(mass.sum(axis=-1) - 1.0).max()
    if not (off < 1e-3 and mass.min() >= 0.0):
        raise ValueError(
            f"probabilities are {mass.min():.3g} and more, and sum to one within {off:.3g}; "
            "expected 0 and more, within 0.001"
        )
    if action.min() < 0 or action.max() >= shape[-1]:
        raise ValueError(
            f"choice holds integers from {action.min()} to {action.max()}; expected from 0 to "
            f"{shape[-1] - 1}"
        )
    chosen = np.take_along_axis(quality, action[..., None].astype(np.int64), axis=-1)[..., 0]
    mean = np.sum(quality * mass, axis=-1) / mass.sum(axis=-1)
    return like(chosen - mean, values[..., 0])


def fraction(name: str, value: float) -> None:
    """Raise a ValueError unless the number lies from 0 to 1."""
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} is {value}; expected a number from 0 to 1")


@kernel
def _to_come(error, last, decay, later):  # type: ignore[no-untyped-def]
    num_rows, num_steps = error.shape
    for r in range(num_rows):
        total = 0.0
        for n in range(num_steps - 1, -1, -1):
            if last[r, n]:
                total = 0.0
            later[r, n] = decay * total
            total = error[r, n] + decay * total
