"""Which hyper-parameters each estimator has on each problem, and how an entry becomes settings."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from bilevelrl.config.cartpole import GuidedCartPoleSetting
from bilevelrl.config.settings import FourRoomsSetting, GameSetting, Setting, ThermalSetting
from bilevelrl.config.validation import ConfigError, unknown_key, validate

_ANY = frozenset(
    {
        "variant", "temperature", "step_size", "first_seed", "num_seeds", "num_updates",
        "follower", "policy_iterations", "start", "follower_steps", "first_follower_steps",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Keys:
    """Keys of one estimator in one variant.

    Attributes:
        required: must be set in the entry, or in the problem's block of `leaders`.
        optional: may be.
    """

    required: frozenset[str]
    optional: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Family:
    """Problems whose settings look alike.

    Attributes:
        setting: their model.
        optional: keys that every estimator may have.
        estimators: (estimator, variant) to the keys that it has beside these.
    """

    setting: type[Setting]
    optional: frozenset[str]
    estimators: Mapping[tuple[str, str], Keys]

    @property
    def names(self) -> list[str]:
        """Estimators, sorted."""
        return sorted({estimator for estimator, _ in self.estimators})


def _table(keys: dict[tuple[str, str], Keys]) -> Mapping[tuple[str, str], Keys]:
    return MappingProxyType(keys)


#: Of estimators that do without what a leader cannot see.
WATCHING_KEYS = frozenset({"information", "believed_temperature"})
#: And that count what they see.
COUNTING_KEYS = WATCHING_KEYS | {"forgetting", "smoothing"}
#: Of estimators that get along with a follower that learns.
LEARNER_KEYS = frozenset({"follower", "start", "follower_steps", "first_follower_steps"})
#: Of estimators that draw batches.
ROLLOUT_KEYS = frozenset({"env_steps_per_update", "num_envs"})
_FOUR_ROOMS = {
    "bc_hg": ROLLOUT_KEYS | {"critic_step_size"},
    "hpgd_mc": ROLLOUT_KEYS,
    "hpgd_sa": ROLLOUT_KEYS | {"critic_step_size"},
    "hpgd_oracle": ROLLOUT_KEYS | {"oracle_steps_per_update"},
    "sobirl": ROLLOUT_KEYS,
    "naive": ROLLOUT_KEYS,
    "zero_order": frozenset({"radius"}),
    "exact": frozenset(),
}
FOUR_ROOMS = Family(
    FourRoomsSetting,
    _ANY | {"initial_spread"},
    _table(
        {
            (estimator, variant): Keys(keys)
            for estimator, keys in _FOUR_ROOMS.items()
            for variant in ("published", "corrected")
        }
        | {("bc_hg", "corrected"): Keys(_FOUR_ROOMS["bc_hg"], COUNTING_KEYS)}
    ),
)
_SAMPLED = frozenset({"env_steps_per_update", "random_updates", "actor_steps"})
_NETWORK = frozenset({"critic_steps", "critic_step_size", "target_rate", "minibatch"})
_DECAY = frozenset({"step_size_ratio"})
_CLIP = frozenset({"max_gradient_norm"})
_PUBLISHED = Keys(_SAMPLED | _NETWORK)
_PUBLISHED_COVARIANCE = Keys(_SAMPLED | _NETWORK | {"follower_samples"})
_CORRECTED = Keys(_SAMPLED, frozenset({"step_size_ratio", "control_variate"}))
_CORRECTED_TOY = Keys(_SAMPLED, _CORRECTED.optional | COUNTING_KEYS)
_MODEL_BASED = {
    ("zero_order", "published"): Keys(frozenset({"radius"})),
    ("zero_order", "corrected"): Keys(frozenset({"radius"})),
    ("exact", "published"): Keys(frozenset()),
    ("exact", "corrected"): Keys(frozenset()),
}
DISCRETE_TOY = Family(
    GameSetting,
    _ANY | {"returns", "study"},
    _table(
        {
            ("bc_hg", "published"): _PUBLISHED_COVARIANCE,
            ("bc_hg", "corrected"): _CORRECTED_TOY,
            ("naive_on", "published"): _PUBLISHED,
            ("naive_off", "published"): _PUBLISHED,
            ("bi_ac_on", "published"): _PUBLISHED,
            ("bi_ac_off", "published"): _PUBLISHED,
            **_MODEL_BASED,
        }
    ),
)
_LINEAR = _NETWORK | _SAMPLED | {"leader_samples"}
BILEVEL_LQR = Family(
    GameSetting,
    frozenset(
        {
            "variant", "temperature", "step_size", "first_seed", "num_seeds", "num_updates",
            "returns", "study", "leader_noise", "initial_spread",
        }
    ),
    _table(
        {
            ("bc_hg", "published"): Keys(_LINEAR | {"follower_samples"}, _CLIP),
            ("naive_on", "published"): Keys(_LINEAR, _CLIP),
            ("naive_off", "published"): Keys(_LINEAR, _CLIP),
            ("bc_hg", "corrected"): _CORRECTED,
            ("bc_hg", "improved"): Keys(
                _SAMPLED, _DECAY | WATCHING_KEYS | LEARNER_KEYS | {"belief"}
            ),
            ("zero_order", "published"): Keys(frozenset({"radius"})),
            ("exact", "published"): Keys(frozenset(), _DECAY),
            ("exact", "improved"): Keys(frozenset(), _DECAY),
        }
    ),
)  # fmt: skip
_CRITIC = frozenset({"critic", "critic_steps", "critic_step_size"})
_SCORED = Keys(frozenset({"env_steps_per_update", "max_score_norm"}), _CRITIC)
_SCORED_ACTIONS = Keys(_SCORED.required | {"follower_samples"}, _CRITIC)
_BATCH = frozenset({"env_steps_per_update"})
THERMAL_CONTROL = Family(
    ThermalSetting,
    frozenset(
        {
            "variant", "temperature", "step_size", "first_seed", "num_seeds", "num_updates",
            "study", "initial_spread", "max_gradient_norm",
        }
    ),
    _table(
        {
            ("bc_hg", "published"): _SCORED_ACTIONS,
            ("hpgd_td", "published"): _SCORED_ACTIONS,
            ("hpgd_mc", "published"): _SCORED,
            ("naive", "published"): _SCORED,
            ("bc_hg", "corrected"): Keys(_BATCH),
            ("bc_hg", "improved"): Keys(
                _BATCH | {"sensitivity"},
                WATCHING_KEYS
                | LEARNER_KEYS
                | {"momentum", "belief", "policy_features", "policy_ridge"},
            ),
            ("zero_order", "published"): Keys(frozenset({"radius"})),
            ("exact", "published"): Keys(frozenset()),
            ("exact_naive", "published"): Keys(frozenset()),
        }
    ),
)  # fmt: skip
_SAC = frozenset(
    {
        "winds", "units", "evaluation_episodes", "follower_steps", "follower_units",
        "follower_step_size", "follower_batch", "follower_target_rate", "follower_random_steps",
        "follower_capacity", "follower_envs", "follower_gradient_steps",
    }
)  # fmt: skip
_LEARNED = _SAC | {
    "env_steps_per_update", "max_gradient_norm", "critic_features", "policy_features", "keep",
    "ridge", "policy_ridge",
}  # fmt: skip
GUIDED_CARTPOLE = Family(
    GuidedCartPoleSetting,
    frozenset(
        {
            "variant", "temperature", "step_size", "first_seed", "num_seeds", "num_updates",
            "study", "information", *LEARNER_KEYS,
        }
    ),
    _table(
        {
            ("bc_hg", "improved"): Keys(_LEARNED),
            ("naive", "improved"): Keys(_LEARNED),
            ("random", "improved"): Keys(_SAC),
        }
    ),
)  # fmt: skip
#: Problems of which nobody knows J, the best response and the hypergradient exactly.
WITHOUT_GROUND_TRUTH = frozenset({"guided_cartpole"})
#: Every problem.
FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "four_rooms": FOUR_ROOMS,
        "discrete_toy_r1": DISCRETE_TOY,
        "discrete_toy_r2": DISCRETE_TOY,
        "bilevel_lqr": BILEVEL_LQR,
        "thermal_control": THERMAL_CONTROL,
        "guided_cartpole": GUIDED_CARTPOLE,
    }
)


def check_supported(where: str, problem: str, estimator: str) -> None:
    """Refuse problems and estimators that do not exist, and pairs that do not go together.

    Raises:
        ConfigError: naming what there is; the message starts with `where`.
    """
    if problem not in FAMILIES:
        raise ConfigError(f"{where}.problem = {problem!r}: allowed are {sorted(FAMILIES)}")
    if estimator not in FAMILIES[problem].names:
        raise ConfigError(
            f"{where}.estimator = {estimator!r}: {problem} supports {FAMILIES[problem].names}"
        )


def keys_of(problem: str, estimator: str, variant: object, where: str) -> Keys:
    """Keys of an estimator in a variant.

    Raises:
        ConfigError: if the problem has no such variant of it; the message starts with `where`.
    """
    estimators = FAMILIES[problem].estimators
    variants = [known for name, known in estimators if name == estimator]
    if variant not in variants:
        raise ConfigError(
            f"{where}: variant = {variant!r}: {estimator} on {problem} comes as {variants}"
        )
    return estimators[estimator, str(variant)]


def expand(
    entry: dict[str, Any], problem: str, estimator: str, shared: Mapping[str, Any], where: str
) -> list[Setting]:
    """All settings of an entry of `cells`: lists are swept, what is not set comes from `shared`.

    Raises:
        ConfigError: if a key is unknown, missing or does not belong to the estimator, or a value is
            impossible; the message starts with `where`.
    """
    family = FAMILIES[problem]
    keys = keys_of(problem, estimator, entry.get("variant"), where)
    allowed = keys.required | keys.optional | family.optional
    for key in entry:
        if key not in allowed:
            raise ConfigError(unknown_key(where, key, entry[key], sorted(allowed)))
        if entry[key] == []:
            raise ConfigError(f"{where}: {key} = []: a swept list needs at least one value")
        values = entry[key] if isinstance(entry[key], list) else [entry[key]]
        if key in keys.required and None in values:
            raise ConfigError(f"{where}: {key} = {entry[key]}: {estimator} needs a value")
        if any(value in values[:place] for place, value in enumerate(values)):
            raise ConfigError(f"{where}: {key} = {values}: swept values must differ")
    filled = {key: value for key, value in shared.items() if key in allowed} | entry
    missing = keys.required - set(filled)
    if missing:
        raise ConfigError(f"{where}: {estimator} also needs {sorted(missing)}")
    axes = [value if isinstance(value, list) else [value] for value in filled.values()]
    return [
        validate(family.setting, dict(zip(filled, values, strict=True)), where)
        for values in itertools.product(*axes)
    ]
