"""Arguments of environments as users type them; every refusal names argument, value and needs.

Environments work without pydantic, which checks what params.yaml holds.
"""

import operator
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

from bilevelrl.core.arrays import Floats


def whole(name: str, value: object, least: int = 1) -> int:
    """A whole number, at least `least`.

    Raises:
        ValueError: if it is another number, or none, such as a truth value or a text.
    """
    needed = f"{name} must be at least {least}, a whole number, got {_shown(value)}"
    if isinstance(value, bool | np.bool_):
        raise ValueError(needed)
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError as error:
        raise ValueError(needed) from error
    if number < least:
        raise ValueError(needed)
    return number


def real(name: str, value: object) -> float:
    """A finite number.

    Raises:
        ValueError: if it is infinite, or no number, such as a truth value or a text.
    """
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = np.inf
        if np.isfinite(number):
            return number
    raise ValueError(f"{name} must be a finite number, got {_shown(value)}")


def reals(name: str, value: object, needed: str) -> Floats:
    """Numbers as an array; what they must be in all is for the caller to check.

    Args:
        name: of the argument.
        value: numbers, rows of numbers, ...
        needed: what to ask for, such as "24 prices".

    Raises:
        ValueError: if they are no real numbers, or rows are of unequal length.
    """
    try:
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} must be {needed}, got {_shown(value)}") from error


def one_of(name: str, value: object, allowed: Collection[object]) -> None:
    """Raise a ValueError unless the value is one of those that are allowed."""
    if not any(value is each or (type(value) is type(each) and value == each) for each in allowed):
        raise ValueError(f"{name} must be one of {tuple(allowed)}, got {_shown(value)}")


def numbers_of(made: Callable[..., object], given: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords of a dataclass or a function, checked where it asks for one number or for a word.

    Whole numbers have to be at least one, the others finite; further bounds are for `made` to
    check. Keywords that it does not have, or that are something else, are passed on.

    Raises:
        ValueError: if a number is none.
    """
    hints = get_type_hints(made)
    checked = dict(given)
    for name, value in given.items():
        hint = hints.get(name)
        if hint is int:
            checked[name] = whole(name, value)
        elif hint is float:
            checked[name] = real(name, value)
        elif get_origin(hint) is Literal:
            one_of(name, value, get_args(hint))
    return checked


def of_every_agent(actions: Mapping[str, Any], agents: Collection[str]) -> None:
    """Raise a ValueError unless there is an action of every agent, and of nobody else."""
    missing = [agent for agent in agents if agent not in actions]
    unknown = [agent for agent in actions if agent not in agents]
    if missing or unknown:
        which = f"lacks {missing}" if missing else f"has {unknown}, who do not act"
        raise ValueError(f"actions {which}: one of every agent is needed, {list(agents)}")


def _shown(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 300 else f"{text[:300]}..."
