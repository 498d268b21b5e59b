"""Runs that lost a value, or never had it, have no score of it."""

import numpy as np
import pandas as pd
import pytest

from bilevelrl.core.error_parts import PARTS
from bilevelrl.evaluation.conditions import CONDITION_COLUMNS, GROUP
from bilevelrl.evaluation.run_scores import run_scores
from tests.evaluation.made_runs import (
    NOWHERE,
    PARAMS,
    RETURNS,
    baselines,
    make_coordinates,
    make_curves,
)
from tests.settings import conditioned

#: What a run records, and the scores that are made of it.
MADE_OF = {
    "leader_return_mean": ("final",),
    "leader_return_optimal": ("final_optimal", "last_optimal"),
    "played_return_mean": ("final_played", "regret"),
    "follower_kl": ("final_kl",),
    "follower_value_gap": ("final_gap",),
    "cosine": ("cosine",),
    "follower_accuracy": ("accuracy_max",),
}
#: Facts of a run that no recorded value can make unknown.
ALWAYS_KNOWN = {"best_known", "charge_nothing_return", "share_origin", "follower_steps"}


@pytest.mark.parametrize("name", MADE_OF)
def test_a_run_that_lost_a_value_in_the_end_has_no_score_of_it(name: str) -> None:
    curves = conditioned(make_curves())
    known = run_scores(curves, baselines(), PARAMS, NOWHERE).set_index("seed")
    lost = (curves["seed"] == 1) & (curves["update"] == 3)
    curves.loc[lost, name] = np.nan
    found = run_scores(curves, baselines(), PARAMS, NOWHERE).set_index("seed")
    for score in MADE_OF[name]:
        assert np.isfinite(found.loc[0, score])
        assert np.isnan(found.loc[1, score])
    others = [score for scores in MADE_OF.values() for score in scores]
    others = [score for score in others if score not in MADE_OF[name]]
    pd.testing.assert_frame_equal(found[others], known[others])


def test_it_is_known_of_every_score_what_it_is_made_of() -> None:
    found = run_scores(conditioned(make_curves()), baselines(), PARAMS, make_coordinates())
    made = {score for scores in MADE_OF.values() for score in scores} | ALWAYS_KNOWN
    # Of transitions to a threshold, of stability, of coupling and of parts of an error other tests
    # speak.
    rest = {name for name in found if name.startswith("env_steps_to_")}
    rest |= {"unstable", "coupling_radius", "seed", *PARTS}
    assert made | rest == set(found.columns) - {*GROUP, *CONDITION_COLUMNS}


TRUTH = ("leader_return_optimal", "cosine", "follower_kl", "follower_value_gap")


def test_rows_without_ground_truth_are_left_out() -> None:
    curves = make_curves()
    curves.loc[curves["update"].isin([0, 2]), list(TRUTH)] = np.nan
    curves.loc[curves["update"] == 3, "cosine"] = 0.5
    found = run_scores(conditioned(curves), baselines(), PARAMS, NOWHERE).set_index("seed")
    # Of the last half of four updates only the last was asked; of all, that and the second.
    assert found["final_optimal"].tolist() == [RETURNS[0][3], RETURNS[1][3]]
    assert found["final_gap"].tolist() == [0.0, 0.0]
    assert found["cosine"].tolist() == [0.25, 0.25]
    assert found["final"].tolist() == [np.mean(RETURNS[seed][2:]) for seed in RETURNS]


def test_a_run_that_diverged_has_no_scores() -> None:
    curves = make_curves()
    lost = (curves["update"] == 2) & (curves["seed"] == 0)
    curves.loc[lost, [*TRUTH, "leader_return_mean"]] = np.nan
    found = run_scores(conditioned(curves), baselines(), PARAMS, NOWHERE).set_index("seed")
    for name in ("final", "final_optimal", "final_gap", "cosine"):
        assert found[name].isna().tolist() == [True, False]
