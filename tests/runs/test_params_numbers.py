"""params.yaml: no number that is none, too large a seed or a value given twice gets through."""

import copy
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bilevelrl.core.validation import LARGEST, ConfigError
from bilevelrl.runs.params import parse_params
from bilevelrl.runs.yaml_files import mapping_text, read_mapping
from pipeline import environments
from pipeline.stage import run_stage

ROOT = Path(__file__).parents[2]
Place = tuple[str | int, ...]
SHIPPED = read_mapping(ROOT / "params.yaml")
#: Dotted keys of the blocks, those of every problem among them.
BLOCKS = sorted(
    [f"problems.{problem}" for problem in SHIPPED["problems"]] + [*SHIPPED.keys() - {"problems"}]
)
#: Optional keys, whose value may be null; required ones may not.
MAY_BE_NULL = {
    "max_gradient_norm",
    "belief.temperature",
    "learner.final_learning_rate",
    "learner.sac.final_learning_rate",
}


def numbers(block: str) -> Iterator[tuple[Place, float]]:
    """Places of all numbers in a block; of `cells`, every key once per problem."""
    seen = set()
    path = tuple(block.split("."))
    content: Any = SHIPPED
    for part in path:
        content = content[part]
    for place, value in _numbers(content, path):
        kind = (place[1], *place[5:]) if is_of_cells(place) else place
        if kind not in seen:
            yield place, value
        seen.add(kind)


def is_of_cells(place: Place) -> bool:
    return place[0] == "problems" and place[2] == "cells"


def key_within(place: Place) -> str:
    """Dotted key in the entry of `cells`, or in the problem, or in all."""
    keys = [key for key in place if isinstance(key, str)]
    return ".".join(keys[5 if is_of_cells(place) else 2 if keys[0] == "problems" else 0 :])


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
        pytest.fail(f"{place} = {value}: {parse_params(changed(place, value), 'params.yaml')}")
    message = str(caught.value)
    assert "\n" not in message
    last = key_within(place) if is_of_cells(place) else key_within(place).rpartition(".")[2]
    assert re.search(rf"\b{re.escape(last)}\b", message), message
    return message


@pytest.mark.parametrize("block", BLOCKS)
def test_every_float_is_a_finite_number(block: str) -> None:
    for place, number in numbers(block):
        if not isinstance(number, float):
            continue
        for value in (math.nan, math.inf, -math.inf, "1e-3x", None):
            if value is None and key_within(place) in MAY_BE_NULL:
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
    found = (place for block in BLOCKS for place, _ in numbers(block))
    return [place for place in found if place[-1] == key and not is_of_cells(place)]


@pytest.mark.parametrize("place", places_of("first_seed"), ids=lambda place: str(place[1:3]))
def test_the_last_seed_counts_too(place: Place) -> None:
    message = refusal(place, LARGEST)
    assert f"first_seed = {LARGEST}" in message
    assert f"at most {LARGEST} is allowed" in message


def test_the_last_seed_of_an_entry_of_cells_counts_too() -> None:
    place = ("problems", "four_rooms", "cells", "naive", "published_100", "first_seed")
    assert f"at most {LARGEST} is allowed" in refusal(place, LARGEST)


def test_the_largest_seeds_are_allowed() -> None:
    place = ("problems", "four_rooms", "seeds", "first_seed")
    first = LARGEST + 1 - SHIPPED["problems"]["four_rooms"]["seeds"]["num_seeds"]
    assert parse_params(changed(place, first), "params.yaml")
    refusal(place, first + 1)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("evaluate.return_thresholds", {"thermal_contrl": [1.0]}, "mean thermal_control?"),
        ("evaluate.return_thresholds", {"thermal_control": []}, "at least 1 item"),
        ("evaluate.return_thresholds", {"thermal_control": [math.nan]}, "finite"),
        ("evaluate.thresholds", [0.9, 1.1], "less than or equal to 1"),
        ("evaluate.thresholds", [-0.1], "greater than 0"),
        ("evaluate.thresholds", [0.95, 0.95 + 1e-14], "only after 12 digits"),
        ("evaluate.return_thresholds", {"thermal_control": [-1.0, -1.0 - 1e-14]}, "12 digits"),
        ("problems.discrete_toy_r1.gradients.budgets", [450, 451], "451 must be a multiple of"),
        ("problems.bilevel_lqr.gradients.budgets", [50], "50 must be a multiple of"),
        ("problems.thermal_control.gradients.budgets", [150], "150 must be a multiple of"),
        ("problems.thermal_control.gradients.drift_budget", 150, "drift_budget: 150 must be"),
        ("evaluate.thresholds", [0.9, 0.9], "0.9 stands there twice"),
        ("problems.four_rooms.search.temperatures", [0.003, 0.003], "twice"),
        ("problems.four_rooms.search.temperatures", [], "at least 1 item"),
        ("problems.four_rooms.search.heights", [4.0, 4.0], "4.0 stands there twice"),
        ("problems.bilevel_lqr.gradients.points", [[0.0, 1.0], [0.0, 1.0]], "twice"),
        ("problems.discrete_toy_r1.gradients.budgets", [], "at least 1 item"),
        ("problems.four_rooms.learning.steps", [1000, 200], "must increase"),
        ("problems.four_rooms.cells.naive.published_100.step_size", [0.5, 0.5], "must differ"),
        ("problems.four_rooms.cells.naive.published_100.step_size", None, "valid number"),
        ("problems.four_rooms.cells.bc_hg.published_100.critic.step_size", None, "valid number"),
        ("problems.four_rooms.cells.bc_hg.published_100.critic.step_size", [0.5, 0.5], "differ"),
        ("problems.four_rooms.cells.bc_hg.published_100.critic", None, "a mapping of keys"),
        ("problems.guided_cartpole.training.winds", [0.5, 0.5], "0.5 stands there twice"),
        ("reward_structures.alignments", [0.0, -1.5], "greater than or equal to -1"),
        ("reward_structures.alignments", [], "at least 1 item"),
        ("reward_structures.temperatures", [0.5, 0.5], "0.5 stands there twice"),
        ("reward_structures.games.discount", 1.0, "less than 1"),
        ("reward_structures.games.num_states", 1, "greater than or equal to 2"),
        ("reward_structures.replicates", 1, "greater than or equal to 2"),
        ("reward_structures.env_steps_per_update", 150, "150 must be a multiple of games."),
    ],
)  # fmt: skip
def test_lists_hold_what_can_be_used(key: str, value: Any, expected: str) -> None:
    assert expected in refusal(tuple(key.split(".")), value)


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
    text = mapping_text(changed(("problems", problem, "constants", key), value))
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=expected) as ending:
        run_stage(lambda: environments.main(problem))
    message = str(ending.value)
    assert message.startswith(f"error: params.yaml: problems.{problem}.constants: ")
    assert "\n" not in message
