"""The settings of a cell of params.yaml, and the candidates of a search."""

from pathlib import Path
from typing import Any

import pytest

from bilevelrl.core.atomic_files import write_atomically
from bilevelrl.core.validation import ConfigError
from bilevelrl.runs.tuning_params import read_tuning_params
from bilevelrl.runs.yaml_files import mapping_text
from tests.runs.params_files import Content, Read, changed, load, refusal

NAIVE = "problems.four_rooms.cells.naive.published_100"


TRUNCATED = "problems.four_rooms.cells.bc_hg.truncated"


def test_two_entries_with_the_same_conditions_are_refused(read: Read, shipped: Content) -> None:
    # They would answer to the same `setting` in every table.
    twin = {
        **shipped["problems"]["four_rooms"]["cells"]["naive"]["published_100"],
        "step_size": 0.1,
    }
    message = refusal(read, changed(shipped, "problems.four_rooms.cells.naive.twin", twin))
    assert "problems.four_rooms.cells.naive.twin repeats the conditions of" in message
    assert NAIVE in message
    assert "0.003" in message


def test_a_list_of_step_sizes_is_refused_as_it_repeats_the_conditions(
    read: Read, shipped: Content
) -> None:
    message = refusal(read, changed(shipped, f"{NAIVE}.step_size", [0.1, 0.5]))
    assert f"{NAIVE} repeats the conditions of {NAIVE}" in message


def test_lists_expand_to_their_product_in_order(read: Read, shipped: Content) -> None:
    follower = {"kind": "truncated", "policy_iterations": [2, 50], "start": ["carry", "reset"]}
    content = changed(shipped, f"{TRUNCATED}.follower", follower)
    settings = read(content).settings("four_rooms", "bc_hg")
    expanded = [s for s in settings if s.follower.kind == "truncated" and s.variant == "published"]
    pairs = [(s.follower.policy_iterations, s.follower.start) for s in expanded]
    assert pairs == [(2, "carry"), (2, "reset"), (50, "carry"), (50, "reset")]
    rest = {s.model_dump_json(exclude={"follower"}) for s in expanded}
    assert len(rest) == 1


def test_an_entry_overrides_the_shared_values_and_inherits_the_rest(
    read: Read, shipped: Content
) -> None:
    content = changed(shipped, f"{NAIVE}.num_updates", 7)
    content = changed(content, f"{NAIVE}.first_seed", 3)
    cells = content["problems"]["four_rooms"]["cells"]
    cells["naive"] = {
        name: entry for name, entry in cells["naive"].items() if name == "published_100"
    }
    (setting,) = read(content).settings("four_rooms", "naive")
    assert setting.num_updates == 7
    own = shipped["problems"]["four_rooms"]
    num_seeds = own["seeds"]["num_seeds"]
    assert setting.seeds == range(3, 3 + num_seeds)
    assert setting.initial_spread == own["training"]["initial_spread"]


def test_conditions_name_what_differs_from_the_paper(read: Read, shipped: Content) -> None:
    settings = read(shipped).settings("four_rooms", "bc_hg")
    main = next(s for s in settings if s.env_steps_per_update == 100)
    assert main.conditions({"initial_spread": main.initial_spread}) == {
        "temperature": 0.003,
        "env_steps_per_update": 100,
        "follower": "exact",
        "information": "full",
    }
    assert main.conditions({"initial_spread": 5.0})["initial_spread"] == main.initial_spread
    truncated = next(s for s in settings if s.follower.kind == "truncated")
    assert truncated.conditions({"initial_spread": truncated.initial_spread}).keys() == {
        "temperature", "env_steps_per_update", "follower", "policy_iterations", "start",
        "information",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("grid.four_rooms-bc_hg.candidates.critic", ..., "four_rooms-bc_hg: critic is missing"),
        ("grid.four_rooms-bc_hg.candidates.critic.kind", ..., "critic.kind is missing"),
        ("grid.four_rooms-bc_hg.candidates.critic.step_size", ..., "critic.step_size is missing"),
        ("grid.four_rooms-bc_hg.candidates.critic.step_size", [], r"critic.step_size = \[\]"),
        ("grid.four_rooms-naive.candidates.critic", {"kind": "sarsa"}, "critic = .*: unknown key"),
        ("grid.four_rooms-naive.estimator", "niave", "niave"),
        ("grid.four_rooms-naive.problem", "maze", "maze"),
        ("grid.four_rooms-naive.candidates.step_size", [], r"step_size = \[\]"),
        ("problems.four_rooms.budgets", {100: 3}, "not divisible by num_envs = 3"),
        ("problems.four_rooms.temperature", [0.1], r"did you mean temperatures\?"),
        (
            "problems.four_rooms.kind",
            "maze",
            r"problems\.four_rooms\.kind = 'maze': .*'four_rooms'",
        ),
        (
            "grid.four_rooms-naive.kind",
            "discrete_toy",
            r"naive\.kind = 'discrete_toy': problems\.four_rooms\.kind is 'four_rooms'",
        ),
    ],
)
def test_tuning_parameters_are_checked_before_the_search_starts(
    tmp_path: Path, key: str, value: Any, expected: str
) -> None:
    path = tmp_path / "params.yaml"
    content = changed(load("tuning/params.yaml"), key, value)
    write_atomically(path, mapping_text(content).encode())
    with pytest.raises(ConfigError, match=expected) as caught:
        read_tuning_params(path)
    assert "\n" not in str(caught.value)
