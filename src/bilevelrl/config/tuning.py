"""All of tuning/params.yaml."""

import itertools
from pathlib import Path

from pydantic import Field

from bilevelrl.config.settings import REQUIRED_KEYS, ROLLOUT_KEYS, Setting
from bilevelrl.config.validation import (
    Block,
    Count,
    Positive,
    Seed,
    Variant,
    read_mapping,
    validate,
)


class TuningCell(Block):
    """The candidates of one cell: every combination of the lists."""

    problem: str
    estimator: str
    variants: tuple[Variant, ...] = Field(min_length=1, strict=False)
    step_size: tuple[Positive, ...] = Field(min_length=1, strict=False)
    critic_step_size: tuple[Positive, ...] | None = Field(default=None, strict=False)
    oracle_steps_per_update: tuple[Count, ...] | None = Field(default=None, strict=False)
    radius: tuple[Positive, ...] | None = Field(default=None, strict=False)


class TuningParams(Block):
    """All of tuning/params.yaml."""

    first_seed: Seed
    num_seeds: Count
    num_updates: Count
    initial_spread: Positive
    temperatures: tuple[Positive, ...] = Field(min_length=1, strict=False)
    budgets: dict[Count, Count]
    grid: dict[str, TuningCell]

    def settings(self, name: str) -> tuple[Setting, ...]:
        """All candidates of a cell under all conditions."""
        cell = self.grid[name]
        sampled = REQUIRED_KEYS[cell.estimator] >= ROLLOUT_KEYS
        budgets = [
            {"env_steps_per_update": steps, "num_envs": envs} if sampled else {}
            for steps, envs in (self.budgets.items() if sampled else [(0, 0)])
        ]
        keys = ("step_size", "critic_step_size", "oracle_steps_per_update", "radius")
        swept = {key: getattr(cell, key) for key in keys if getattr(cell, key) is not None}
        shared = {
            "first_seed": self.first_seed,
            "num_seeds": self.num_seeds,
            "num_updates": self.num_updates,
            "initial_spread": self.initial_spread,
        }
        return tuple(
            validate(
                Setting,
                shared
                | {"variant": variant, "temperature": temperature}
                | budget
                | dict(zip(swept, values, strict=True)),
                f"tuning/params.yaml: grid.{name}",
            )
            for variant in cell.variants
            for temperature in self.temperatures
            for budget in budgets
            for values in itertools.product(*swept.values())
        )


def read_tuning_params(path: Path = Path("tuning/params.yaml")) -> TuningParams:
    """Read and check the parameters of the tuning pipeline.

    Raises:
        ConfigError: as `read_params`.
    """
    return validate(TuningParams, read_mapping(path), str(path))
