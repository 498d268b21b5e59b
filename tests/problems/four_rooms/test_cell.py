"""What the names of FourRooms' cells stand for: kernels, quirks, critic and belief."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bilevelrl.core.cell import Context
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.validation import ConfigError
from bilevelrl.models.tabular.model import TabularModel
from bilevelrl.models.tabular.sarsa import Sarsa
from bilevelrl.problems.four_rooms.cell import build
from bilevelrl.problems.four_rooms.settings import ESTIMATORS, FourRoomsSetting
from bilevelrl.runs.chunks import maker
from bilevelrl.runs.params import read_params

PARAMS = read_params(Path(__file__).parents[3] / "params.yaml")
PROBLEM = "four_rooms"
CONTEXT = Context(
    PARAMS.block(PROBLEM).constants,
    PARAMS.problem(PROBLEM).followers,
    PARAMS.block(PROBLEM).training,
)
CASES = sorted(ESTIMATORS)
VARIANTS = ("published", "corrected")
MODEL_BASED = ("exact", "zero_order", "amd", "cma_es", "unrolled")
FAIL = 0.33


def make(estimator: str, variant: str, **changes: Any) -> Any:
    """Two runs, with numbers for whatever the estimator needs."""
    numbers = {
        "env_steps_per_update": 100, "num_envs": 2, "critic": {"kind": "sarsa", "step_size": 0.3},
        "epsilon": 0.01, "two_sided": True, "sweeps": 3, "start": "answer",
        "radius": 0.1, "oracle_steps_per_update": 200, "step_size": 0.1, "temperature": 0.003,
        "spread": 0.5, "population_size": 4,
        "model": {
            "kind": "identified", "information": "actions", "target_visits": 20, "growth": 0.1,
            "curiosity": 0.5,
        },
    }  # fmt: skip
    known = ESTIMATORS[estimator, variant]
    entry = {key: value for key, value in numbers.items() if known.has(key)}
    entry |= {"variant": variant, "num_seeds": 2, **changes}
    (setting,) = PARAMS.block(PROBLEM).expanded(estimator, entry, "cells")
    assert isinstance(setting, FourRoomsSetting)
    return build(maker(PROBLEM, estimator, setting), [setting] * 2, CONTEXT)


def intended(model: TabularModel) -> float:
    """How often an action does what it says, which must be the same everywhere."""
    chance = model.probability[:, np.arange(4), np.arange(4)]
    assert np.ptp(chance) < 1e-12
    return float(chance[0, 0])


@pytest.mark.parametrize(("estimator", "variant"), CASES)
def test_samples_come_from_the_simulator(estimator: str, variant: str) -> None:
    # The released code plans with another slip than it samples with; samples are always the same.
    made = make(estimator, variant).estimator
    if estimator == "perturbed":
        half = made.watch.sampling.rollout
        assert (made.watch.env_steps, half.num_envs, half.num_steps) == (50, 2, 25)
        made = made.watch
    sampling = getattr(made, "sampler", getattr(made, "sampling", None))
    rollouts = [getattr(sampling, "rollout", None), getattr(made, "oracle", None)]
    sampled = [rollout for rollout in rollouts if rollout is not None]
    expected = dict.fromkeys(MODEL_BASED, 0) | {"hpgd_oracle": 2}
    assert len(sampled) == expected.get(estimator, 1)
    for rollout in sampled:
        assert intended(rollout.model) == pytest.approx(1.0 - FAIL)
        assert rollout.max_episode_steps == 200
    if sampled:
        assert (sampled[0].num_envs, sampled[0].env_steps, sampled[0].uniform_starts) == (
            2, 50 if estimator == "perturbed" else 100, False,
        )  # fmt: skip
    if estimator == "hpgd_oracle":
        assert (sampled[1].env_steps, sampled[1].uniform_starts) == (200, True)
        assert sampled[1].consumer != sampled[0].consumer


@pytest.mark.parametrize("variant", VARIANTS)
def test_plans_are_made_with_the_planner(variant: str) -> None:
    slip = {"published": 4.0 / 3.0 * FAIL, "corrected": FAIL}[variant]
    truncated = {"follower": {"kind": "truncated", "start": "carry", "policy_iterations": 2}}
    learning = {"follower": {"kind": "soft_q", "start": "carry", "steps": 50}}
    for changes in ({}, truncated, learning):
        game = make("naive", variant, **changes).game
        assert intended(game.exact.model) == pytest.approx(1.0 - slip)
        assert intended(game.problem.planner) == pytest.approx(1.0 - slip)
        assert intended(game.problem.simulator) == pytest.approx(1.0 - FAIL)
        # A follower that learns, learns from samples.
        own = FAIL if changes is learning else slip
        assert intended(game.follower.model) == pytest.approx(1.0 - own)


def critic_of(made: Any) -> Sarsa:
    critic = made.learner.critic if isinstance(made, Sampled) else made.critic
    assert isinstance(critic, Sarsa)
    return critic


@pytest.mark.parametrize("estimator", ["bc_hg", "hpgd_sa"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_released_critic_starts_at_random_and_ends_with_every_cut(
    estimator: str, variant: str
) -> None:
    critic = critic_of(make(estimator, variant).estimator)
    expected = {"published": ("termination", 1.0), "corrected": ("bootstrap", 0.0)}[variant]
    assert (critic.cuts, critic.initial_spread) == expected
    np.testing.assert_array_equal(critic.step_size, 0.3)
    assert critic.discount == 0.99


@pytest.mark.parametrize(("estimator", "variant"), CASES)
def test_averages_are_the_variant_s(estimator: str, variant: str) -> None:
    made = make(estimator, variant).estimator
    if estimator in MODEL_BASED or variant == "improved":
        return
    made = getattr(made, "watch", made)
    expected = {
        "published": ("every_visit", "finished_episodes"),
        "corrected": ("episodes", "started_episodes"),
    }[variant]
    assert (made.sampling.averaging, made.sampling.normalisation) == expected


@pytest.mark.parametrize("information", ["rewards", "actions"])
def test_a_watching_leader_remembers_and_smooths_as_it_is_told(information: str) -> None:
    # Seen again and again, one batch after the other fades; what was never played is not ruled out.
    own = {"kind": "frequencies", "information": information}
    built = make("bc_hg", "corrected", belief={**own, "forgetting_factor": 0.75, "smoothing": 0.1})
    belief = built.estimator.belief
    assert (belief.forgetting_factor, belief.smoothing) == (0.75, 0.1)
    assert (critic_of(built.estimator).cuts, built.estimator.learner.discount) == (
        "bootstrap", 0.99,
    )  # fmt: skip
    plain = make("bc_hg", "corrected", belief=own).estimator.belief
    assert (plain.forgetting_factor, plain.smoothing) == (0.0, 0.0)


def test_an_unrolled_follower_takes_the_sweeps_that_the_setting_says() -> None:
    made = make("unrolled", "corrected", start="zero").estimator
    np.testing.assert_array_equal(made.sweeps, 3)
    assert made.start_from == "zero"
    np.testing.assert_array_equal(made.temperature, 0.003)


def test_two_answers_share_the_transitions() -> None:
    expected = "env_steps_per_update = 50 must be a multiple of 4: two answers share it"
    with pytest.raises(ConfigError, match=expected):
        make("perturbed", "corrected", env_steps_per_update=50)
