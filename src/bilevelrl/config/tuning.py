"""All of tuning/params.yaml."""

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from bilevelrl.config.settings import (
    REQUIRED_KEYS,
    ROLLOUT_KEYS,
    Setting,
    check_supported,
    expand,
)
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

    @model_validator(mode="after")
    def _candidates_are_possible(self) -> "TuningParams":
        for name, cell in self.grid.items():
            check_supported(f"grid.{name}", cell.problem, cell.estimator)
            self.settings(name)
        return self

    def settings(self, name: str) -> tuple[Setting, ...]:
        """All candidates of a cell under all conditions.

        Raises:
            ConfigError: if the cell lacks keys of its estimator or has others, or a budget is not
                divisible by its environments.
        """
        cell = self.grid[name]
        budgets: list[dict[str, Any]] = [{}]
        if REQUIRED_KEYS[cell.estimator] >= ROLLOUT_KEYS:
            budgets = [
                {"env_steps_per_update": steps, "num_envs": num_envs}
                for steps, num_envs in self.budgets.items()
            ]
        swept = {
            key: list(values)
            for key in ("step_size", "critic_step_size", "oracle_steps_per_update", "radius")
            if (values := getattr(cell, key)) is not None
        }
        return tuple(
            setting
            for variant in cell.variants
            for temperature in self.temperatures
            for budget in budgets
            for setting in expand(
                {"variant": variant, "temperature": temperature, **budget, **swept},
                cell.estimator,
                self,
                f"grid.{name}",
            )
        )


def read_tuning_params(path: Path = Path("tuning/params.yaml")) -> TuningParams:
    """Read and check the parameters of the tuning pipeline.

    Raises:
        ConfigError: as `read_params`.
    """
    return validate(TuningParams, read_mapping(path), str(path))
