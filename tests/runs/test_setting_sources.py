"""Every shipped value says where it comes from, and is what it says."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
import pytest

from bilevelrl.core.problem import ProblemBlock
from bilevelrl.core.validation import ConfigError
from bilevelrl.runs.params import parse_params
from bilevelrl.runs.tuning import CONDITIONS, choose, effort_table, winners
from tests.runs import setting_sources
from tests.runs.setting_sources import (
    CELLS,
    CHECKS,
    FILES,
    Content,
    Leaf,
    changed,
    claimed,
    differences,
    leaves,
    load,
    merged,
    misquoted,
    results,
    rules,
    rules_of,
    said,
    tuning_params,
    unreasonable,
    untraceable,
    won,
)


@cache
def block_of(file: str, problem: str) -> ProblemBlock:
    """A problem's block, as a file has it."""
    return parse_params(merged(file), "params.yaml").block(problem)


Entries = dict[str, Content]


def entries(file: str) -> Iterator[tuple[str, str, str, Content]]:
    """Those that a file itself lists."""
    for problem, estimator, own in estimators_of(load(file)):
        for name, entry in own.items():
            if entry is not None:
                yield problem, estimator, name, entry


def estimators_of(content: Content) -> Iterator[tuple[str, str, Entries]]:
    for problem, block in content["problems"].items():
        for estimator, own in block.get("cells", {}).items():
            yield problem, estimator, own


def of_file(file: str, problem: str, estimator: str) -> Entries:
    """All entries of an estimator, as a file has them."""
    found: Entries = contents()[file]["problems"][problem]["cells"][estimator]
    return found


def faults_of(
    file: str, problem: str, estimator: str, name: str, change: Content | None = None
) -> list[str]:
    """Complaints about an entry, other values put in its place."""
    own = dict(of_file(file, problem, estimator))
    own[name] = changed(own[name], change or {})
    return [*untraceable(problem, estimator, name, own, block_of(file, problem), file)]


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


@cache
def contents() -> dict[str, Content]:
    return {file: merged(file) for file in FILES}


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
    return [another(value[0]), *value[1:]]


def numbers(value: Any) -> bool:
    return numbers(value[0]) if isinstance(value, list) else not isinstance(value, str)


def is_refused(*arguments: Any) -> bool:
    try:
        return bool(faults_of(*arguments))
    except ConfigError:
        return True


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


def all_faults(file: str) -> list[str]:
    return [
        fault
        for problem, estimator, own in estimators_of(contents()[file])
        for name in own
        for fault in faults_of(file, problem, estimator, name)
    ]


@pytest.mark.parametrize("left_out", range(len(differences())))
def test_differences_from_a_search_are_listed_all_of_them_and_no_others(
    left_out: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = differences()[left_out]
    others = tuple(item for item in differences() if item is not own)
    monkeypatch.setattr(setting_sources, "differences", lambda: others)
    assert any(all_faults(file) for file in FILES)
    too_many = (*others, replace(own, keys=(*own.keys, "step_size")))
    monkeypatch.setattr(setting_sources, "differences", lambda: too_many)
    assert any(all_faults(file) for file in FILES)


@pytest.mark.parametrize(
    ("problem", "name", "change"),
    [
        ("discrete_toy_r1", "corrected", {"control_variate": False}),
        ("discrete_toy_r1", "soft_q", {"control_variate": False}),
        ("discrete_toy_r2", "corrected", {"random_updates": 5}),
        ("bilevel_lqr", "watching", {"random_updates": 5}),
        ("bilevel_lqr", "improved", {"control_variate": True}),
        ("four_rooms", "watching_200", {"belief_smoothing": 0.06}),
        ("four_rooms", "soft_q_watching", {"belief_forgetting_factor": 0.5}),
        ("bilevel_lqr", "sac", {"num_updates": 20, "minibatch": 32}),
        ("guided_cartpole", "improved", {"belief_forgetting_factor": 0.5}),
    ],
)
def test_what_the_search_held_cannot_change_under_its_name(
    problem: str, name: str, change: Content
) -> None:
    own = ("params.yaml", problem, "bc_hg", name)
    assert not is_refused(*own)
    assert is_refused(*own, change)


def test_the_search_shares_what_the_leaders_share() -> None:
    params = parse_params(load("params.yaml"), "params.yaml")
    assert tuning_params().problems.keys() == params.problems.keys()
    for problem, searched in tuning_params().problems.items():
        assert searched.kind == params.block(problem).kind
        shipped = params.block(problem).training.model_dump(exclude_none=True)
        different = {k: v for k, v in searched.shared.items() if shipped[k] != v}
        assert not different, problem


@pytest.mark.parametrize("search", sorted(tuning_params().grid))
def test_the_winner_has_the_highest_score_under_its_conditions(search: str) -> None:
    table = results(search)
    assert set(table["seeds"]) == {tuning_params().seeds_of(search)}
    keys = [key for key in CONDITIONS if key in table]
    best = table.groupby(keys)["score"].max()
    for winner in won(search):
        row = np.ones(len(table), dtype=bool)
        for key, value in winner.items():
            if key in table:
                row &= table[key].isna() if value is None else table[key] == value
        assert table["score"][row].max() == best[tuple(winner[key] for key in keys)]
    assert len(won(search)) == len(best)


def test_the_chosen_settings_are_written_down() -> None:
    chosen = load("tuning/chosen.yaml")
    effort = effort_table(tuning_params()).set_index(["search", "variant"])
    assert chosen.keys() == tuning_params().grid.keys()
    for search, item in chosen.items():
        settings = choose(tuning_params(), search, results(search))
        assert item["chosen"] == settings
        assert {item["candidates"]} == set(effort.loc[search]["candidates"])
        assert {item["seeds"]} == set(results(search)["seeds"])


def test_a_table_of_other_candidates_is_refused() -> None:
    search = "bilevel_lqr-exact"
    table = results(search).copy()
    table["step_size"] *= 2.0
    for wrong in (table, results(search)[1:]):
        with pytest.raises(ConfigError, match=f"tuning/results/{search}.csv has other candidates"):
            winners(tuning_params(), search, wrong)


@pytest.mark.parametrize("problem", tuning_params().problems)
def test_searches_that_differ_in_effort_say_why_and_no_others_do(problem: str) -> None:
    effort = effort_table(tuning_params())
    own = effort[effort["problem"] == problem]
    differing = own.groupby("variant")[["candidates", "seeds"]].nunique().max(axis=None) > 1
    assert differing == (tuning_params().problems[problem].unequal is not None)
    if not differing:
        assert len(own[["candidates", "seeds"]].drop_duplicates()) == 1


@pytest.mark.parametrize("problem", tuning_params().problems)
def test_what_is_said_of_effort_holds_no_number_that_a_search_could_belie(problem: str) -> None:
    # docs/settings.md has the numbers, from the table.
    said = tuning_params().problems[problem].unequal or ""
    counted = "two|three|four|five|six|seven|eight|nine|ten|twelve|twice|half|same|as many"
    assert re.findall(rf"\d+|\b(?:{counted})\b", said) == []


def test_effort_counts_candidates_and_seeds() -> None:
    counts, rows = {}, Counter[str]()
    for row in effort_table(tuning_params()).to_dict("records"):
        own = (row["conditions"], row["candidates"], row["seeds"])
        counts[row["search"], row["variant"]] = own
        rows[row["search"]] += own[0] * own[1]
    assert counts["four_rooms-hpgd_sa", "published"] == (12, 24, 3)
    assert counts["four_rooms-exact", "corrected"] == (3, 4, 3)
    assert counts["thermal_control-bc_hg_improved", "improved"] == (3, 9, 10)
    assert counts["guided_cartpole-naive", "improved"] == (1, 3, 3)
    assert rows == {search: len(results(search)) for search in tuning_params().grid}


@pytest.mark.parametrize("problem", tuning_params().problems)
def test_estimators_that_search_for_the_same_keys_had_the_same_effort(problem: str) -> None:
    # Of one variant, apart from those that read the model, whose runs have no sampling noise.
    effort = effort_table(tuning_params())
    own = effort[effort["problem"] == problem]
    sampled = own["search"].map(
        lambda search: (
            getattr(tuning_params().settings(search)[0], "env_steps_per_update", None) is not None
        )
    )
    for _, alike in own.groupby(["variant", "swept", sampled]):
        assert len(alike[["candidates", "seeds"]].drop_duplicates()) == 1
