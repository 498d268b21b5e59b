"""What the numbers of a linear-quadratic problem have to be; each function names the field."""

import numpy as np

from bilevelrl.core.arrays import Floats


def check_costs(of: object, *names: str) -> None:
    """Raise a ValueError unless these matrices are symmetric and positive definite."""
    for name in names:
        cost = getattr(of, name)
        if (cost != cost.T).any() or np.linalg.eigvalsh(cost).min() <= 0.0:
            raise ValueError(f"{name} must be symmetric, positive definite: {cost.tolist()}")


def check_positive(of: object, *names: str) -> None:
    """Raise a ValueError unless these numbers are positive and finite."""
    for name in names:
        if not 0.0 < getattr(of, name) < np.inf:
            raise ValueError(f"{name} must be positive and finite, got {getattr(of, name)}")


def check_steps(max_episode_steps: int) -> None:
    """Raise a ValueError unless episodes have a step."""
    if max_episode_steps < 1:
        raise ValueError(f"max_episode_steps must be at least 1, got {max_episode_steps}")


def check_temperature(temperature: Floats) -> None:
    """Raise a ValueError unless it is one positive number per run, shape (R,)."""
    if temperature.ndim != 1 or not (temperature > 0.0).all():
        raise ValueError(f"temperature must be one positive number a run: {temperature}")
