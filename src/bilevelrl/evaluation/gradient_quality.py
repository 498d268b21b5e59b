"""How far estimates of a hypergradient are from the exact one."""

import numpy as np

from bilevelrl.core.arrays import Floats


def gradient_row(estimates: Floats, exact: Floats, **identity: str | int) -> dict[str, str | float]:
    """Bias, spread and direction of independent estimates at one θ: a row of `GRADIENT_COLUMNS`.

    |mean - g|² overestimates |bias|² by trace(cov) / n on average, so that much is taken off; the
    result is floored at 0, which reads "not told apart from 0 with this many replicates".

    Args:
        estimates: independent estimates of the hypergradient, shape (n, D).
        exact: g = dJ/dθ, shape (D,).
        identity: the other columns.

    Raises:
        ValueError: if shapes disagree, there are fewer than two estimates, or one is not finite.
    """
    replicates = len(estimates)
    if estimates.shape != (replicates, *exact.shape) or exact.ndim != 1 or replicates < 2:
        expected = f"shape (n, D) with n >= 2 and D of {exact.shape}"
        raise ValueError(f"estimates must have {expected}, got {estimates.shape}")
    if not np.isfinite(estimates).all():
        raise ValueError(f"an estimate of {identity} is not finite")
    centre = estimates.mean(axis=0)
    alike = (estimates == estimates[0]).all()  # rounding of the mean would leave 1e-16
    total_variance = 0.0 if alike else float(estimates.var(axis=0, ddof=1).sum())
    squared_error = float(((centre - exact) ** 2).sum())
    return {
        **identity,
        "replicates": replicates,
        "exact_norm": float(np.linalg.norm(exact)),
        "bias": float(np.sqrt(max(0.0, squared_error - total_variance / replicates))),
        "bias_error": float(np.sqrt(total_variance / replicates)),
        "standard_deviation": float(np.sqrt(total_variance)),
        "rmse": float(np.sqrt(((estimates - exact) ** 2).sum(axis=1).mean())),
        "cosine_mean": float(_cosine(estimates, exact).mean()),
        "cosine_of_mean": float(_cosine(centre, exact)),
    }


def _cosine(vectors: Floats, exact: Floats) -> Floats:
    """Cosine of each vector with `exact`; 0 for a vector of length 0, which points nowhere."""
    length = np.linalg.norm(vectors, axis=-1) * np.linalg.norm(exact)
    cosine: Floats = (vectors @ exact) / np.where(length > 0.0, length, np.inf)
    return cosine
