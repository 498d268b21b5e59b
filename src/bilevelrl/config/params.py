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
    SacParams,
    SearchParams,
    SoftQParams,
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
from bilevelrl.config.validation import (
    Block,
    ConfigError,
    Count,
    Positive,
    Seed,
    Variant,
    unknown_key,
    validate,
)
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


class LearnerParams(PerProblem):
    """How the follower of every problem learns, if it does and its settings do not say it."""

    four_rooms: SoftQParams
    discrete_toy_r1: SoftQParams
    discrete_toy_r2: SoftQParams
    bilevel_lqr: SacParams
    thermal_control: SacParams
    guided_cartpole: None


class FollowersParams(Block):
    """Followers of all problems, see `FollowerParams`."""

    tolerance: Positive
    max_iterations: Count
    sweeps: Count
    learners: LearnerParams

    def of(self, problem: str) -> FollowerParams:
        """What concerns one problem, and no other problem's learner."""
        shared = self.model_dump(exclude={"learners"})
        return FollowerParams(**shared, learner=self.learners.of(problem))


class SeedParams(Block):
    """The runs of every setting: which seeds, and how many; an entry may set its own.

    Attributes:
        first_seed, num_seeds: one run each.
    """

    first_seed: Seed
    num_seeds: Count


class SeedsParams(PerProblem):
    """The runs of every problem."""

    four_rooms: SeedParams
    discrete_toy_r1: SeedParams
    discrete_toy_r2: SeedParams
    bilevel_lqr: SeedParams
    thermal_control: SeedParams
    guided_cartpole: SeedParams


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
    """The estimator-error study of every problem; None where nobody knows the hypergradient."""

    four_rooms: GradientParams
    discrete_toy_r1: GameGradientParams
    discrete_toy_r2: GameGradientParams
    bilevel_lqr: LinearGradientParams
    thermal_control: ThermalGradientParams
    guided_cartpole: None

    @property
    def studied(self) -> list[str]:
        """The problems that have such a study."""
        return [name for name in type(self).model_fields if self.of(name) is not None]


class GridItem(Block):
    """One cell of the pipeline."""

    problem: str
    estimator: str


class Params(Block):
    """All of params.yaml."""

    runtime: Runtime
    problems: ProblemParams
    environments: EnvironmentParams
    followers: FollowersParams
    learning: LearnersParams
    leaders: LeaderParams
    seeds: SeedsParams
    grid_problems: tuple[str, ...] = Field(min_length=1, strict=False)
    grid: dict[str, GridItem] = Field(min_length=1)
    cells: dict[str, dict[str, dict[str, dict[str, Any]]]]
    gradients: GradientsParams
    evaluate: EvaluateParams

    @model_validator(mode="after")
    def _studies_are_searched(self) -> "Params":
        for problem in self.gradients.studied:
            temperature = self.gradients.of(problem).temperature
            self._check_temperature(f"gradients.{problem}", problem, temperature)
        return self

    @model_validator(mode="after")
    def _sizes_are_whole_episodes(self) -> "Params":
        for problem in self.gradients.studied:
            study, horizon = self.gradients.of(problem), self.problems.of(problem).max_episode_steps
            for key, size in study.whole_episodes():
                if size % horizon:
                    raise ValueError(
                        f"gradients.{problem}.{key}: {size} must be a multiple of "
                        f"problems.{problem}.max_episode_steps = {horizon}"
                    )
            own = study.information
            whole = own.batches * horizon
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

    @model_validator(mode="after")
    def _problems_are_those_of_the_grid(self) -> "Params":
        # DVC needs the problems by name: it cannot collect them from the grid.
        listed, used = list(self.grid_problems), {item.problem for item in self.grid.values()}
        for problem in listed:
            if problem not in used:
                raise ValueError(
                    f"grid_problems = {listed}: {problem} has no cell in grid; allowed are "
                    f"{sorted(used)}, each once"
                )
        if len(set(listed)) < len(listed) or used - set(listed):
            raise ValueError(
                f"grid_problems = {listed}: it must name each problem of grid once, which are "
                f"{sorted(used)}"
            )
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
        leaders: Block = self.leaders.of(problem)
        seeds: Block = self.seeds.of(problem)
        return leaders.model_dump() | seeds.model_dump()

    def settings(self, problem: str, estimator: str) -> tuple[Setting, ...]:
        """All settings of a cell, lists in an entry expanded to their product.

        Raises:
            ConfigError: if an entry has unknown, missing, superfluous or impossible values, or two
                settings would answer to the same conditions.
        """
        settings: dict[tuple[Variant, tuple[tuple[str, Any], ...]], str] = {}
        expanded = []
        check_supported("cell", problem, estimator)
        cells = self.cells.get(problem, {})
        if estimator not in cells:
            raise ConfigError(f"cells.{problem}: no {estimator!r}, there are {sorted(cells)}")
        for name, entry in cells[estimator].items():
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
