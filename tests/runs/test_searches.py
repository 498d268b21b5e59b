"""Searches and the settings that they chose."""

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from bilevelrl.core.validation import ConfigError
from bilevelrl.runs.params import parse_params
from bilevelrl.runs.tuning import CONDITIONS, choose, effort_table, winners
from tests.runs import setting_checks
from tests.runs.setting_sources import (
    FILES,
    Content,
    differences,
    load,
    results,
    tuning_params,
    won,
)
from tests.runs.shipped_entries import (
    all_faults,
    is_refused,
)


@pytest.mark.parametrize("left_out", range(len(differences())))
def test_differences_from_a_search_are_listed_all_of_them_and_no_others(
    left_out: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = differences()[left_out]
    others = tuple(item for item in differences() if item is not own)
    monkeypatch.setattr(setting_checks, "differences", lambda: others)
    assert any(all_faults(file) for file in FILES)
    too_many = (*others, replace(own, keys=(*own.keys, "step_size")))
    monkeypatch.setattr(setting_checks, "differences", lambda: too_many)
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
        block = params.block(problem)
        shipped = block.shared() | block.training.model_dump(exclude_none=True)
        # How often a ground truth is recorded, which no leader sees, changes no score.
        held = {k: v for k, v in searched.shared.items() if k != "exact_interval"}
        different = {k: v for k, v in held.items() if shipped[k] != v}
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
