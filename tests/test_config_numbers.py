"""params.yaml: no number that is none, too large a seed or a value given twice gets through."""

import copy
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bilevelrl.config import ConfigError, Params, mapping_text, read_mapping
from bilevelrl.config.validation import LARGEST, validate
from pipeline import environments
from pipeline.stage import run_stage

ROOT = Path(__file__).parents[1]
Place = tuple[str | int, ...]
SHIPPED = read_mapping(ROOT / "params.yaml")
BLOCKS = sorted(SHIPPED)
#: Optional keys of a setting, whose value may be null; required ones may not.
MAY_BE_NULL = {"forgetting", "smoothing", "max_gradient_norm", "believed_temperature"}


def numbers(block: str) -> Iterator[tuple[Place, float]]:
    """Places of all numbers in a block; of `cells`, every key once per problem."""
    seen = set()
    for place, value in _numbers(SHIPPED[block], (block,)):
        kind = (place[1], *place[4:]) if block == "cells" else place
        if kind not in seen:
            yield place, value
        seen.add(kind)


def _numbers(content: Any, place: Place) -> Iterator[tuple[Place, float]]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _numbers(value, (*place, key))
    elif isinstance(content, list):
        for number, value in enumerate(content):
            yield from _numbers(value, (*place, number))
    elif isinstance(content, int | float) and not isinstance(content, bool):
        yield place, content


def changed(place: Place, value: Any) -> dict[str, Any]:
    """The shipped content with one value replaced; the rest is shared."""
    content = dict(SHIPPED)
    block: Any = content
    for key in place[:-1]:
        block[key] = copy.copy(block[key])
        block = block[key]
    block[place[-1]] = value
    return content


def refusal(place: Place, value: Any) -> str:
    """Why a value is refused; one line that names the key."""
    with pytest.raises(ConfigError) as caught:
        pytest.fail(f"{place} = {value}: {validate(Params, changed(place, value), 'params.yaml')}")
    message = str(caught.value)
    assert "\n" not in message
    last = [key for key in place if isinstance(key, str)][-1]
    assert re.search(rf"\b{last}\b", message), message
    return message


@pytest.mark.parametrize("block", BLOCKS)
def test_every_float_is_a_finite_number(block: str) -> None:
    for place, number in numbers(block):
        if not isinstance(number, float):
            continue
        for value in (math.nan, math.inf, -math.inf, "1e-3x", None):
            if value is None and place[-1] in MAY_BE_NULL and place[0] == "cells":
                continue
            refusal(place, value)


@pytest.mark.parametrize("block", BLOCKS)
def test_every_whole_number_fits_in_32_bits(block: str) -> None:
    for place, number in numbers(block):
        if isinstance(number, int):
            for value in (2**32, 2**63, -1, 1.5, math.nan):
                refusal(place, value)


def places_of(key: str) -> list[Place]:
    """Where a key stands, outside of `cells`."""
    found = (place for block in BLOCKS if block != "cells" for place, _ in numbers(block))
    return [place for place in found if place[-1] == key]


@pytest.mark.parametrize("place", places_of("first_seed"), ids=lambda place: str(place[:2]))
def test_the_last_seed_counts_too(place: Place) -> None:
    message = refusal(place, LARGEST)
    assert f"first_seed = {LARGEST}" in message
    assert f"at most {LARGEST} is allowed" in message


def test_the_last_seed_of_an_entry_of_cells_counts_too() -> None:
    place = ("cells", "four_rooms", "naive", "published_100", "first_seed")
    assert f"at most {LARGEST} is allowed" in refusal(place, LARGEST)


def test_the_largest_seeds_are_allowed() -> None:
    place = ("seeds", "four_rooms", "first_seed")
    first = LARGEST + 1 - SHIPPED["seeds"]["four_rooms"]["num_seeds"]
    assert validate(Params, changed(place, first), "params.yaml")
    refusal(place, first + 1)


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        (("evaluate", "return_thresholds"), {"thermal_contrl": [1.0]}, "mean thermal_control?"),
        (("evaluate", "return_thresholds"), {"thermal_control": []}, "at least 1 item"),
        (("evaluate", "return_thresholds"), {"thermal_control": [math.nan]}, "finite"),
        (("evaluate", "thresholds"), [0.9, 1.1], "less than or equal to 1"),
        (("evaluate", "thresholds"), [-0.1], "greater than 0"),
        (("evaluate", "thresholds"), [0.95, 0.95 + 1e-14], "only after 12 digits"),
        (("evaluate", "return_thresholds"), {"thermal_control": [-1.0, -1.0 - 1e-14]}, "12 digits"),
        (("gradients", "discrete_toy_r1", "budgets"), [450, 451], "451 must be a multiple of"),
        (("gradients", "bilevel_lqr", "budgets"), [50], "50 must be a multiple of"),
        (("gradients", "thermal_control", "budgets"), [150], "150 must be a multiple of"),
        (("gradients", "thermal_control", "drift_budget"), 150, "drift_budget: 150 must be"),
        (("evaluate", "thresholds"), [0.9, 0.9], "0.9 stands there twice"),
        (("environments", "four_rooms", "temperatures"), [0.003, 0.003], "twice"),
        (("environments", "four_rooms", "temperatures"), [], "at least 1 item"),
        (("environments", "four_rooms", "heights"), [4.0, 4.0], "4.0 stands there twice"),
        (("gradients", "bilevel_lqr", "points"), [[0.0, 1.0], [0.0, 1.0]], "twice"),
        (("gradients", "discrete_toy_r1", "budgets"), [], "at least 1 item"),
        (("learning", "four_rooms", "steps"), [1000, 200], "must increase"),
        (("cells", "four_rooms", "naive", "published_100", "step_size"), [0.5, 0.5], "must differ"),
        (("cells", "four_rooms", "bc_hg", "published_100", "critic_step_size"), None, "needs a"),
        (("leaders", "guided_cartpole", "winds"), [0.5, 0.5], "0.5 stands there twice"),
    ],
)  # fmt: skip
def test_lists_hold_what_can_be_used(place: Place, value: Any, expected: str) -> None:
    assert expected in refusal(place, value)


@pytest.mark.parametrize(
    ("problem", "key", "value", "expected"),
    [
        ("bilevel_lqr", "state_cost", [[1.0, 0.5], [0.0, 1.0]], "state_cost must be symmetric"),
        ("bilevel_lqr", "target", [0.0], r"target must be finite, of shape \(2,\)"),
        ("bilevel_lqr", "state_matrix", [[1.0, 0.0], [0.0]], "state_matrix must be rows"),
        ("bilevel_lqr", "follower_discount", 0.0, "follower_discount must lie in"),
        ("thermal_control", "input_matrix", [[1.0], [1.0]], "input_matrix|finite, of shape"),
        ("guided_cartpole", "goal", [0.75, 0.25], "goal must be an interval"),
    ],
)
def test_impossible_constants_are_refused_before_anything_is_computed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    problem: str,
    key: str,
    value: Any,
    expected: str,
) -> None:
    text = mapping_text(changed(("problems", problem, key), value))
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=expected) as ending:
        run_stage(lambda: environments.main(problem))
    message = str(ending.value)
    assert message.startswith(f"error: params.yaml: problems.{problem}: ")
    assert "\n" not in message
