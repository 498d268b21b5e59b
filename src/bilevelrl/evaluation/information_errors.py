"""How fast errors fall with the number of samples: means over seeds, and slopes on log-log axes."""

import numpy as np
import pandas as pd

from bilevelrl.core.arrays import Floats

CURVE = ["problem", "point", "information", "belief", "critic"]


def log_log_slope(size: Floats, error: Floats, spread: Floats) -> tuple[float, float]:
    """Slope of log error against log size by least squares, and its standard error.

    The standard error is what that of the means leaves in the slope, to first order; the curve's
    deviation from a line is no part of it.

    Args:
        size: n of each mean, shape (K,), K >= 2.
        error: mean errors, positive, shape (K,).
        spread: their standard errors, independent of each other, shape (K,).

    Raises:
        ValueError: if an error is not positive and finite.
    """
    if not (np.isfinite(error) & (error > 0.0)).all():
        raise ValueError(f"mean errors must be positive and finite, got {error.tolist()}")
    place = np.log(size) - np.log(size).mean()
    weight = place / (place @ place)
    return float(weight @ np.log(error)), float(np.sqrt(np.square(weight * spread / error).sum()))


def error_curves(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean error of every level and size, beside the slope of its level.

    Args:
        rows: columns `runs.records.INFORMATION_COLUMNS`, `belief` without missing values.

    Returns:
        Columns `CURVE`, env_steps, error, standard_error, seeds, slope and slope_error; the last
        two are repeated along a curve.
    """
    groups = rows.astype({"error": "float64"}).groupby([*CURVE, "env_steps"])["error"]
    table = groups.agg(error="mean", standard_error="sem", seeds="count").reset_index()
    table = table.assign(slope=np.nan, slope_error=np.nan)
    for _, curve in table.groupby(CURVE):
        fitted = curve[["env_steps", "error", "standard_error"]].to_numpy(dtype=np.float64)
        table.loc[curve.index, ["slope", "slope_error"]] = log_log_slope(*fitted.T)
    return table
