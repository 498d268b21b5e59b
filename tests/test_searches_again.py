"""Two tables of one search, compared."""

import numpy as np
import pandas as pd

from benchmarks.searches_again import RESULTS, compared
from bilevelrl.runs.tuning_params import read_tuning_params

SEARCH = "bilevel_lqr-zero_order"


def test_a_table_agrees_with_itself() -> None:
    tuning, table = read_tuning_params(), pd.read_csv(RESULTS / f"{SEARCH}.csv")
    rows = list(compared(tuning, SEARCH, table, table))
    assert len(rows) == 1
    assert rows[0]["unchanged"]
    assert rows[0]["better"] == 0.0
    assert rows[0]["chosen_score"] == rows[0]["best_score"] == table["score"].max()
    assert rows[0]["standard_error"] is None


def test_another_winner_is_better_by_the_difference_of_todays_scores() -> None:
    tuning, before = read_tuning_params(), pd.read_csv(RESULTS / f"{SEARCH}.csv")
    now = before.assign(standard_error=3.0)
    now.loc[before["score"].idxmin(), ["score", "standard_error"]] = (
        before["score"].max() + 7.0,
        4.0,
    )
    (row,) = compared(tuning, SEARCH, before, now)
    assert not row["unchanged"]
    np.testing.assert_allclose(float(str(row["better"])), 7.0, rtol=1e-9)
    np.testing.assert_allclose(float(str(row["standard_error"])), 5.0, rtol=1e-12)


def test_other_candidates_are_not_compared() -> None:
    tuning, now = read_tuning_params(), pd.read_csv(RESULTS / f"{SEARCH}.csv")
    assert list(compared(tuning, SEARCH, now.assign(step_size=1.0), now)) == []
    assert list(compared(tuning, SEARCH, pd.DataFrame(), now)) == []
