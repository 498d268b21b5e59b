"""Scores of runs whose J is a loss, and whose closed loop may become unstable."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bilevelrl.core.error_parts import PARTS
from bilevelrl.evaluation.inputs import read_directions
from bilevelrl.evaluation.run_scores import return_name, run_scores, threshold_name
from bilevelrl.evaluation.summary import summary_table
from bilevelrl.runs.leaders import unstable_runs
from bilevelrl.runs.records import (
    COORDINATE_COLUMNS,
    DIRECTION_COLUMNS,
    Cell,
    roles_string,
)
from bilevelrl.runs.table_files import CorruptRecord, write_csv
from tests.evaluation.made_runs import (
    IDENTITY,
    NOWHERE,
    PARAMS,
    PROBLEM,
    RADIUS,
    SETTING,
    baselines,
    make_coordinates,
    make_curves,
    scores,
)
from tests.settings import conditioned, conditions


def test_a_share_of_a_loss_allows_a_larger_one() -> None:
    found = scores()
    # 95 % of a best loss of 160 is one of at most 168.4, 50 % one of at most 320.
    assert found[threshold_name(0.5)].tolist() == [0.0, 0.0]
    assert found.loc[0, threshold_name(0.95)] == 3000.0
    assert found[threshold_name(0.95)].isna()[1] or np.isinf(found.loc[1, threshold_name(0.95)])
    assert found.loc[0, return_name(-164.0)] == 3000.0
    assert found.loc[1, return_name(-197.0)] == 1000.0


def test_shares_may_be_of_the_way_from_where_nothing_is_charged() -> None:
    own = baselines().assign(share_origin=-260.0, charge_nothing_return=-260.0)
    found = run_scores(conditioned(make_curves()), own, PARAMS, NOWHERE).set_index("seed")
    # Half of the way from -260 to -160 is -210, 95 % of it -165.
    assert found[threshold_name(0.5)].tolist() == [1000.0, 1000.0]
    assert found.loc[0, threshold_name(0.95)] == 3000.0
    assert found[threshold_name(0.95)].isna()[1]
    nobody = pd.DataFrame(
        columns=["problem", "estimator", "temperature", "budget", "published_mean",
                 "published_standard_error"]
    )  # fmt: skip
    told = summary_table(found.reset_index(), nobody, PARAMS).set_index("metric")["value"]
    assert told["no_toll_return"] == -260.0
    assert told["way_worst_seed"] == pytest.approx(0.4)
    # Of the last two updates, over both seeds.
    assert told["way_mean"] == pytest.approx((0.5 * (0.90 + 0.99) + 0.5 * (0.5 + 0.4)) / 2.0)
    other = run_scores(
        conditioned(make_curves()), own.assign(charge_nothing_return=None), PARAMS, NOWHERE
    )
    flat = summary_table(other, nobody, PARAMS).set_index("metric")["value"]
    assert flat["flat_return"] == -260.0
    assert "no_toll_return" not in flat
    plain = summary_table(scores().reset_index(), nobody, PARAMS)
    assert not set(plain["metric"]) & {
        "no_toll_return",
        "flat_return",
        "way_mean",
        "way_worst_seed",
    }


def test_parts_of_an_error_are_shares_of_the_hypergradients_it_was_made_at() -> None:
    recorded = {
        "lag_error": (1.0, -0.5), "belief_error": (0.0, 0.25), "variance_error": (2.0, 4.0),
        "hypergradient_square": (4.0, 1.0),
    }  # fmt: skip
    rows = [
        {**IDENTITY, "setting": SETTING, "seed": 1, "update": update, "coordinate": name,
         "value": value}
        for name, values in recorded.items()
        for update, value in enumerate(values)
    ]  # fmt: skip
    known = pd.DataFrame(rows)[list(COORDINATE_COLUMNS)].astype(COORDINATE_COLUMNS)
    found = scores(known)
    assert found.loc[1, [*PARTS]].tolist() == [
        pytest.approx(0.1), pytest.approx(0.05), pytest.approx(1.2)
    ]  # fmt: skip
    assert found.loc[0, [*PARTS]].isna().all()
    nobody = pd.DataFrame(
        columns=["problem", "estimator", "temperature", "budget", "published_mean",
                 "published_standard_error"]
    )  # fmt: skip
    own = summary_table(found.reset_index()[lambda table: table["seed"] == 1], nobody, PARAMS)
    told = own.set_index("metric")["value"]
    assert told["variance_error"] == pytest.approx(1.2)
    plain = summary_table(scores().reset_index(), nobody, PARAMS)
    assert not set(plain["metric"]) & set(PARTS)


@pytest.mark.parametrize(
    ("cases", "rest"),
    [
        (("objective=net;tollable=18", "objective=tstt;tollable=18"), "trips_per_update=1000"),
        (
            ("houses=1;tariff_weight=0.5", "houses=4;tariff_weight=0.5"),
            "days_per_update=1000;information=actions;leader=prices",
        ),
    ],
)
def test_every_case_of_a_problem_has_a_baseline_of_its_own(
    cases: tuple[str, str], rest: str
) -> None:
    curves, of_case = make_curves(), dict(enumerate(cases))
    curves["setting"] = curves["seed"].map(
        {seed: f"{case};temperature=0.1;{rest}" for seed, case in of_case.items()}
    )
    own = pd.concat([
        baselines().assign(case=of_case[0], best_known=-100.0),
        baselines().assign(case=of_case[1], best_known=-200.0),
    ])  # fmt: skip
    roles = dict.fromkeys(conditions(cases[0]), "case") | dict.fromkeys(conditions(rest), "main")
    roles[rest.partition("=")[0]] = "budget"
    known = conditioned(curves, roles=roles_string(roles))
    found = run_scores(known, own, PARAMS, NOWHERE).set_index("seed")
    assert found["best_known"].to_dict() == {0: -100.0, 1: -200.0}
    assert found["case"].to_dict() == of_case
    assert (found["budget"] == 1000).all()
    assert (found["study"] == "main").all()
    with pytest.raises(CorruptRecord, match=f"in case {cases[0]}"):
        run_scores(known, own[1:], PARAMS, NOWHERE)


def test_regret_counts_transitions_at_the_best_known_return() -> None:
    curves = conditioned(make_curves())
    # The best known J is -160; 4,000 transitions in all.
    curves["played_return_mean"] = np.where(curves["seed"] == 0, -160.0, -240.0)
    found = run_scores(curves, baselines(), PARAMS, NOWHERE).set_index("seed")
    assert found["regret"].tolist() == pytest.approx([0.0, 2000.0])
    assert found["final_played"].tolist() == [-160.0, -240.0]


def test_what_was_played_is_told_of_leaders_that_identify_their_model() -> None:
    none = pd.DataFrame(
        columns=["problem", "estimator", "temperature", "budget", "published_mean",
                 "published_standard_error"]
    )  # fmt: skip
    played = {"played_return_mean", "played_return_worst_seed", "cumulative_regret"}
    for model in ("", "identified"):
        runs = scores().reset_index().assign(model=model)
        told = set(summary_table(runs, none, PARAMS)["metric"]) & played
        assert told == (played if model else set())


def test_unstable_runs_are_marked_and_counted_and_kept() -> None:
    found = scores(make_coordinates())
    assert found["unstable"].tolist() == [False, True]
    assert scores()["unstable"].isna().all()
    unknown = make_coordinates()
    unknown.loc[(unknown["seed"] == 0) & (unknown["update"] == 2), "value"] = np.nan
    assert scores(unknown)["unstable"].isna().tolist() == [True, False]
    none = pd.DataFrame(
        columns=["problem", "estimator", "temperature", "budget", "published_mean",
                 "published_standard_error"]
    )  # fmt: skip
    table = summary_table(found.reset_index(), none, PARAMS).set_index("metric")
    assert table.loc["unstable_fraction", "value"] == 0.5
    assert table.loc["leader_return_worst_seed", "value"] == -220.0
    assert table.loc["leader_return_mean", "value"] == pytest.approx((-165.5 - 215.0) / 2)
    without = summary_table(scores().reset_index(), none, PARAMS)
    assert "unstable_fraction" not in set(without["metric"])


def test_the_largest_coupling_of_a_run_is_told() -> None:
    coupled = make_coordinates().replace({"coordinate": {"spectral_radius": "coupling_radius"}})
    found = scores(coupled)
    assert found["coupling_radius"].to_dict() == {seed: max(RADIUS[seed]) for seed in RADIUS}
    assert found["unstable"].isna().all()
    none = pd.DataFrame(
        columns=["problem", "estimator", "temperature", "budget", "published_mean",
                 "published_standard_error"]
    )  # fmt: skip
    table = summary_table(found.reset_index(), none, PARAMS).set_index("metric")
    expected = np.mean([max(RADIUS[seed]) for seed in RADIUS])
    assert table.loc["coupling_radius", "value"] == pytest.approx(expected)
    without = summary_table(scores(make_coordinates()).reset_index(), none, PARAMS)
    assert "coupling_radius" not in set(without["metric"])


def test_the_worst_design_of_an_unstable_run_is_named() -> None:
    cell = Cell((), np.zeros((0, 8)), make_curves(), make_coordinates())
    (line,) = unstable_runs(cell)
    assert line == (
        f"thermal_control bc_hg published {SETTING} seed 1: closed loop unstable in 2 of "
        f"{len(make_coordinates()['update'].unique())} windows of updates, spectral radius up to "
        "1.0200 in the one that ends at update 1 with alpha1 = 0.250"
    )
    stable = make_coordinates().query("seed == 0")
    assert unstable_runs(Cell((), np.zeros((0, 8)), make_curves(), stable)) == []
    assert unstable_runs(Cell((), np.zeros((0, 8)), make_curves())) == []


def test_directions_are_read_where_there_are_some(tmp_path: Path) -> None:
    grid = [("four_rooms", "bc_hg"), (PROBLEM, "bc_hg")]
    nothing = pd.DataFrame(columns=list(DIRECTION_COLUMNS))
    for problem in ("four_rooms", PROBLEM):  # either is missed
        with pytest.raises(CorruptRecord, match=f"{problem}.directions"):
            read_directions(tmp_path, grid)
        write_csv(tmp_path / problem / "directions.csv", nothing)
    row = dict.fromkeys(DIRECTION_COLUMNS, 0.123456789) | {"estimator": "bc_hg"}
    write_csv(tmp_path / PROBLEM / "directions.csv", pd.DataFrame([row]))
    found = read_directions(tmp_path, grid)
    assert tuple(found.columns) == ("problem", *DIRECTION_COLUMNS)
    assert found.loc[0, "drift"] == 0.123457
    assert read_directions(tmp_path, grid[:1]).empty
