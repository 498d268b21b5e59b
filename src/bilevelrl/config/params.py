"""All of params.yaml."""

from pathlib import Path
from typing import Any

from pydantic import model_validator

from bilevelrl.config.blocks import (
    EvaluateParams,
    FollowerParams,
    GradientParams,
    LeaderParams,
    ProblemParams,
    Runtime,
    SearchParams,
)
from bilevelrl.config.settings import SUPPORTED, Setting, expand
from bilevelrl.config.validation import Block, ConfigError, Variant, read_mapping, validate


class GridItem(Block):
    """One cell of the pipeline."""

    problem: str
    estimator: str


class Params(Block):
    """All of params.yaml."""

    runtime: Runtime
    problems: ProblemParams
    environments: dict[str, SearchParams]
    followers: FollowerParams
    leaders: LeaderParams
    grid: dict[str, GridItem]
    cells: dict[str, dict[str, dict[str, dict[str, Any]]]]
    gradients: dict[str, GradientParams]
    evaluate: EvaluateParams

    @model_validator(mode="after")
    def _temperature_is_searched(self) -> "Params":
        for problem, study in self.gradients.items():
            search = self.environments.get(problem)
            if search is None or study.temperature not in search.temperatures:
                allowed = () if search is None else search.temperatures
                raise ValueError(
                    f"gradients.{problem}.temperature = {study.temperature} must be one of "
                    f"environments.{problem}.temperatures = {list(allowed)}"
                )
        return self

    @model_validator(mode="after")
    def _cells_exist(self) -> "Params":
        for name, item in self.grid.items():
            if item.problem not in SUPPORTED:
                raise ValueError(
                    f"grid.{name}.problem = {item.problem!r}: allowed are {sorted(SUPPORTED)}"
                )
            if item.estimator not in SUPPORTED[item.problem]:
                raise ValueError(
                    f"grid.{name}.estimator = {item.estimator!r}: {item.problem} supports "
                    f"{sorted(SUPPORTED[item.problem])}"
                )
            if name != f"{item.problem}-{item.estimator}":
                raise ValueError(f"grid.{name} must be named {item.problem}-{item.estimator}")
            if not self.cells.get(item.problem, {}).get(item.estimator):
                raise ValueError(f"cells.{item.problem}.{item.estimator} is missing or empty")
        for problem, estimators in self.cells.items():
            if problem not in SUPPORTED:
                raise ValueError(f"cells.{problem}: allowed problems are {sorted(SUPPORTED)}")
            for estimator in estimators:
                if estimator not in SUPPORTED[problem]:
                    raise ValueError(
                        f"cells.{problem}.{estimator}: {problem} supports "
                        f"{sorted(SUPPORTED[problem])}"
                    )
                self.settings(problem, estimator)
        return self

    def settings(self, problem: str, estimator: str) -> tuple[Setting, ...]:
        """All settings of a cell, lists in an entry expanded to their product.

        Raises:
            ConfigError: if an entry has unknown, missing, superfluous or impossible values, or two
                settings would answer to the same conditions.
        """
        settings: dict[tuple[Variant, tuple[tuple[str, Any], ...]], str] = {}
        expanded = []
        for name, entry in self.cells[problem][estimator].items():
            where = f"cells.{problem}.{estimator}.{name}"
            for setting in expand(entry, estimator, self.leaders, where):
                conditions = setting.conditions(self.leaders.initial_spread)
                key = (setting.variant, tuple(sorted(conditions.items())))
                if key in settings:
                    raise ConfigError(f"{where} repeats the conditions of {settings[key]}: {key}")
                settings[key] = where
                expanded.append(setting)
        return tuple(expanded)


def read_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check a parameter file.

    Raises:
        ConfigError: if it is missing, not YAML, or says something impossible.
    """
    return validate(Params, read_mapping(path), str(path))
