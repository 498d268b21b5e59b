"""All of tuning/params.yaml."""

import itertools
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from bilevelrl.core.entries import Estimators, expand, names_of, registered
from bilevelrl.core.settings import Setting
from bilevelrl.core.validation import (
    Block,
    Choices,
    Content,
    Count,
    Positive,
    Seed,
    Variant,
    validate,
)
from bilevelrl.problems import registry
from bilevelrl.runs.yaml_files import read_mapping


class TuningProblem(Block):
    """Under which conditions the cells of a problem are tuned.

    Attributes:
        shared: what all candidates have, as far as their estimator has it.
        budgets: transitions per update to parallel environments, for problems that have these.
        unequal: why its searches differ in candidates or seeds, where they do.
    """

    kind: Literal[registry.KINDS]  # type: ignore[valid-type]
    shared: Content
    temperatures: Choices[Positive]
    budgets: dict[Count, Count] | None = None
    unequal: str | None = None

    @property
    def estimators(self) -> Estimators:
        """What can be trained."""
        found: Estimators = registry.part(self.kind, "settings").BLOCK.estimators
        return found

    @field_validator("shared")
    @classmethod
    def _lists_are_not_swept(cls, shared: Content) -> Content:
        return {key: tuple(v) if isinstance(v, list) else v for key, v in shared.items()}


class TuningCell(Block):
    """The candidates of one cell: every combination of the lists, components as mappings.

    Attributes:
        kind: of the problem, as in its block; DVC cannot look it up there.
        shared: what its candidates have otherwise than those of the problem.
        temperatures, budgets: if not those of the problem.
        num_seeds: more than the others' where outcomes are so unequal that few seeds mislead.
    """

    problem: str
    kind: str
    estimator: str
    variants: Choices[Variant]
    candidates: Content
    shared: Content = Field(default_factory=dict)
    temperatures: Choices[Positive] | None = None
    budgets: dict[Count, Count] | None = None
    num_seeds: Count | None = None


class TuningParams(Block):
    """All of tuning/params.yaml."""

    first_seed: Seed
    num_seeds: Count
    problems: dict[str, TuningProblem]
    grid: dict[str, TuningCell]

    @model_validator(mode="after")
    def _candidates_are_possible(self) -> Self:
        for name, cell in self.grid.items():
            where, problem = f"grid.{name}", self.problems.get(cell.problem)
            if problem is None:
                raise ValueError(f"problems.{cell.problem} is missing, but grid has {name}")
            if cell.kind != problem.kind:
                own = f"problems.{cell.problem}.kind is {problem.kind!r}"
                raise ValueError(f"{where}.kind = {cell.kind!r}: {own}")
            names = names_of(problem.estimators)
            if cell.estimator not in names:
                known = f"{cell.problem} supports {names}"
                raise ValueError(f"{where}.estimator = {cell.estimator!r}: {known}")
            self.settings(name)
        return self

    def seeds_of(self, name: str) -> int:
        """How many seeds every candidate of a cell has."""
        return self.grid[name].num_seeds or self.num_seeds

    def settings(self, name: str) -> tuple[Setting, ...]:
        """All candidates of a cell under all conditions.

        Raises:
            ConfigError: if the cell lacks keys of its estimator, or a value is impossible.
        """
        cell, where = self.grid[name], f"grid.{name}"
        problem = self.problems[cell.problem]
        seeds = {"first_seed": self.first_seed, "num_seeds": self.seeds_of(name)}
        shared = problem.shared | cell.shared | seeds
        budgets: list[dict[str, int]] = [{}]
        known = registered(problem.estimators, cell.estimator, cell.variants[0], where)
        own = cell.budgets or problem.budgets
        if own is not None and known.has("num_envs"):
            budgets = [{"env_steps_per_update": b, "num_envs": n} for b, n in own.items()]
        entries = [
            {"variant": variant, "temperature": temperature, **budget, **cell.candidates}
            for variant in cell.variants
            for temperature in cell.temperatures or problem.temperatures
            for budget in budgets
        ]
        expanded = (
            expand(problem.estimators, cell.estimator, entry, shared, where) for entry in entries
        )
        return tuple(itertools.chain.from_iterable(expanded))


def read_tuning_params(path: Path = Path("tuning/params.yaml")) -> TuningParams:
    """Read and check the parameters of the tuning pipeline.

    Raises:
        ConfigError: as `read_params`.
    """
    return validate(TuningParams, read_mapping(path), str(path))
