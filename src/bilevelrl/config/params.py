"""All of params.yaml."""

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from bilevelrl.config.blocks import (
    EvaluateParams,
    FollowerParams,
    FourRoomsLeaders,
    FourRoomsParams,
    GradientParams,
    LearningParams,
    Runtime,
    SearchParams,
)
from bilevelrl.config.cartpole import (
    GuidedCartPoleLeaders,
    GuidedCartPoleParams,
    UnsearchedParams,
)
from bilevelrl.config.families import FAMILIES, check_supported, expand
from bilevelrl.config.games import (
    AscentParams,
    BilevelLQRLeaders,
    BilevelLQRParams,
    DiscreteToyLeaders,
    DiscreteToyParams,
    GameGradientParams,
    LandscapeParams,
    LinearGradientParams,
)
from bilevelrl.config.settings import FourRoomsSetting, Setting
from bilevelrl.config.thermal import (
    ThermalControlParams,
    ThermalGradientParams,
    ThermalLeaders,
    ThermalSearchParams,
)
from bilevelrl.config.validation import Block, ConfigError, Variant, unknown_key, validate
from bilevelrl.config.yaml_files import read_mapping


class PerProblem(Block):
    """One block for every problem; the fields are the problems."""

    def of(self, problem: str) -> Any:
        """The block of a problem, whose type depends on the problem's family."""
        return getattr(self, problem)


class ProblemParams(PerProblem):
    """Constants of every problem."""

    four_rooms: FourRoomsParams
    discrete_toy_r1: DiscreteToyParams
    discrete_toy_r2: DiscreteToyParams
    bilevel_lqr: BilevelLQRParams
    thermal_control: ThermalControlParams
    guided_cartpole: GuidedCartPoleParams


class EnvironmentParams(PerProblem):
    """How the best known J of every problem is searched for."""

    four_rooms: SearchParams
    discrete_toy_r1: LandscapeParams
    discrete_toy_r2: LandscapeParams
    bilevel_lqr: AscentParams
    thermal_control: ThermalSearchParams
    guided_cartpole: UnsearchedParams


class LearnersParams(PerProblem):
    """Followers that learn at the initial θ of every problem."""

    four_rooms: LearningParams
    discrete_toy_r1: LearningParams
    discrete_toy_r2: LearningParams
    bilevel_lqr: LearningParams | None
    thermal_control: LearningParams
    guided_cartpole: LearningParams | None


class LeaderParams(PerProblem):
    """What the cells of a problem share."""

    four_rooms: FourRoomsLeaders
    discrete_toy_r1: DiscreteToyLeaders
    discrete_toy_r2: DiscreteToyLeaders
    bilevel_lqr: BilevelLQRLeaders
    thermal_control: ThermalLeaders
    guided_cartpole: GuidedCartPoleLeaders


class GradientsParams(PerProblem):
    """The estimator-error study of every problem whose hypergradient is known."""

    four_rooms: GradientParams
    discrete_toy_r1: GameGradientParams
    discrete_toy_r2: GameGradientParams
    bilevel_lqr: LinearGradientParams
    thermal_control: ThermalGradientParams


class GridItem(Block):
    """One cell of the pipeline."""

    problem: str
    estimator: str


class Params(Block):
    """All of params.yaml."""

    runtime: Runtime
    problems: ProblemParams
    environments: EnvironmentParams
    followers: FollowerParams
    learning: LearnersParams
    leaders: LeaderParams
    grid: dict[str, GridItem] = Field(min_length=1)
    cells: dict[str, dict[str, dict[str, dict[str, Any]]]]
    gradients: GradientsParams
    evaluate: EvaluateParams

    @model_validator(mode="after")
    def _studies_are_searched(self) -> "Params":
        for problem in GradientsParams.model_fields:
            temperature = self.gradients.of(problem).temperature
            self._check_temperature(f"gradients.{problem}", problem, temperature)
        return self

    @model_validator(mode="after")
    def _sizes_are_whole_episodes(self) -> "Params":
        for problem in GradientsParams.model_fields:
            own = self.gradients.of(problem).information
            whole = own.batches * self.problems.of(problem).max_episode_steps
            for size in own.sizes:
                if size % whole:
                    raise ValueError(
                        f"gradients.{problem}.information: size {size} must be a multiple of "
                        f"batches * problems.{problem}.max_episode_steps = {whole}"
                    )
        return self

    @model_validator(mode="after")
    def _thresholds_have_problems(self) -> "Params":
        for problem, values in self.evaluate.return_thresholds.items():
            if problem not in FAMILIES:
                where = "evaluate.return_thresholds:"
                raise ValueError(unknown_key(where, problem, list(values), sorted(FAMILIES)))
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
            if problem not in FAMILIES:
                raise ValueError(f"cells.{problem}: allowed problems are {sorted(FAMILIES)}")
            for estimator in estimators:
                if estimator not in FAMILIES[problem].names:
                    raise ValueError(
                        f"cells.{problem}.{estimator}: {problem} supports {FAMILIES[problem].names}"
                    )
                for setting in self.settings(problem, estimator):
                    where = f"cells.{problem}.{estimator}"
                    self._check_temperature(where, problem, setting.temperature)
        return self

    def _check_episodes(self, where: str, problem: str, setting: Setting) -> None:
        # FourRooms cuts episodes at the end of a batch; the others sample whole ones.
        steps = getattr(setting, "env_steps_per_update", None)
        horizon: int = self.problems.of(problem).max_episode_steps
        if steps is not None and not isinstance(setting, FourRoomsSetting) and steps % horizon:
            raise ConfigError(
                f"{where}: env_steps_per_update = {steps} must be a multiple of "
                f"problems.{problem}.max_episode_steps = {horizon}"
            )

    def _check_temperature(self, where: str, problem: str, temperature: float) -> None:
        # Without a best known J, evaluate would have nothing to compare with, hours later.
        searched = self.environments.of(problem).temperatures
        if temperature not in searched:
            raise ConfigError(
                f"{where}: temperature = {temperature} must be one of "
                f"environments.{problem}.temperatures = {list(searched)}"
            )

    def shared(self, problem: str) -> dict[str, Any]:
        """What the cells of a problem take over unless they say otherwise."""
        block: Block = self.leaders.of(problem)
        return block.model_dump()

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
            for setting in expand(entry, problem, estimator, self.shared(problem), where):
                self._check_episodes(where, problem, setting)
                conditions = setting.conditions(self.shared(problem))
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
