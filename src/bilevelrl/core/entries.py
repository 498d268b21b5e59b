"""Estimators of a problem, and how an entry of `cells` becomes settings of one of them."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bilevelrl.core.settings import Setting
from bilevelrl.core.validation import ConfigError, Content, repeated, unknown_key, validate

Entry = Mapping[str, Any]


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


#: Keys from the top of an entry down to a value.
Path = tuple[str, ...]
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


def overlay(base: Entry, own: Entry) -> Content:
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


def resolved(entries: Mapping[str, Entry], name: str, where: str) -> Content:
    """The entry `name` of one estimator's together with what it extends.

    Raises:
        ConfigError: if there is no such entry, or an entry extends itself; the message starts with
            `where`, the dotted key of `entries`.
    """
    chain = [name]
    while (parent := entries[chain[-1]].get("extends")) is not None:
        place = f"{where}.{chain[-1]}: extends = {parent!r}"
        if not isinstance(parent, str) or parent not in entries:
            raise ConfigError(f"{place}: allowed are {sorted(set(entries) - set(chain))}")
        if parent in chain:
            raise ConfigError(f"{place}: {' extends '.join([*chain, parent])}, which never ends")
        chain.append(parent)
    merged: Content = {}
    for each in reversed(chain):
        merged = overlay(merged, {k: v for k, v in entries[each].items() if k != "extends"})
    return merged


def _leaves(content: Entry, path: Path = ()) -> Iterator[tuple[Path, object]]:
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def expand(
    estimators: Estimators, estimator: str, entry: Entry, shared: Entry, where: str
) -> list[Setting]:
    """All settings of an entry of `cells`, `extends` resolved: lists are swept.

    What the entry does not set comes from `shared`, of which an estimator takes what it has.

    Raises:
        ConfigError: if a key is unknown or missing, or a value is impossible; the message starts
            with `where`.
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
        place = f"{where}: {'.'.join(path)} = {value}"
        if value == []:
            raise ConfigError(f"{place}: a swept list needs at least one value")
        if isinstance(value, list) and repeated(value):
            raise ConfigError(f"{place}: swept values must differ")
    axes = [value if isinstance(value, list) else [value] for value in leaves.values()]
    return [
        validate(model, _nested(zip(leaves, values, strict=True)), where)
        for values in itertools.product(*axes)
    ]


def _nested(leaves: Iterable[tuple[Path, object]]) -> Content:
    content: Content = {}
    for (*folders, key), value in leaves:
        place = content
        for folder in folders:
            place = place.setdefault(folder, {})
        place[key] = value
    return content
