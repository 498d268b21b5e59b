"""Transitions that a known model saves: which leaders are shown, and with which budget."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bilevelrl.evaluation.conditions import read_conditions, with_conditions
from bilevelrl.evaluation.model_knowledge import FIXED_COLUMNS, model_knowledge, with_leaders
from bilevelrl.runs.params import read_params
from bilevelrl.runs.records import SUMMARY_COLUMNS
from bilevelrl.runs.table_files import read_csv
from tests.settings import conditioned

PARAMS = read_params().evaluate.model_copy(update={"thresholds": (0.95, 0.5, 0.9, 0.99)})
SHARES = ("50", "90", "95", "99")
BEST = 2.0
NONE = float("nan")
#: Median transitions to 50, 90, 95 and 99 %, and the seeds that get there.
Arrivals = tuple[tuple[float, int], ...]
NOWHERE: Arrivals = ((NONE, 0),) * 4


def budget(size: int, more: str = "") -> str:
    return f"env_steps_per_update={size};follower=exact;information=full;temperature=0.1{more}"


IDENTIFIED = ";model=identified"
EXACT = "follower=exact;information=full;temperature=0.1"


def rows(
    setting: str,
    arrivals: Arrivals = NOWHERE,
    mean: float = 1.0,
    *,
    variant: str = "corrected",
    estimator: str = "bc_hg",
    problem: str = "a",
    best: float = BEST,
    seeds: int = 5,
) -> pd.DataFrame:
    """Rows of summary.csv of one setting; as there, none of shares where nobody knows the best."""
    metrics = {"leader_return_mean": mean, "failed_runs": 0.0}
    if np.isfinite(best):
        metrics["best_known"] = best
        for share, (steps, arrived) in zip(SHARES, arrivals, strict=True):
            metrics[f"env_steps_to_{share}_percent"] = steps
            metrics[f"fraction_at_{share}_percent"] = arrived / seeds
    group = (problem, estimator, variant, setting)
    table = [(*group, name, value, NONE, NONE, seeds) for name, value in metrics.items()]
    return pd.DataFrame(table, columns=list(SUMMARY_COLUMNS))


def shown(*tables: pd.DataFrame, **more: str) -> pd.DataFrame:
    return model_knowledge(conditioned(pd.concat(tables, ignore_index=True), **more), PARAMS)


def chosen(*tables: pd.DataFrame) -> int:
    (row,) = shown(*tables).to_dict("records")
    return int(row["budget"])


def test_medians_and_seeds_that_arrive_are_those_of_the_summary() -> None:
    arrivals = ((100.0, 5), (300.0, 4), (700.0, 3), (NONE, 2))
    (row,) = shown(rows(budget(100), arrivals, 1.75)).to_dict("records")
    told = {share: (row[f"env_steps_to_{share}_percent"], row[f"arrived_at_{share}_percent"])
            for share in SHARES}  # fmt: skip
    assert [told[share] for share in SHARES[:3]] == [(100.0, 5), (300.0, 4), (700.0, 3)]
    assert np.isnan(told["99"][0])
    assert told["99"][1] == 2
    assert (row["best_known"], row["leader_return_mean"], row["seeds"]) == (BEST, 1.75, 5)


def test_columns_are_those_of_the_thresholds() -> None:
    table = shown(rows(budget(100)))
    pairs = [[f"env_steps_to_{s}_percent", f"arrived_at_{s}_percent"] for s in SHARES]
    assert list(table) == [*FIXED_COLUMNS, *(name for pair in pairs for name in pair)]


def reaching(ninety: float, ninety_five: float, all_but: float = NONE) -> Arrivals:
    steps = (10.0, ninety, ninety_five, all_but)
    return tuple((each, 0 if np.isnan(each) else 5) for each in steps)


def test_the_budget_that_is_first_at_95_percent_is_shown() -> None:
    # The one is first at 90 and 99 %, the other has the higher mean J.
    assert chosen(
        rows(budget(100), reaching(200.0, 900.0, 1000.0)),
        rows(budget(200), reaching(300.0, 800.0)),
        rows(budget(400), reaching(100.0, 2000.0), mean=1.9),
        rows(budget(800), reaching(50.0, NONE), mean=1.95),
    ) == 200  # fmt: skip


def test_the_next_smaller_share_decides_where_no_budget_gets_to_95_percent() -> None:
    assert chosen(
        rows(budget(100), reaching(700.0, NONE)),
        rows(budget(200), reaching(600.0, NONE)),
        rows(budget(400), reaching(NONE, NONE), mean=1.9),
    ) == 200  # fmt: skip
    halfway = ((90.0, 5), *NOWHERE[1:])
    assert chosen(rows(budget(100), halfway), rows(budget(200), mean=1.9)) == 100


def test_the_highest_mean_decides_where_no_budget_gets_anywhere() -> None:
    settings = [rows(budget(100), mean=0.5), rows(budget(200), mean=0.75)]
    failed = rows(budget(400), mean=NONE)
    assert chosen(failed, *settings) == chosen(*settings, failed) == 200


def test_99_percent_decides_nothing() -> None:
    late = ((10.0, 5), (NONE, 0), (NONE, 0), (800.0, 5))  # cannot be, but must not be looked at
    assert chosen(rows(budget(100), late), rows(budget(200), reaching(20.0, NONE))) == 200


def test_ties_go_to_the_higher_mean_and_then_to_the_smaller_budget() -> None:
    same = reaching(100.0, 400.0)
    assert chosen(rows(budget(100), same), rows(budget(200), same, mean=1.5)) == 200
    assert chosen(rows(budget(200), same), rows(budget(100), same)) == 100


def test_a_problem_without_a_best_known_return_has_no_row() -> None:
    unknown = rows(budget(100), problem="b", best=NONE)
    assert shown(rows(budget(100)), unknown)["problem"].tolist() == ["a"]
    table = shown(unknown)
    assert table.empty
    assert list(table) == list(shown(rows(budget(100))))


def test_every_leader_has_a_row_of_its_own() -> None:
    sees = budget(100, IDENTIFIED).replace("full", "rewards")
    table = shown(
        rows(EXACT, variant="published", estimator="exact"),
        rows(EXACT, estimator="exact"),
        rows(sees, variant="improved"),
        rows(budget(100, IDENTIFIED), variant="improved"),
        rows(budget(200, IDENTIFIED), reaching(10.0, 20.0), variant="improved"),
        *(rows(budget(100), variant=each) for each in ("improved", "corrected", "published")),
    )
    found = table[["leader", "variant", "information", "budget"]].apply(tuple, axis=1).tolist()
    assert found == [
        ("published", "published", "full", 100),
        ("corrected", "corrected", "full", 100),
        ("improved", "improved", "full", 100),
        ("identified", "improved", "full", 200),
        ("identified", "improved", "rewards", 100),
        ("exact", "corrected", "full", 0),
        ("exact", "published", "full", 0),
    ]


@pytest.mark.parametrize(
    "other",
    [
        rows(budget(100), estimator="naive"),
        rows(budget(100, ";initial_spread=3.0")),
        rows(budget(100).replace("full", "rewards")),
        rows(budget(100, ";study=mine")),
        rows("initial_spread=3.0;temperature=0.1", estimator="exact"),
        rows(budget(100, IDENTIFIED), estimator="naive"),
        rows(budget(100, IDENTIFIED).replace("=exact", "=soft_q"), variant="improved"),
        rows(budget(100, f"{IDENTIFIED};study=mine"), variant="improved"),
    ],
)
def test_other_studies_and_estimators_are_not_compared(other: pd.DataFrame) -> None:
    own = rows(budget(100))
    pd.testing.assert_frame_equal(shown(own, other), shown(own))


def test_an_identifying_leader_meets_the_followers_of_the_main_comparison() -> None:
    main = rows(budget(100, ";study=main").replace("=exact", "=sac"), variant="improved")
    known = rows(budget(100, IDENTIFIED).replace("=exact", "=sac"), variant="improved")
    assert shown(main, known)["leader"].tolist() == ["improved", "identified"]
    elsewhere = rows(budget(100), problem="b")
    assert shown(known, elsewhere)["leader"].tolist() == ["corrected"]


def test_another_estimator_can_be_ours() -> None:
    table = conditioned(pd.concat([rows(budget(100)), rows(budget(100), estimator="naive")]))
    assert set(with_leaders(table, ours="naive")["estimator"]) == {"naive"}


def test_cases_do_not_compete() -> None:
    small = rows(f"{budget(200)};players=2", reaching(1.0, 2.0))
    large = rows(f"{budget(100)};players=3", reaching(10.0, 20.0))
    table = shown(small, large, roles="players=case;env_steps_per_update=budget")
    assert table["case"].tolist() == ["players=3", "players=2"]  # by name of the setting
    assert table["leader"].tolist() == ["corrected", "corrected"]


def test_temperatures_do_not_compete() -> None:
    cold = budget(100).replace("0.1", "0.01")
    table = shown(rows(budget(200), reaching(1.0, 2.0)), rows(cold, reaching(10.0, 20.0)))
    assert table["temperature"].tolist() == [0.01, 0.1]


def test_the_committed_table_is_that_of_the_committed_summary() -> None:
    results = Path(__file__).parents[2] / "results"
    conditions = read_conditions(results / "conditions.csv")
    summary = with_conditions(read_csv(results / "summary.csv"), conditions)
    text = model_knowledge(summary, read_params().evaluate).to_csv(
        index=False, float_format="%.10g", lineterminator="\n"
    )
    assert text == (results / "model_knowledge.csv").read_text(encoding="utf-8")
