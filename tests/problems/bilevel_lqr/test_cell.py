"""Cells of BilevelLQR: every variant has its own quirks."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.ascent import Adam
from bilevelrl.core.games import GameSetting
from bilevelrl.core.settings import Setting
from bilevelrl.problems.bilevel_lqr.game import LinearGame
from bilevelrl.problems.bilevel_lqr.model_leader import ModelLeader
from bilevelrl.problems.bilevel_lqr.perturbed import PerturbedRegulator
from bilevelrl.problems.bilevel_lqr.released_leader import LinearNetworkCritic, NetworkLinearLeader
from tests.problems.game_cells import PARAMS, build, build_runs, env_steps, learner_of, make_setting

Floats = NDArray[np.float64]


@pytest.mark.parametrize("estimator", ["bc_hg", "naive_on", "naive_off"])
def test_quirks_of_the_lqr(estimator: str) -> None:
    built = build("bilevel_lqr", estimator, "published")
    assert isinstance(built.game, LinearGame)
    assert built.game.return_discount == 1.0
    assert isinstance(built.rule, Adam)
    assert built.rule.max_norm == (1.0 if estimator == "bc_hg" else None)
    np.testing.assert_array_equal(built.rule.step_size, 0.1)
    score = learner_of(built)
    assert (score.temperature is not None) == (estimator == "bc_hg")
    assert (score.leader_discount, score.follower_discount) == (0.99, 0.95)
    assert (score.random_updates, score.minibatch, score.influence_now) == (11, 64, True)
    assert (score.horizon, env_steps(built)) == (100, 400)
    assert score.control is None
    leader = score.leader
    assert isinstance(leader, NetworkLinearLeader)
    assert isinstance(leader.critic, LinearNetworkCritic)
    assert (leader.leader_samples, leader.policy_rate) == (32, 0.01)
    if estimator == "bc_hg":
        assert leader.follower_samples == 256
    np.testing.assert_array_equal(leader.critic.step_size, 0.1)
    assert leader.problem.leader_noise == 1e-3


@pytest.mark.parametrize("variant", ["corrected", "improved"])
def test_variants_of_the_lqr_without_quirks(variant: str) -> None:
    built = build("bilevel_lqr", "bc_hg", variant)
    assert isinstance(built.rule, Adam)
    assert built.rule.normalise == (variant == "improved")
    score = learner_of(built)
    assert isinstance(score.leader, ModelLeader)
    assert score.leader.form == ("pathwise" if variant == "improved" else "score")
    assert (score.minibatch, score.influence_now, score.replay) == (None, False, None)
    assert build("bilevel_lqr", "exact", "improved").rule.normalise  # type: ignore[attr-defined]
    assert not build("bilevel_lqr", "exact", "published").rule.normalise  # type: ignore[attr-defined]


#: What each ablation of the LQR changes, as the rule and the estimator that are built have it.
ABLATIONS: dict[str, dict[str, Any]] = {
    "clipped": {"norm": 1.0},
    "no_random_phase": {"random": 0},
    "clipped_no_random_phase": {"norm": 1.0, "random": 0},
}


ABLATED = [
    (estimator, setting)
    for estimator in PARAMS.block("bilevel_lqr").cells
    for setting in PARAMS.settings("bilevel_lqr", estimator)
    if isinstance(setting, GameSetting) and setting.study is not None
]


@pytest.mark.parametrize(
    ("estimator", "setting"), ABLATED, ids=[f"{name}-{each.study}" for name, each in ABLATED]
)
def test_ablations_of_the_lqr_change_one_thing(estimator: str, setting: GameSetting) -> None:
    def seen(own: Setting) -> dict[str, Any]:
        built = build_runs("bilevel_lqr", estimator, [own])
        assert isinstance(built.rule, Adam)
        return {"norm": built.rule.max_norm, "random": learner_of(built).random_updates}

    released = seen(make_setting("bilevel_lqr", estimator, "published"))
    assert released == {"norm": 1.0 if estimator == "bc_hg" else None, "random": 11}
    assert setting.study is not None
    assert seen(setting) == released | ABLATIONS[setting.study]


def test_every_estimator_of_the_lqr_that_is_released_is_ablated() -> None:
    # BC-HG is always clipped.
    expected = {
        (estimator, study)
        for estimator in ("bc_hg", "naive_on", "naive_off")
        for study in (ABLATIONS if estimator != "bc_hg" else ["no_random_phase"])
    }
    assert {(estimator, setting.study) for estimator, setting in ABLATED} == expected


def test_two_answers_of_the_lqr_share_the_episodes() -> None:
    made = build("bilevel_lqr", "perturbed", "corrected", env_steps_per_update=500).estimator
    assert isinstance(made, PerturbedRegulator)
    assert (made.num_episodes, made.two_sided, made.common) == (2, True, True)
    np.testing.assert_array_equal(made.epsilon, 0.01)
    np.testing.assert_array_equal(made.temperature, 0.1)
    with pytest.raises(ValueError, match="env_steps_per_update = 100: two answers need an episode"):
        build("bilevel_lqr", "perturbed", "corrected", env_steps_per_update=100)
