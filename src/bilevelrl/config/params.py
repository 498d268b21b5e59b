"""All of params.yaml."""

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from bilevelrl.config.blocks import (
    EvaluateParams,
    FollowerParams,
    GradientParams,
    LeaderParams,
    ProblemParams,
    Runtime,
    SearchParams,
)
from bilevelrl.config.settings import SUPPORTED, Setting, check_supported, expand
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
    grid: dict[str, GridItem] = Field(min_length=1)
    cells: dict[str, dict[str, dict[str, dict[str, Any]]]]
    gradients: dict[str, GradientParams]
    evaluate: EvaluateParams

    @model_validator(mode="after")
    def _studies_exist(self) -> "Params":
        for problem in {item.problem for item in self.grid.values()}:
            for block in ("environments", "gradients"):
                if problem in SUPPORTED and problem not in getattr(self, block):
                    raise ValueError(f"{block}.{problem} is missing, but grid has {problem}")
        for problem, study in self.gradients.items():
            self._check_temperature(f"gradients.{problem}", problem, study.temperature)
        return self

    @model_validator(mode="after")
    def _cells_exist(self) -> "Params":
        for name, item in self.grid.items():
            check_supported(f"grid.{name}", item.problem, item.estimator)
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
                for setting in self.settings(problem, estimator):
                    where = f"cells.{problem}.{estimator}"
                    self._check_temperature(where, problem, setting.temperature)
        return self

    def _check_temperature(self, where: str, problem: str, temperature: float) -> None:
        # Without a best known J, evaluate would have nothing to compare with, hours later.
        searched = self.environments[problem].temperatures if problem in self.environments else ()
        if temperature not in searched:
            raise ConfigError(
                f"{where}: temperature = {temperature} must be one of "
                f"environments.{problem}.temperatures = {list(searched)}"
            )

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
