"""How many transitions a leader needs to get somewhere."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bilevelrl.evaluation.conditions import GROUP

Floats = NDArray[np.float64]


def share_of(best: pd.Series, fraction: float) -> pd.Series:
    """The J that counts as a share in (0, 1] of the best known one.

    Where J is a loss, 95 % allow a loss that is larger by 1 / 0.95.
    """
    return (best * fraction).where(best > 0.0, best / fraction)


def env_steps_to_threshold(curves: pd.DataFrame, threshold: pd.Series) -> pd.Series:
    """Transitions that each run consumed before its return first reached a threshold.

    Args:
        curves: columns `CURVE_COLUMNS`, in any order of rows.
        threshold: of each row of `curves`, aligned with it.

    Returns:
        env_steps, NaN for a run that never got there; indexed by `GROUP` and seed.
    """
    reached = curves["env_steps"].where(curves["leader_return_mean"] >= threshold)
    return reached.groupby([curves[key] for key in (*GROUP, "seed")]).min()


def median_env_steps(env_steps: Floats) -> float:
    """Transitions after which at least half of the runs had arrived; NaN if fewer ever did.

    For an even number of runs this is the lower of the two middle values: averaging it with the
    upper one would be undefined when exactly half arrive.
    """
    ordered = np.sort(np.where(np.isnan(env_steps), np.inf, env_steps))
    middle = float(ordered[(len(ordered) - 1) // 2])
    return middle if np.isfinite(middle) else float("nan")
