"""Arguments of environments: refusals name the argument, its value and what is needed."""

from typing import Literal

import numpy as np
import pytest

from bilevelrl.core.arguments import numbers_of, of_every_agent, one_of, real, reals, whole


def room(size: int, price: float = 1.0, colour: Literal["red", "blue"] = "red") -> None:
    """Something with arguments."""
    raise AssertionError


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_whole_numbers(value: object) -> None:
    found = whole("steps", value)
    assert (found, type(found)) == (3, int)


@pytest.mark.parametrize("value", [0, -1, 1.0, 1.5, "a", "2", True, np.True_, None, [1], 1j])
def test_what_is_no_whole_number(value: object) -> None:
    with pytest.raises(ValueError, match=r"steps must be at least 1, a whole number, got ") as told:
        whole("steps", value)
    assert str(told.value).endswith(f"got {value!r}")


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2.0), np.int64(2)])
def test_numbers(value: object) -> None:
    found = real("price", value)
    assert (found, type(found)) == (2.0, float)


@pytest.mark.parametrize("value", ["a", "2", True, None, np.nan, np.inf, 1j, [1.0], 10**400])
def test_what_is_no_finite_number(value: object) -> None:
    with pytest.raises(ValueError, match="price must be a finite number, got "):
        real("price", value)


def test_arrays() -> None:
    np.testing.assert_array_equal(reals("theta", [1, 2], "two prices"), [1.0, 2.0])
    for bad in ("a", [1.0, [2.0]], 1j, [None, "b"], [10**400]):
        with pytest.raises(ValueError, match="theta must be two prices, got "):
            reals("theta", bad, "two prices")


def test_words() -> None:
    one_of("colour", "red", ("red", "blue"))
    for bad in ("green", 1, None, np.array(["red"])):
        with pytest.raises(ValueError, match=r"colour must be one of \('red', 'blue'\), got "):
            one_of("colour", bad, ("red", "blue"))


def test_keywords_are_checked_by_what_they_are_to_be() -> None:
    given = {"size": np.int64(3), "price": 2, "colour": "blue", "unknown": "a"}
    assert numbers_of(room, given) == given
    for name, bad in (("size", 1.5), ("price", "a"), ("colour", "green")):
        with pytest.raises(ValueError, match=f"{name} must be"):
            numbers_of(room, {name: bad})


def test_all_agents_act_and_nobody_else() -> None:
    of_every_agent({"b": 1, "a": 0}, ["a", "b"])
    with pytest.raises(ValueError, match=r"actions lacks \['b'\]: .* \['a', 'b'\]"):
        of_every_agent({"a": 0}, ["a", "b"])
    with pytest.raises(ValueError, match=r"actions has \['c'\]"):
        of_every_agent({"a": 0, "c": 0}, ["a"])
