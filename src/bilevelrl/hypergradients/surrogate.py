"""The scalar whose gradient is the hypergradient, for any leader in PyTorch."""

from typing import TYPE_CHECKING

from bilevelrl.hypergradients.arrays import is_tensor
from bilevelrl.hypergradients.coefficients import Coefficients

if TYPE_CHECKING:
    import torch


def surrogate(
    coefficients: "Coefficients[torch.Tensor]",
    phi: "torch.Tensor | None" = None,
    *,
    direct: "torch.Tensor | None" = None,
    indirect: "torch.Tensor | None" = None,
    shared_leader: bool = True,
    num_episodes: float | None = None,
) -> "torch.Tensor":
    """(1/M) Σ_k c_k φ_k(θ); its `.backward()` leaves the estimate of dJ/dθ in θ's `.grad`.

    The gradient points uphill in J, while PyTorch's optimisers descend: give them `maximize=True`.

    Args:
        coefficients: c_k, and the number M of episodes.
        phi: what θ acts through, shape (N,) or (R, N) as the coefficients, finite numbers at
            padding too: log f_θ(a | s), or log p_θ(s' | s, b). Both terms differentiate it.
        direct: in place of `phi`, of the direct term alone: the leader's reward r_L, or
            log f_θ(a | s) to leave the indirect term out (Naive-PGD).
        indirect: in place of `phi`, of the indirect term alone: the follower's reward r_F.
        shared_leader: rows are environments or episodes of one leader, and M counts all of them.
            False: rows are runs with a leader each, divided by their own number of episodes.
        num_episodes: M, of every row if leaders are not shared; None counts the episodes that
            start in the batch, which is wrong for pieces of episodes (`Episodes.read(carry=...)`).

    Raises:
        TypeError: φ or the coefficients are no tensors.
        ValueError: nothing to differentiate, another shape, no gradient, a number that is not
            finite, M that is not positive, or `phi` where the leader sets two rewards.
    """
    if (phi is None) == (direct is None and indirect is None):
        raise ValueError("expected either phi, or direct, indirect or both")
    if phi is not None and coefficients.channel == "rewards":
        raise ValueError("phi stands for one channel; expected direct=r_L, indirect=r_F, or both")
    named = {"phi": phi, "direct": direct, "indirect": indirect}
    given = {name: values for name, values in named.items() if values is not None}
    weights = {
        name: coefficients.total if name == "phi" else getattr(coefficients, name) for name in given
    }
    for name, values in given.items():
        _check(name, weights[name], values)
    like = next(iter(given.values()))
    rows = len(coefficients.num_episodes)
    counts = like.new_tensor(coefficients.num_episodes)
    if num_episodes is not None:
        counts = counts.new_full((1 if shared_leader else rows,), float(num_episodes))
    if shared_leader:
        counts = counts.sum().expand(rows)
    if not bool((counts > 0).all()):
        raise ValueError(
            f"num_episodes is {counts.tolist()}; expected more than 0 episodes that start in "
            f"{'the batch' if shared_leader else 'every row'}, or the number to divide by"
        )
    total = like.new_zeros(rows)
    for name, values in given.items():
        total = total + (weights[name] * values).reshape(rows, -1).sum(dim=1)
    return (total / counts).sum()


def _check(name: str, weights: "torch.Tensor", given: "torch.Tensor") -> None:
    if not is_tensor(weights):
        raise TypeError("the coefficients are of NumPy; expected advantages in tensors of PyTorch")
    if not is_tensor(given):
        raise TypeError(f"{name} is a {type(given).__name__}; expected a tensor of PyTorch")
    if given.shape != weights.shape:
        raise ValueError(
            f"{name} has shape {tuple(given.shape)}; expected {tuple(weights.shape)}, as of the "
            "advantages"
        )
    if not given.requires_grad:
        raise ValueError(
            f"{name} has no gradient; expected numbers computed from the leader's parameters, "
            "outside of torch.no_grad()"
        )
    bad = ~given.detach().isfinite()
    if bool(bad.any()):
        place = tuple(bad.nonzero()[0].tolist())
        raise ValueError(
            f"{name} is {float(given.detach()[place])} at {place}; expected finite numbers, at "
            "padding too: pad observations with what the leader can read"
        )
