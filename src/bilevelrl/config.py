"""params.yaml, read once into frozen models that refuse what they do not know.

No model has a default for anything that can change a result: the value stands in params.yaml only.
"""

import difflib
import itertools
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0)]
Model = TypeVar("Model", bound=BaseModel)
Variant = Literal["published", "corrected"]

#: What an entry of `cells` must set, by estimator; everything else in `ENTRY_OPTIONS` is optional.
ROLLOUT_KEYS = frozenset({"env_steps_per_update", "num_envs"})
REQUIRED_KEYS: dict[str, frozenset[str]] = {
    "bc_hg": ROLLOUT_KEYS | {"critic_step_size"},
    "hpgd_mc": ROLLOUT_KEYS,
    "hpgd_sa": ROLLOUT_KEYS | {"critic_step_size"},
    "hpgd_oracle": ROLLOUT_KEYS | {"oracle_steps_per_update"},
    "sobirl": ROLLOUT_KEYS,
    "naive": ROLLOUT_KEYS,
    "zero_order": frozenset({"radius"}),
    "exact": frozenset(),
}
#: Which estimators each problem supports.
SUPPORTED: dict[str, frozenset[str]] = {"four_rooms": frozenset(REQUIRED_KEYS)}


class ConfigError(ValueError):
    """A parameter is impossible; the message names key, value and what is allowed."""


class Block(BaseModel):
    """A block of params.yaml: immutable, strictly typed, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Runtime(Block):
    """How to compute; changes nothing in the results, so no DVC stage depends on it."""

    jobs: Count
    threads: Count
    backend: Literal["loky", "dask"]
    dask_scheduler: str | None

    @model_validator(mode="after")
    def _scheduler_is_named(self) -> "Runtime":
        if self.backend == "dask" and not self.dask_scheduler:
            raise ValueError("backend 'dask' needs dask_scheduler, e.g. tcp://127.0.0.1:8786")
        return self


class FourRoomsParams(Block):
    """Constants of FourRooms, see `problems.four_rooms.FourRooms`."""

    discount: Annotated[float, Field(ge=0.0, lt=1.0)]
    fail_probability: Annotated[float, Field(ge=0.0, lt=0.75)]
    incentive_scale: Positive
    incentive_cost: Annotated[float, Field(ge=0.0)]
    max_episode_steps: Count


class ProblemParams(Block):
    """Constants of every problem."""

    four_rooms: FourRoomsParams


class SearchParams(Block):
    """Multi-start exact ascent for the best known J."""

    temperatures: tuple[Positive, ...] = Field(min_length=1, strict=False)
    seed: Seed
    random_starts: Count
    random_spreads: tuple[Positive, ...] = Field(min_length=1, strict=False)
    heights: tuple[Positive, ...] = Field(min_length=1, strict=False)
    num_updates: Count
    first_step_size: Positive
    last_step_size: Positive


class FollowerParams(Block):
    """The follower's solvers: certified tolerance, and the sweeps of the released code's solver."""

    tolerance: Positive
    max_iterations: Count
    sweeps: Count


class LeaderParams(Block):
    """What all cells share; `first_seed` and `num_seeds`, `initial_spread` may be set per entry."""

    first_seed: Seed
    num_seeds: Count
    num_updates: Count
    max_rows: Annotated[int, Field(ge=1, le=500)]
    max_gradient_norm: Positive
    initial_spread: Positive


class Setting(Block):
    """One full assignment of hyper-parameters of one cell; a run is a setting and a seed.

    Attributes:
        variant: "published" has every quirk of the released code, "corrected" none.
        temperature: β of the follower.
        step_size: of the leader's ascent.
        first_seed, num_seeds: which runs.
        num_updates: of the leader.
        initial_spread: standard deviation of θ at the start.
        env_steps_per_update: B, transitions per update.
        num_envs: E, parallel environments; B must be a multiple.
        critic_step_size: α of the SARSA critic.
        oracle_steps_per_update: transitions of the oracle batch.
        radius: c of the zero-order estimator.
        follower: "exact" or "truncated".
        policy_iterations: of the truncated follower.
        start: "carry" or "reset", of the truncated follower.
    """

    variant: Variant
    temperature: Positive
    step_size: Positive
    first_seed: Seed
    num_seeds: Count
    num_updates: Count
    initial_spread: Positive
    env_steps_per_update: Count | None = None
    num_envs: Count | None = None
    critic_step_size: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    oracle_steps_per_update: Count | None = None
    radius: Positive | None = None
    follower: Literal["exact", "truncated"] = "exact"
    policy_iterations: Count | None = None
    start: Literal["carry", "reset"] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "Setting":
        for key in ("env_steps_per_update", "oracle_steps_per_update"):
            steps = getattr(self, key)
            if steps is not None and self.num_envs is not None and steps % self.num_envs:
                raise ValueError(f"{key} = {steps} is not divisible by num_envs = {self.num_envs}")
        truncated = self.follower == "truncated"
        for key in ("policy_iterations", "start"):
            if (getattr(self, key) is not None) != truncated:
                raise ValueError(
                    f"{key} = {getattr(self, key)} does not go with follower = {self.follower}: "
                    "set it for 'truncated' and only there"
                )
        return self

    @property
    def seeds(self) -> range:
        """One run each."""
        return range(self.first_seed, self.first_seed + self.num_seeds)

    def conditions(self, paper_spread: float) -> dict[str, Any]:
        """What is compared, as opposed to tuned: the keys of the `setting` column.

        The initial spread appears where it differs from `paper_spread`, the follower where it is
        not the exact one.
        """
        chosen: dict[str, Any] = {"temperature": self.temperature}
        if self.env_steps_per_update is not None:
            chosen["env_steps_per_update"] = self.env_steps_per_update
        if self.initial_spread != paper_spread:
            chosen["initial_spread"] = self.initial_spread
        if self.follower != "exact":
            chosen |= {
                "follower": self.follower,
                "policy_iterations": self.policy_iterations,
                "start": self.start,
            }
        return chosen


class GradientParams(Block):
    """The estimator-error study at fixed θ."""

    temperature: Positive
    first_seed: Seed
    replicates: Annotated[int, Field(ge=2)]
    warm_up_steps: Annotated[int, Field(ge=0)]
    budgets: tuple[Count, ...] = Field(min_length=1, strict=False)
    num_envs: Count
    critic_step_size: Annotated[float, Field(gt=0.0, le=1.0)]
    oracle_steps_per_update: Count
    radius: Positive
    trajectory_seed: Seed
    trajectory_spread: Positive
    trajectory_updates: tuple[Annotated[int, Field(ge=0)], ...] = Field(strict=False)

    @model_validator(mode="after")
    def _divisible(self) -> "GradientParams":
        for budget in (*self.budgets, self.oracle_steps_per_update):
            if budget % self.num_envs:
                raise ValueError(f"budget {budget} is not divisible by num_envs = {self.num_envs}")
        return self


class EvaluateParams(Block):
    """Statistics: intervals, thresholds (fractions of the best known J), what counts as stuck."""

    seed: Seed
    confidence: Annotated[float, Field(gt=0.0, lt=1.0)]
    replicates: Annotated[int, Field(ge=10)]
    thresholds: tuple[Probability, ...] = Field(strict=False)
    stuck_radius: Positive
    final_fraction: Annotated[float, Field(gt=0.0, le=1.0)]


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
            for setting in self._expand(entry, estimator, where):
                conditions = setting.conditions(self.leaders.initial_spread)
                key = (setting.variant, tuple(sorted(conditions.items())))
                if key in settings:
                    raise ConfigError(f"{where} repeats the conditions of {settings[key]}: {key}")
                settings[key] = where
                expanded.append(setting)
        return tuple(expanded)

    def _expand(self, entry: dict[str, Any], estimator: str, where: str) -> list[Setting]:
        allowed = REQUIRED_KEYS[estimator] | {
            "variant", "temperature", "step_size", "first_seed", "num_seeds", "num_updates",
            "initial_spread", "follower", "policy_iterations", "start",
        }  # fmt: skip
        for key in entry:
            if key not in allowed:
                raise ConfigError(_unknown(where, key, entry[key], sorted(allowed)))
        missing = REQUIRED_KEYS[estimator] - set(entry)
        if missing:
            raise ConfigError(f"{where}: {estimator} also needs {sorted(missing)}")
        shared = self.leaders
        filled = {
            "first_seed": shared.first_seed,
            "num_seeds": shared.num_seeds,
            "num_updates": shared.num_updates,
            "initial_spread": shared.initial_spread,
        } | entry
        axes = [value if isinstance(value, list) else [value] for value in filled.values()]
        return [
            _validate(Setting, dict(zip(filled, values, strict=True)), where)
            for values in itertools.product(*axes)
        ]


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
            _validate(
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
    return _validate(TuningParams, _read_mapping(path), str(path))


def read_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check a parameter file.

    Raises:
        ConfigError: if it is missing, not YAML, or says something impossible.
    """
    return _validate(Params, _read_mapping(path), str(path))


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected a mapping, got {type(content).__name__}")
    return content


def _validate(model: type[Model], content: dict[str, Any], where: str) -> Model:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ConfigError(_one_line(error, model, where)) from None


def _one_line(error: ValidationError, model: type[BaseModel], where: str) -> str:
    first = error.errors()[0]
    path = [part for part in first["loc"] if not (isinstance(part, str) and "[" in part)]
    key = ".".join(str(part) for part in path)
    place = f"{where}: {key}" if key else where
    if first["type"] == "extra_forbidden":
        return _unknown(
            f"{where}:", key, first["input"], sorted(_fields_at(model, list(path[:-1])))
        )
    if first["type"] == "missing":
        return f"{place} is missing"
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if not key else f"{place} = {first['input']!r}: {message}"


def _unknown(where: str, key: str, value: Any, allowed: list[str]) -> str:
    close = difflib.get_close_matches(key.split(".")[-1], allowed, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"{where} {key} = {value!r}: unknown key{hint}; allowed are {allowed}"


def _fields_at(model: type[BaseModel], path: list[Any]) -> list[str]:
    for part in path:
        if part not in model.model_fields:
            continue  # a key of a mapping such as environments.<problem>
        annotation = model.model_fields[str(part)].annotation
        nested = getattr(annotation, "__args__", (annotation,))[-1]
        if not (isinstance(nested, type) and issubclass(nested, BaseModel)):
            return []
        model = nested
    return list(model.model_fields)
