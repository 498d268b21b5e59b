"""Agents of Stable-Baselines3 for tests."""

from typing import Any

from bilevelrl.models.deep.settings import ComparedSacParams, SacFollower


def agents(**changes: Any) -> ComparedSacParams:
    """Small ones that know nothing of a problem, changed where told."""
    usual: dict[str, Any] = {
        "net_arch": (16, 16), "activation_fn": "relu", "n_critics": 2, "learning_rate": 1e-3,
        "final_learning_rate": None, "decay_steps": 1, "batch_size": 32, "tau": 0.01,
        "learning_starts": 40, "buffer_size": 100_000, "reward_scale": 1.0, "n_envs": 1,
        "gradient_steps": 1, "action_bound": 1.0, "training_horizon": 100, "episodes": 20,
    }  # fmt: skip
    return ComparedSacParams(**usual | changes)


def answers(first_steps: int, steps: int) -> SacFollower:
    """How long they learn."""
    return SacFollower(kind="sac", start="carry", first_steps=first_steps, steps=steps)
