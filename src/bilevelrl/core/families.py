"""Which hyper-parameters each estimator of a problem has, and how an entry becomes settings."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from bilevelrl.core.settings import Setting
from bilevelrl.core.validation import ConfigError, unknown_key, validate

ANY_KEYS = frozenset(
    {
        "variant", "temperature", "step_size", "first_seed", "num_seeds", "num_updates",
        "follower", "policy_iterations", "start", "follower_steps", "first_follower_steps",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Keys:
    """Keys of one estimator in one variant.

    Attributes:
        required: must be set in the entry, or in `training` of the problem's block.
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


def table(keys: dict[tuple[str, str], Keys]) -> Mapping[tuple[str, str], Keys]:
    """Keys of every estimator, read-only."""
    return MappingProxyType(keys)


#: Of estimators that do without what a leader cannot see.
WATCHING_KEYS = frozenset({"information", "believed_temperature"})
#: And that count what they see.
COUNTING_KEYS = WATCHING_KEYS | {"forgetting", "smoothing"}
#: Of estimators that get along with a follower that learns.
LEARNER_KEYS = frozenset({"follower", "start", "follower_steps", "first_follower_steps"})
#: Of estimators that draw batches.
ROLLOUT_KEYS = frozenset({"env_steps_per_update", "num_envs"})
SAMPLED = frozenset({"env_steps_per_update", "random_updates", "actor_steps"})
NETWORK = frozenset({"critic_steps", "critic_step_size", "target_rate", "minibatch"})
DECAY = frozenset({"step_size_ratio"})
CLIP = frozenset({"max_gradient_norm"})
PUBLISHED = Keys(SAMPLED | NETWORK)
PUBLISHED_COVARIANCE = Keys(SAMPLED | NETWORK | {"follower_samples"})
CORRECTED = Keys(SAMPLED, frozenset({"step_size_ratio", "control_variate"}))
MODEL_BASED = {
    ("zero_order", "published"): Keys(frozenset({"radius"})),
    ("zero_order", "corrected"): Keys(frozenset({"radius"})),
    ("exact", "published"): Keys(frozenset()),
    ("exact", "corrected"): Keys(frozenset()),
}


def keys_of(family: Family, estimator: str, variant: object, where: str) -> Keys:
    """Keys of an estimator in a variant.

    Raises:
        ConfigError: if the problem has no such variant of it; the message starts with `where`.
    """
    estimators = family.estimators
    variants = [known for name, known in estimators if name == estimator]
    if variant not in variants:
        raise ConfigError(f"{where}: variant = {variant!r}: {estimator} comes as {variants} here")
    return estimators[estimator, str(variant)]


def expand(
    family: Family, estimator: str, entry: dict[str, Any], shared: Mapping[str, Any], where: str
) -> list[Setting]:
    """All settings of an entry of `cells`: lists are swept, what is not set comes from `shared`.

    Raises:
        ConfigError: if a key is unknown, missing or does not belong to the estimator, or a value is
            impossible; the message starts with `where`.
    """
    keys = keys_of(family, estimator, entry.get("variant"), where)
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
