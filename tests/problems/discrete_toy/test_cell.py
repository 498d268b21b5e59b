"""Cells of the discrete toys: every variant has its own quirks."""

from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.ascent import Adam
from bilevelrl.core.exact import Exact
from bilevelrl.core.finite_settings import TruncatedFollower
from bilevelrl.core.seeding import Streams
from bilevelrl.core.settings import ExactFollower
from bilevelrl.core.training import ascend
from bilevelrl.core.zero_order import ZeroOrder
from bilevelrl.models.finite_game.critics import ExpectedBackup, NetworkCritic
from bilevelrl.models.finite_game.game import FiniteGame
from bilevelrl.models.finite_game.leader import FiniteLeader
from bilevelrl.models.finite_game.perturbed import PerturbedFollower
from bilevelrl.models.finite_game.policies import NetworkPolicy
from bilevelrl.models.finite_game.settings import FiniteCorrectedSetting
from bilevelrl.models.finite_game.soft_q_iteration import (
    SoftQIteration,
    TruncatedSoftQ,
    UniformFirst,
)
from bilevelrl.models.finite_game.unrolled import UnrolledFollower
from tests.problems.game_cells import (
    CASES,
    build,
    env_steps,
    learner_of,
    make_setting,
    shipped,
    train_runs,
)

Floats = NDArray[np.float64]

TOY = [case for case in CASES if case[0] != "bilevel_lqr"]


@pytest.mark.parametrize(("problem", "estimator", "variant"), TOY)
def test_quirks_of_the_toy(problem: str, estimator: str, variant: str) -> None:
    built, published = build(problem, estimator, variant), variant == "published"
    game = built.game
    assert isinstance(game, FiniteGame)
    assert isinstance(game.policy, NetworkPolicy)
    assert isinstance(game.exact, SoftQIteration)
    assert game.exact.order == ("published" if published else "correct")
    assert game.return_discount == (0.99 if problem == "discrete_toy_r1" else 1.0)
    assert game.game.follower_reward.max() == (1.0 if problem == "discrete_toy_r1" else 2.0)
    assert isinstance(built.rule, Adam)
    assert built.rule.max_norm is None
    if estimator in ("exact", "zero_order"):
        assert isinstance(built.estimator, Exact if estimator == "exact" else ZeroOrder)
        assert game.follower is game.exact
        return
    if estimator == "unrolled":
        assert isinstance(built.estimator, UnrolledFollower)
        np.testing.assert_array_equal(built.estimator.sweeps, 10)
        assert built.estimator.start_from == "answer"
        return
    if estimator == "perturbed":
        assert isinstance(built.estimator, PerturbedFollower)
        assert (built.estimator.num_episodes, built.estimator.two_sided) == (6, True)
        np.testing.assert_array_equal(built.estimator.epsilon, 0.01)
        assert built.estimator.common
        assert game.follower is game.exact
        return
    score = learner_of(built)
    assert isinstance(score.leader, FiniteLeader)
    assert isinstance(game.follower, UniformFirst) == published
    assert (score.temperature is not None) == (estimator == "bc_hg")
    assert score.random_updates == int(published)
    assert score.influence_now == published
    assert score.minibatch == (64 if published else None)
    assert (score.control is not None) == (not published)
    assert score.leader.baseline == ("sampled_follower_action" if published else "state")
    samples = 256 if published and estimator == "bc_hg" else None
    assert score.leader.follower_samples == samples
    assert score.horizon == 150
    assert env_steps(built) == 450
    if not published:
        assert isinstance(score.leader.critic, ExpectedBackup)
        (setting,) = (
            each
            for each in shipped(problem, estimator, variant)
            if isinstance(each, FiniteCorrectedSetting)
            and each.belief is None
            and isinstance(each.follower, ExactFollower)
        )
        assert (built.rule.decay < 1.0) == (setting.step_size_ratio < 1.0)
        return
    assert score.leader.policy_rate == 0.01
    critic = score.leader.critic
    assert isinstance(critic, NetworkCritic)
    assert critic.bootstrap == ("stackelberg" if estimator.startswith("bi_ac") else "modes")
    assert (critic.target_rate, critic.minibatch) == (0.01, 64)
    np.testing.assert_array_equal(critic.step_size, 1e-3)
    np.testing.assert_array_equal(built.rule.step_size, 1e-4)
    assert built.rule.decay == 1.0
    assert (score.replay is not None) == estimator.endswith("_off")


def test_the_first_answer_is_uniform_and_its_indirect_part_nothing() -> None:
    built = build("discrete_toy_r1", "bc_hg", "published")
    loop = ascend(
        built.game, built.estimator, Streams([0, 1]), rule=built.rule, num_updates=3,
        actor_steps=built.actor_steps,
    )  # fmt: skip
    for step in loop:
        first = step.update == 0
        assert (step.response.value == 0.0).all() == first
        assert (step.response.policy == 1.0 / 3.0).all() == first
        assert (step.estimate.indirect == 0.0).all() == first
        # Ten Adam steps of about 1e-4 each.
        moved = np.abs(step.next_theta - step.theta).max()
        assert 2e-4 < moved < 1.5e-3


@pytest.mark.parametrize("start", ["carry", "reset"])
def test_a_truncated_follower_keeps_the_variant_s_order(
    start: Literal["carry", "reset"],
) -> None:
    follower = TruncatedFollower(kind="truncated", start=start, policy_iterations=2)
    changes = {"follower": follower}
    built = build("discrete_toy_r1", "bc_hg", "published", **changes)
    assert isinstance(built.game, FiniteGame)
    assert isinstance(built.game.follower, UniformFirst)
    inner = built.game.follower.follower
    assert isinstance(inner, TruncatedSoftQ)
    assert (inner.order, inner.start_from) == ("published", start)
    setting = make_setting("discrete_toy_r1", "bc_hg", "published", **changes)
    (found,) = train_runs("discrete_toy_r1", "bc_hg", [setting], [0])
    assert (found["follower_kl"] > 0.01).all()
    assert all(np.isfinite(values).all() for values in found.values())


def test_two_answers_need_an_episode_each() -> None:
    odd = build("discrete_toy_r1", "perturbed", "corrected", env_steps_per_update=450).estimator
    assert isinstance(odd, PerturbedFollower)
    assert odd.num_episodes == 1
    with pytest.raises(ValueError, match="env_steps_per_update = 150: two answers need an episode"):
        build("discrete_toy_r1", "perturbed", "corrected", env_steps_per_update=150)
