"""All of params.yaml."""

from pathlib import Path
from typing import Self

from pydantic import Field, InstanceOf, model_validator

from bilevelrl.core.blocks import FollowerParams, InformedStudyParams, SolverParams
from bilevelrl.core.entries import names_of
from bilevelrl.core.problem import AnyProblem, Problem, ProblemBlock
from bilevelrl.core.settings import Setting
from bilevelrl.core.validation import Block, ConfigError, Content, unknown_key, validate
from bilevelrl.problems import registry
from bilevelrl.runs.evaluate_block import EvaluateParams
from bilevelrl.runs.reward_structures_block import RewardStructureParams
from bilevelrl.runs.runtime import Runtime
from bilevelrl.runs.yaml_files import read_mapping


class ProblemItem(Block):
    """A problem of the pipeline; `kind` is as in its block, where DVC cannot look it up."""

    kind: str


class GridItem(ProblemItem):
    """One cell of the pipeline."""

    problem: str
    estimator: str


class Params(Block):
    """All of params.yaml; `grid_problems` and `grid` are what is computed of it."""

    runtime: Runtime
    followers: SolverParams
    problems: dict[str, InstanceOf[ProblemBlock]] = Field(min_length=1)
    grid_problems: dict[str, ProblemItem] = Field(min_length=1)
    grid: dict[str, GridItem] = Field(min_length=1)
    evaluate: EvaluateParams
    reward_structures: RewardStructureParams

    @model_validator(mode="after")
    def _studies_are_possible(self) -> Self:
        for name, block in self.problems.items():
            study = block.gradients
            if study is None:
                continue
            where = f"problems.{name}.gradients"
            self._check_temperature(where, name, study.temperature)
            horizon = block.constants.max_episode_steps
            constant = f"problems.{name}.constants.max_episode_steps"
            for key, size in study.whole_episodes():
                if size % horizon:
                    wanted = f"{constant} = {horizon}"
                    raise ValueError(f"{where}.{key}: {size} must be a multiple of {wanted}")
            if not isinstance(study, InformedStudyParams):
                continue
            own = study.information
            for size in own.sizes:
                if size % (own.batches * horizon):
                    raise ValueError(
                        f"{where}.information: size {size} must be a multiple of "
                        f"batches * {constant} = {own.batches * horizon}"
                    )
        return self

    @model_validator(mode="after")
    def _thresholds_have_problems(self) -> Self:
        for problem, values in self.evaluate.return_thresholds.items():
            if problem not in self.problems:
                where = "evaluate.return_thresholds:"
                raise ValueError(unknown_key(where, problem, list(values), sorted(self.problems)))
        return self

    @model_validator(mode="after")
    def _cells_exist(self) -> Self:
        for name, item in self.grid.items():
            self._check_kind(f"grid.{name}", item.problem, item.kind)
            self.check_supported(f"grid.{name}", item.problem, item.estimator)
            if name != f"{item.problem}-{item.estimator}":
                raise ValueError(f"grid.{name} must be named {item.problem}-{item.estimator}")
            if not self.problems[item.problem].cells.get(item.estimator):
                where = f"problems.{item.problem}.cells.{item.estimator}"
                raise ValueError(f"{where} is missing or empty")
        for problem, block in self.problems.items():
            for estimator in block.cells:
                where = f"problems.{problem}.cells.{estimator}"
                names = names_of(block.estimators)
                if estimator not in names:
                    raise ValueError(f"{where}: {problem} supports {names}")
                for setting in self.settings(problem, estimator):
                    self._check_temperature(where, problem, setting.temperature)
        return self

    @model_validator(mode="after")
    def _problems_are_those_of_the_grid(self) -> Self:
        # DVC needs the problems by name: it cannot collect them from the grid.
        listed = sorted(self.grid_problems)
        used = sorted({item.problem for item in self.grid.values()})
        for problem in listed:
            if problem not in used:
                raise ValueError(
                    f"grid_problems = {listed}: {problem} has no cell in grid; allowed are {used}"
                )
            self._check_kind(f"grid_problems.{problem}", problem, self.grid_problems[problem].kind)
        if set(used) - set(listed):
            raise ValueError(
                f"grid_problems = {listed}: it must name each problem of grid, which are {used}"
            )
        return self

    def _check_kind(self, where: str, problem: str, kind: str) -> None:
        own = self.block(problem, f"{where}.problem").kind
        if kind != own:
            raise ConfigError(f"{where}.kind = {kind!r}: problems.{problem}.kind is {own!r}")

    def check_supported(self, where: str, problem: str, estimator: str) -> None:
        """Refuse, by a ConfigError after `where`, pairs that do not exist; it names what does."""
        names = names_of(self.block(problem, f"{where}.problem").estimators)
        if estimator not in names:
            raise ConfigError(f"{where}.estimator = {estimator!r}: {problem} supports {names}")

    def _check_temperature(self, where: str, problem: str, temperature: float) -> None:
        # Without a best known J, evaluate would have nothing to compare with, hours later.
        searched = self.problems[problem].search.temperatures
        if temperature not in searched:
            raise ConfigError(
                f"{where}: temperature = {temperature} must be one of "
                f"problems.{problem}.search.temperatures = {list(searched)}"
            )

    @property
    def returns(self) -> dict[str, str | None]:
        """Which J each problem reports, see `ProblemBlock.reported_return`."""
        return {name: block.reported_return for name, block in self.problems.items()}

    def block(self, problem: str, where: str = "problem") -> ProblemBlock:
        """The block of a problem.

        Raises:
            ConfigError: if there is none; the message starts with `where`.
        """
        if problem not in self.problems:
            raise ConfigError(f"{where} = {problem!r}: allowed are {sorted(self.problems)}")
        return self.problems[problem]

    def problem(self, name: str) -> AnyProblem:
        """What a problem's own modules are told of it.

        Raises:
            ConfigError: as `block`.
        """
        block, shared = self.block(name), self.followers.model_dump()
        return Problem(name, block, FollowerParams(**shared, learner=block.learner))

    def settings(self, problem: str, estimator: str) -> tuple[Setting, ...]:
        """All settings of a cell, lists in an entry expanded to their product.

        Raises:
            ConfigError: if an entry is impossible, or repeats the conditions of another.
        """
        self.check_supported("cell", problem, estimator)
        block = self.problems[problem]
        if estimator not in block.cells:
            raise ConfigError(
                f"problems.{problem}.cells: no {estimator!r}, there are {sorted(block.cells)}"
            )
        shared, found, places = block.shared(), [], dict[object, str]()
        for where, setting in block.settings(problem, estimator):
            key = (setting.variant, tuple(sorted(setting.conditions(shared).items())))
            if key in places:
                raise ConfigError(f"{where} repeats the conditions of {places[key]}: {key}")
            places[key] = where
            found.append(setting)
        return tuple(found)


def parse_params(content: Content, where: str) -> Params:
    """Check the content of a parameter file.

    Raises:
        ConfigError: if it says something impossible; the message starts with `where`.
    """
    problems = content.get("problems")
    if not isinstance(problems, dict):
        return validate(Params, content, where)  # which says what is wrong with it
    blocks = {name: _block(name, block, where) for name, block in problems.items()}
    return validate(Params, content | {"problems": blocks}, where)


def _block(name: str, content: object, where: str) -> ProblemBlock:
    place = f"{where}: problems.{name}"
    if not isinstance(content, dict):
        raise ConfigError(f"{place} = {content!r}: a block of keys is needed")
    kind = content.get("kind")
    if kind not in registry.KINDS:
        raise ConfigError(f"{place}.kind = {kind!r}: allowed are {sorted(registry.KINDS)}")
    block: type[ProblemBlock] = registry.part(kind, "settings").BLOCK
    return validate(block, content, where, f"problems.{name}")


def read_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check a parameter file.

    Raises:
        ConfigError: if it is missing, not YAML, or says something impossible.
    """
    return parse_params(read_mapping(path), str(path))
