"""Components that are chosen by `kind`, with hyper-parameters of their own."""

import math
from collections.abc import Mapping
from dataclasses import fields
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np

Made = TypeVar("Made")


def component(name: str, given: str | Mapping[str, Any], known: Mapping[str, type[Made]]) -> Made:
    """The component that a user asks for, as `"network"` or `{"kind": "network", "epochs": 5}`.

    Raises:
        TypeError: this is neither a string nor a mapping.
        ValueError: no such kind, or the kind has no such hyper-parameter, or not with that value.
    """
    if not isinstance(given, str | Mapping):
        raise TypeError(f"{name} is {given!r}; expected a kind, or a dictionary with a kind")
    content = {"kind": given} if isinstance(given, str) else dict(given)
    kind = str(content.pop("kind", None))
    if kind not in known:
        raise ValueError(f"{name} is of kind {kind!r}; expected one of {', '.join(known)}")
    allowed = [field.name for field in fields(known[kind])]  # type: ignore[arg-type]
    for key in content:
        if key not in allowed:
            raise ValueError(f"{name} of kind {kind} has no {key!r}; expected {', '.join(allowed)}")
    try:
        return known[kind](**content)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} of kind {kind}: {error}") from None


def expect_number(
    name: str, value: object, *, above: float = -math.inf, least: float = -math.inf,
    most: float = math.inf, whole: bool = False,
) -> None:  # fmt: skip
    """Raise unless the value is a finite number of the range, no boolean.

    Raises:
        TypeError: no number, or no integer where one is needed.
        ValueError: out of range.
    """
    kind = Integral if whole else Real
    if isinstance(value, bool | np.bool_) or not isinstance(value, kind):
        raise TypeError(f"{name} is {value!r}; expected {'an integer' if whole else 'a number'}")
    assert isinstance(value, Real)
    number = float(value)
    if not (math.isfinite(number) and above < number and least <= number <= most):
        bounds = [
            f"{word} {bound:g}"
            for word, bound in (("above", above), ("at least", least), ("at most", most))
            if math.isfinite(bound)
        ]
        raise ValueError(f"{name} is {value!r}; expected a number {' and '.join(bounds)}")
