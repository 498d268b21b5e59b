"""Every shipped value says where it comes from, and is what it says."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import chain
from typing import Any

import pytest

from tests.runs.setting_checks import CHECKS, claimed, unreasonable
from tests.runs.setting_sources import (
    CELLS,
    FILES,
    Content,
    Leaf,
    differences,
    leaves,
    load,
    misquoted,
    rules,
    rules_of,
    said,
    tuning_params,
)
from tests.runs.shipped_entries import all_faults, contents, estimators_of, is_refused


def entries(file: str) -> Iterator[tuple[str, str, str, Content]]:
    """Those that a file itself lists."""
    for problem, estimator, own in estimators_of(load(file)):
        for name, entry in own.items():
            if entry is not None:
                yield problem, estimator, name, entry


@cache
def all_leaves() -> tuple[tuple[str, Leaf], ...]:
    return tuple((file, leaf) for file in FILES for leaf in leaves(load(file)))


def test_exactly_one_rule_covers_each_shipped_value() -> None:
    covering = {
        f"{file}: {leaf.block}.{leaf.key}": len(rules_of(leaf.block, leaf.key))
        for file, leaf in all_leaves()
    }
    assert {value: number for value, number in covering.items() if number != 1} == {}


def test_every_rule_covers_something_with_each_of_its_blocks_and_keys() -> None:
    values = {(leaf.block, leaf.key) for _, leaf in all_leaves()}
    for rule in rules():
        for block in rule.blocks:
            assert any(replace(rule, blocks=(block,)).covers(*value) for value in values), block
        for key in rule.keys or ():
            assert any(replace(rule, keys=(key,)).covers(*value) for value in values), key


def test_every_rule_names_a_source() -> None:
    for rule in rules():
        assert rule.source in ("paper", "tuned", "fixed")
        assert (rule.search is not None) == (rule.source == "tuned")
        assert bool(rule.reason) == (rule.source == "fixed")
        assert not rule.check or rule.source == "fixed"
        assert rule.check.keys() <= CHECKS.keys()
    assert {rule.search for rule in rules() if rule.search} <= tuning_params().grid.keys()


def test_what_is_said_to_be_the_papers_is() -> None:
    outside = [leaf for _, leaf in all_leaves() if not CELLS.fullmatch(leaf.block)]
    assert [fault for leaf in outside for fault in misquoted(leaf)] == []


def test_every_fixed_value_is_what_its_reason_says() -> None:
    faults = [unreasonable(leaf, contents()[file]) for file, leaf in all_leaves()]
    assert [*chain(*faults)] == []


def test_every_difference_from_a_search_is_of_a_cell_that_says_it_was_tuned_by_it() -> None:
    places = [
        (file, f"problems.{problem}.cells.{estimator}.{name}", rule.search)
        for file in FILES
        for problem, estimator, own in estimators_of(contents()[file])
        for name in own
        for _, found in claimed(f"problems.{problem}.cells.{estimator}", name, own)
        for rule in found
        if rule.search is not None
    ]
    for item in differences():
        assert item.reason
        for block in item.blocks:
            assert any(replace(item, blocks=(block,)).covers(*place) for place in places), block


@pytest.mark.parametrize("file", FILES)
def test_every_entry_is_the_papers_or_the_winner_of_its_search(file: str) -> None:
    assert all_faults(file) == []


def another(value: Any) -> Any:
    """A value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return 0.5 * value if value else 0.25
    return [*value[:-1], another(value[-1])]  # the largest, so that no other of a list is hit


def numbers(value: Any) -> bool:
    return numbers(value[0]) if isinstance(value, list) else not isinstance(value, str)


@pytest.mark.parametrize("file", FILES)
def test_any_other_number_is_refused(file: str) -> None:
    accepted, tried = [], 0
    for problem, estimator, name, entry in entries(file):
        block = f"problems.{problem}.cells.{estimator}.{name}"
        for key, value in said(entry).items():
            if rules_of(block, key)[0].source == "fixed" or not numbers(value):
                continue
            tried += 1
            if not is_refused(file, problem, estimator, name, {key: another(value)}):
                accepted.append(f"{block}.{key}")
    assert accepted == []
    assert tried > 150


def test_any_other_number_of_the_paper_is_refused_outside_of_the_cells() -> None:
    quoted = [
        leaf
        for _, leaf in all_leaves()
        if not CELLS.fullmatch(leaf.block)
        and rules_of(leaf.block, leaf.key)[0].source == "paper"
        and numbers(leaf.value)
    ]
    assert len(quoted) > 90
    for leaf in quoted:
        assert [*misquoted(Leaf(leaf.block, leaf.key, another(leaf.value)))]


#: Block, key, another value that contradicts the reason.
UNREASONABLE = [
    ("problems.guided_cartpole.constants", "leader_discount", 0.95),
    ("problems.four_rooms.search", "temperatures", [0.001]),
    ("problems.thermal_control.search", "temperatures", [0.1, 0.2]),
    ("problems.bilevel_lqr.gradients", "temperature", 0.2),
    ("followers", "tolerance", 1e-4),
    ("followers", "max_iterations", 20),
    ("problems.four_rooms.learner", "smallest_step", 0.0),
    ("problems.discrete_toy_r1.learner", "smallest_step", 0.05),
    ("problems.discrete_toy_r2.learner", "exponent", 0.9),
    ("problems.bilevel_lqr.learner", "reward_scale", 300.0),
    ("problems.thermal_control.learner", "activation_fn", "relu"),
    ("problems.thermal_control.learner", "buffer_size", 5000),
    # No more than one cell of the paper profile has.
    ("problems.bilevel_lqr.learner", "buffer_size", 59_900),
    ("problems.bilevel_lqr.learner", "batch_size", 64),
    ("problems.thermal_control.learner", "n_critics", 1),
    ("problems.thermal_control.learner", "n_envs", 4),
    ("problems.thermal_control.learner", "gradient_steps", 2),
    ("problems.discrete_toy_r1.cells.bc_hg.corrected", "num_seeds", 3),
    ("problems.discrete_toy_r2.cells.bc_hg.corrected", "num_seeds", 10),
    ("problems.bilevel_lqr.cells.bc_hg.no_random_phase", "random_updates", 5),
    ("problems.bilevel_lqr.cells.naive_off.clipped", "max_gradient_norm", 10.0),
    ("problems.thermal_control.cells.naive.network", "critic_steps", 50),
    ("problems.thermal_control.cells.naive.network", "num_updates", 100),
    ("problems.thermal_control.cells.bc_hg.sampled_sensitivity", "sensitivity", "expected"),
    ("problems.thermal_control.cells.bc_hg.sac", "belief_features", 30),
    ("problems.guided_cartpole.cells.random.improved", "variant", "published"),
]


@pytest.mark.parametrize(("block", "key", "value"), UNREASONABLE)
def test_a_fixed_value_that_contradicts_its_reason_is_refused(
    block: str, key: str, value: Any
) -> None:
    assert any((leaf.block, leaf.key) == (block, key) for _, leaf in all_leaves())
    faults = [unreasonable(Leaf(block, key, value), content) for content in contents().values()]
    assert [*chain(*faults)]


def test_every_kind_of_check_is_tried() -> None:
    tried = [rules_of(block, key)[0].check for block, key, _ in UNREASONABLE]
    assert {*chain(*tried)} == CHECKS.keys()


def test_any_other_number_is_refused_where_a_reason_names_it() -> None:
    accepted, tried = [], 0
    for file, leaf in all_leaves():
        kinds = rules_of(leaf.block, leaf.key)[0].check.keys() - {"at_least", "at_most"}
        if kinds and numbers(leaf.value):
            tried += 1
            mutant = replace(leaf, value=another(leaf.value))
            if not [*unreasonable(mutant, contents()[file])]:
                accepted.append(f"{file}: {leaf.block}.{leaf.key}")
    assert accepted == []
    assert tried > 70


@pytest.mark.parametrize(
    "change",
    [{"follower_steps": 80}, {"num_updates": 5}, {"temperature": 0.1}, {"evaluation_episodes": 4}],
    ids=str,
)
def test_the_leader_that_moves_at_random_has_the_follower_of_the_others(change: Content) -> None:
    own = ("params.yaml", "guided_cartpole", "random", "improved")
    assert not is_refused(*own)
    assert is_refused(*own, change)
