"""The few numbers that `dvc metrics` shows."""

from typing import Any

import numpy as np
import pandas as pd

from bilevelrl.evaluation.summary import FAILED_RUN_COLUMNS, failed_runs, headline_metrics
from bilevelrl.runs.records import RunIdentity
from tests.settings import conditioned

MAIN, WARM = (f"env_steps_per_update=100;temperature={beta}" for beta in ("0.003", "0.1"))
BASELINES = pd.DataFrame([{"problem": "four_rooms", "temperature": beta} for beta in (0.003, 0.1)])


def rows(estimator: str, setting: str, **metrics: float) -> list[dict[str, Any]]:
    same = {"problem": "four_rooms", "estimator": estimator, "variant": "published"}
    return [
        {**same, "setting": setting, "seeds": 3, "metric": name, "value": value}
        for name, value in metrics.items()
    ]


def test_a_small_table_for_each_setting_of_the_main_comparison() -> None:
    summary = conditioned(pd.DataFrame(
        [
            *rows("bc_hg", MAIN, leader_return_mean=0.12345678, failed_runs=1.0,
                  stuck_fraction=1 / 3, leader_return_se=np.nan, leader_return_iqm=0.5),
            *rows("bc_hg", WARM, leader_return_mean=0.9),
            *rows("bc_hg", f"study=clipped;{MAIN}", leader_return_mean=0.8),
            *rows("exact", "temperature=0.003", leader_return_mean=-162.54779, failed_runs=0.0,
                  leader_return_final_worst=0.25, best_known=0.6),
        ]
    ))  # fmt: skip
    found = headline_metrics(summary, BASELINES)
    assert found == {
        "four_rooms/bc_hg-published-100": {"mean": 0.123457, "failed": 1},
        # Six digits, and no word of failures where nothing failed.
        "four_rooms/exact-published": {"mean": -162.548, "worst": 0.25},
    }  # fmt: skip
    assert isinstance(found["four_rooms/bc_hg-published-100"]["failed"], int)


def test_cases_are_named_where_a_problem_has_several() -> None:
    summary = conditioned(pd.DataFrame(
        [
            *rows("bc_hg", f"levers=1;players=2;{MAIN}", leader_return_mean=1.0),
            *rows("exact", "levers=1;players=2;temperature=0.003", leader_return_mean=2.0),
            *rows("exact", "levers=2;players=3;temperature=0.003", leader_return_mean=-7305771.26),
        ]
    ), roles="players=case;levers=case;env_steps_per_update=budget")  # fmt: skip
    assert headline_metrics(summary, BASELINES) == {
        "four_rooms/bc_hg-published-players=2-100": {"mean": 1.0},
        "four_rooms/exact-published-players=2": {"mean": 2.0},
        "four_rooms/exact-published-players=3": {"mean": -7305770},
    }


def test_runs_without_a_result_are_listed_with_their_reason() -> None:
    identities = [
        RunIdentity("four_rooms", "bc_hg", "published", MAIN, seed, key, {}, why)
        for seed, key, why in ((0, "a", ""), (1, "b", "diverged"))
    ]
    found = failed_runs(identities)
    assert list(found) == list(FAILED_RUN_COLUMNS)
    assert found.to_numpy().tolist() == [["four_rooms", "bc_hg", "published", MAIN, 1, "diverged"]]
    assert list(failed_runs([])) == list(FAILED_RUN_COLUMNS)
