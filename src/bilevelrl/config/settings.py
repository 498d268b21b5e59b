"""Settings: which hyper-parameters an estimator has, and what goes with what."""

import itertools
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field, model_validator

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

#: What an entry of `cells` must set, by estimator; the keys of OPTIONAL_KEYS may be set too.
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


OPTIONAL_KEYS = frozenset(
    {
        "variant", "temperature", "step_size", "first_seed", "num_seeds", "num_updates",
        "initial_spread", "follower", "policy_iterations", "start",
    }
)  # fmt: skip


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


class Shared(Protocol):
    """What an entry takes over unless it says otherwise; read-only."""

    @property
    def first_seed(self) -> int: ...  # noqa: D102

    @property
    def num_seeds(self) -> int: ...  # noqa: D102

    @property
    def num_updates(self) -> int: ...  # noqa: D102

    @property
    def initial_spread(self) -> float: ...  # noqa: D102


def check_supported(where: str, problem: str, estimator: str) -> None:
    """Refuse problems and estimators that do not exist, and pairs that do not go together.

    Raises:
        ConfigError: naming what there is; the message starts with `where`.
    """
    if problem not in SUPPORTED:
        raise ConfigError(f"{where}.problem = {problem!r}: allowed are {sorted(SUPPORTED)}")
    if estimator not in SUPPORTED[problem]:
        raise ConfigError(
            f"{where}.estimator = {estimator!r}: {problem} supports {sorted(SUPPORTED[problem])}"
        )


def expand(entry: dict[str, Any], estimator: str, shared: Shared, where: str) -> list[Setting]:
    """All settings of an entry of `cells`: lists are swept, what is not set comes from `shared`.

    Raises:
        ConfigError: if a key is unknown, missing or does not belong to the estimator, or a value is
            impossible; the message starts with `where`.
    """
    allowed = REQUIRED_KEYS[estimator] | OPTIONAL_KEYS
    for key in entry:
        if key not in allowed:
            raise ConfigError(unknown_key(where, key, entry[key], sorted(allowed)))
        if entry[key] == []:
            raise ConfigError(f"{where}: {key} = []: a swept list needs at least one value")
    missing = REQUIRED_KEYS[estimator] - set(entry)
    if missing:
        raise ConfigError(f"{where}: {estimator} also needs {sorted(missing)}")
    filled = {
        "first_seed": shared.first_seed,
        "num_seeds": shared.num_seeds,
        "num_updates": shared.num_updates,
        "initial_spread": shared.initial_spread,
    } | entry
    axes = [value if isinstance(value, list) else [value] for value in filled.values()]
    return [
        validate(Setting, dict(zip(filled, values, strict=True)), where)
        for values in itertools.product(*axes)
    ]
