"""Estimators of a problem, and how an entry of `cells` becomes settings of one of them."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bilevelrl.core.settings import Setting
from bilevelrl.core.validation import ConfigError, unknown_key, validate

Content = Mapping[str, Any]


@dataclass(frozen=True)
class Registered:
    """An estimator in one variant.

    Attributes:
        setting: its hyper-parameters.
        maker: "module:function" that builds it from what the problem's `cell.build` hands it; a
            module of the problem's folder, or with dots one of the package. It is imported when a
            run starts.
    """

    setting: type[Setting]
    maker: str

    def has(self, key: str) -> bool:
        """Whether it has a hyper-parameter."""
        return key in self.setting.model_fields


#: (estimator, variant) to what it is.
Estimators = Mapping[tuple[str, str], Registered]


def names_of(estimators: Estimators) -> list[str]:
    """Estimators, sorted."""
    return sorted({estimator for estimator, _ in estimators})


def registered(estimators: Estimators, estimator: str, variant: object, where: str) -> Registered:
    """An estimator in a variant.

    Raises:
        ConfigError: if the problem has no such variant of it; the message starts with `where`.
    """
    variants = [known for name, known in estimators if name == estimator]
    if variant not in variants:
        raise ConfigError(f"{where}: variant = {variant!r}: {estimator} comes as {variants} here")
    return estimators[estimator, str(variant)]


def overlay(base: Content, own: Content) -> dict[str, Any]:
    """`base` with the keys of `own` replaced; components of one kind key by key."""
    merged = dict(base)
    for key, value in own.items():
        other = merged.get(key)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            same = value.get("kind", other.get("kind")) == other.get("kind")
            merged[key] = overlay(other, value) if same else dict(value)
        else:
            merged[key] = value
    return merged


def resolved(entries: Mapping[str, Content], name: str, where: str) -> dict[str, Any]:
    """An entry together with what it extends.

    Args:
        entries: of one estimator, by name; `extends` names another of them.
        name: of the entry.
        where: start of messages, the dotted key of `entries`.

    Raises:
        ConfigError: if there is no such entry, or an entry extends itself.
    """
    chain = [name]
    while (parent := entries[chain[-1]].get("extends")) is not None:
        place = f"{where}.{chain[-1]}: extends = {parent!r}"
        if not isinstance(parent, str) or parent not in entries:
            raise ConfigError(f"{place}: allowed are {sorted(set(entries) - set(chain))}")
        if parent in chain:
            raise ConfigError(f"{place}: {' extends '.join([*chain, parent])}, which never ends")
        chain.append(parent)
    merged: dict[str, Any] = {}
    for each in reversed(chain):
        merged = overlay(merged, {k: v for k, v in entries[each].items() if k != "extends"})
    return merged


def _leaves(content: Content, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _check_swept(where: str, path: tuple[str, ...], value: Any) -> None:
    if isinstance(value, list):
        key = ".".join(path)
        if not value:
            raise ConfigError(f"{where}: {key} = []: a swept list needs at least one value")
        if any(each in value[:place] for place, each in enumerate(value)):
            raise ConfigError(f"{where}: {key} = {value}: swept values must differ")


def expand(
    estimators: Estimators, estimator: str, entry: Content, shared: Content, where: str
) -> list[Setting]:
    """All settings of an entry of `cells`: lists are swept, what is not set comes from `shared`.

    Args:
        estimators: of the problem.
        estimator: name of one.
        entry: its hyper-parameters, `extends` resolved.
        shared: values of the problem's entries, of which an estimator takes those that it has.
        where: start of messages.

    Raises:
        ConfigError: if a key is unknown or missing, or a value is impossible.
    """
    model = registered(estimators, estimator, entry.get("variant"), where).setting
    for key, value in entry.items():
        if key not in model.model_fields:
            raise ConfigError(unknown_key(f"{where}:", key, value, sorted(model.model_fields)))
    known = {key: value for key, value in shared.items() if key in model.model_fields}
    own = [path for path, _ in _leaves(entry)]
    merged = dict(_leaves(overlay(known, entry)))
    # What the entry lists is swept in its own order, whatever the cells share.
    leaves = {path: merged[path] for path in [*filter(lambda path: path not in own, merged), *own]}
    for path, value in leaves.items():
        _check_swept(where, path, value)
    axes = [value if isinstance(value, list) else [value] for value in leaves.values()]
    return [
        validate(model, _nested(zip(leaves, values, strict=True)), where)
        for values in itertools.product(*axes)
    ]


def _nested(leaves: Iterator[tuple[tuple[str, ...], Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for (*folders, key), value in leaves:
        place = content
        for folder in folders:
            place = place.setdefault(folder, {})
        place[key] = value
    return content
