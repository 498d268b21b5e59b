"""The scalar whose gradient is the hypergradient, for any leader in PyTorch."""

from typing import TYPE_CHECKING

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
) -> "torch.Tensor":
    """(1/M) Σ_k c_k φ_k(θ); its `.backward()` leaves the estimate of dJ/dθ in θ's `.grad`.

    The gradient points uphill in J, while PyTorch's optimisers descend: give them `maximize=True`.

    Args:
        coefficients: c_k, and the number M of episodes.
        phi: what θ acts through, shape (N,) or (R, N) as the coefficients: log f_θ(a | s), or
            log p_θ(s' | s, b). Both terms differentiate it.
        direct: in place of `phi`, of the direct term alone: the leader's reward r_L, or
            log f_θ(a | s) to leave the indirect term out (Naive-PGD).
        indirect: in place of `phi`, of the indirect term alone: the follower's reward r_F.
        shared_leader: rows are environments or episodes of one leader, and M counts all of them.
            False: rows are runs with a leader each, divided by their own number of episodes.

    Raises:
        ValueError: nothing to differentiate, another shape, no gradient, not finite, or no episode
            starts in the batch (divide by what you know about it yourself).
    """
    if (phi is None) == (direct is None and indirect is None):
        raise ValueError("expected either phi, or direct, indirect or both")
    terms = [
        (name, weights, given)
        for name, weights, given in (
            ("phi", coefficients.total, phi),
            ("direct", coefficients.direct, direct),
            ("indirect", coefficients.indirect, indirect),
        )
        if given is not None
    ]
    for name, weights, given in terms:
        _check(name, given, tuple(weights.shape))
    number = coefficients.num_episodes
    if not (number.sum() if shared_leader else number.min()):
        raise ValueError(
            f"num_episodes is {number.tolist()}; expected at least one episode that starts in "
            f"{'the batch' if shared_leader else 'every row'}"
        )
    total = terms[0][2].new_zeros(())
    for _, weights, given in terms:
        # Padding may hold anything, and 0 times NaN is NaN.
        product = (weights * given).masked_fill(weights == 0, 0.0)
        if shared_leader:
            total = total + product.sum() / int(number.sum())
        else:
            rows = product.reshape(len(number), -1).sum(dim=1)
            total = total + (rows / rows.new_tensor(number)).sum()
    return total


def _check(name: str, given: "torch.Tensor", shape: tuple[int, ...]) -> None:
    if tuple(given.shape) != shape:
        raise ValueError(
            f"{name} has shape {tuple(given.shape)}; expected {shape}, as of the advantages"
        )
    if not given.requires_grad:
        raise ValueError(
            f"{name} has no gradient; expected numbers computed from the leader's parameters, "
            "outside of torch.no_grad()"
        )
