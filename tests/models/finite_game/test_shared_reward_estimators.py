"""Estimators against the closed form of `test_shared_rewards`, where rewards are shared."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bilevelrl.core.cell import Group
from bilevelrl.core.model_based import zero_order
from bilevelrl.core.perturbed_follower import derivative
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.seeding import Streams
from bilevelrl.models.finite_game.envelope import entropy_indirect
from bilevelrl.models.finite_game.estimators import bc_hg, naive_on, released_covariance
from bilevelrl.models.finite_game.exact import game_hypergradient
from bilevelrl.models.finite_game.game import FiniteGame
from bilevelrl.models.finite_game.random_game import mixed_rewards
from bilevelrl.models.finite_game.settings import (
    FiniteCorrectedSetting,
    FiniteCovarianceSetting,
    FiniteReleasedSetting,
    FiniteZeroOrderSetting,
    GameBelief,
)
from bilevelrl.models.finite_game.soft_q_iteration import SoftQIteration
from tests.models.finite_game.shared_reward_games import (
    BETA,
    GAME,
    GAMMA,
    SHARED,
    THETA,
    Floats,
    answer,
    soft_game,
)
from tests.problems.game_points import Kind, Point, judge, make_point, replicate


def shared_point(alignment: float) -> Point:
    """One θ, with the closed form in place of the indirect part."""
    game = mixed_rewards(GAME, alignment)
    made = make_point(game, THETA, BETA)
    leader = made.policy.probabilities(THETA)
    own = entropy_indirect(GAME, leader, made.response, np.array([BETA]), horizon=None)
    indirect = -alignment * BETA * made.policy.pull_back(THETA, own * leader)[0]
    return replace(made, indirect=indirect)


@pytest.fixture(scope="module", params=SHARED, ids=["zero-sum", "common-interest"])
def point(request: pytest.FixtureRequest) -> Point:
    return shared_point(request.param)


KINDS = {
    "plain": Kind(), "control": Kind(control=True),
    "as-published": Kind(minibatch=256, influence_now=True),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_mean_of_bc_hg_is_the_closed_form(point: Point, kind: Kind) -> None:
    samples = replicate(point, kind, runs=2000, episodes=5).indirect
    verdict = judge(samples, point.indirect)
    assert verdict.p_value > 1e-4, f"biased: {verdict}"
    # Power: a sign error would be found.
    wrong = judge(samples, -point.indirect)
    assert wrong.p_value < 1e-6, wrong


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_bc_hg_has_nothing_to_say_where_the_leader_is_paid_the_entropy_too(kind: Kind) -> None:
    plain = make_point(mixed_rewards(GAME, 1.0), THETA, BETA)
    soft = soft_game(GAME.follower_reward, plain.response.policy[0], BETA)
    point = make_point(soft, THETA, BETA)
    found, usual = (replicate(each, kind, runs=500, episodes=5) for each in (point, plain))
    # Not on average alone: A_L is zero but for the end of the episode.
    assert np.abs(found.indirect).max() < 1e-2 * np.abs(usual.indirect).max()
    if kind == Kind():
        first = np.linalg.norm(found.indirect, axis=1).max()
        assert first < 1e-3 * np.linalg.norm(usual.indirect, axis=1).mean()


def solved(point: Point, runs: int) -> tuple[FiniteGame, Floats]:
    beta = np.full(runs, point.temperature)
    exact = SoftQIteration(point.game, beta, 1e-11, 200)
    game = FiniteGame(point.game, point.policy, exact, exact, GAMMA)
    return game, np.repeat(point.theta, runs, axis=0)


COMMON: dict[str, Any] = {
    "temperature": BETA, "step_size": 1.0, "first_seed": 0, "num_seeds": 1, "num_updates": 2,
    "returns": "discounted",
}  # fmt: skip
SAMPLED = COMMON | {"random_updates": 0, "actor_steps": 1, "env_steps_per_update": 4000}
RELEASED = SAMPLED | {
    "variant": "published", "critic": {"kind": "network", "steps": 5, "step_size": 0.001},
    "target_rate": 0.05, "minibatch": 256,
}  # fmt: skip


def estimates(point: Point, make: Any, setting: Any, runs: int) -> tuple[Floats, Floats]:
    """Direct and indirect parts of second estimates, (runs, D) each."""
    game, theta = solved(point, runs)
    estimator: Any = make(Group([setting] * runs, game))
    streams = Streams(range(runs))
    response = game.respond(theta, game.follower_memory(runs, streams), streams)
    memory = estimator.start(streams)
    for _ in range(2):
        estimate = estimator.estimate(theta, response, memory, streams)
    scale = estimator.learner.scale if isinstance(estimator, Sampled) else 1.0
    return scale * estimate.direct, scale * estimate.indirect


@pytest.mark.parametrize("belief", [None, "rewards"])
def test_bc_hg_with_learned_parts_comes_close_to_the_closed_form(
    point: Point, belief: str | None
) -> None:
    known = GameBelief(kind="frequencies", information="rewards") if belief else None
    setting = FiniteCorrectedSetting(
        **SAMPLED, variant="corrected", control_variate=True, belief=known
    )
    _, indirect = estimates(point, bc_hg, setting, 600)
    error = np.linalg.norm(indirect.mean(axis=0) - point.indirect)
    noise = np.sqrt(indirect.var(axis=0).sum() / len(indirect))
    assert noise < 0.1 * np.linalg.norm(point.indirect)
    assert error < 0.25 * np.linalg.norm(point.indirect)


def test_the_published_critic_makes_much_of_what_is_little() -> None:
    # It bootstraps from modes: what the closed form bounds is overestimated, plainly seen.
    point, runs = shared_point(1.0), 100
    critic = {"kind": "network", "steps": 50, "step_size": 0.001}
    own = RELEASED | {"env_steps_per_update": 500, "critic": critic, "target_rate": 0.2}
    setting = FiniteCovarianceSetting(**own, follower_samples=10)
    (game, theta), streams = solved(point, runs), Streams(range(runs))
    estimator: Any = released_covariance(Group([setting] * runs, game))
    response = game.respond(theta, game.follower_memory(runs, streams), streams)
    memory = estimator.start(streams)
    found = [estimator.estimate(theta, response, memory, streams).indirect for _ in range(40)]
    samples = estimator.learner.scale * np.mean(found[-10:], axis=0)
    noise = np.sqrt(samples.var(axis=0).sum() / runs)
    # Measured: 4.5 times as long, less noise of .6.
    assert np.linalg.norm(samples.mean(axis=0)) - noise > 2.5 * np.linalg.norm(point.indirect)


def test_naive_lacks_the_closed_form_and_nothing_else(point: Point) -> None:
    samples = replicate(point, Kind(indirect=False), runs=2000, episodes=5)
    np.testing.assert_array_equal(samples.indirect, 0.0)
    assert judge(samples.direct, point.exact - point.indirect).p_value > 1e-4
    assert judge(samples.direct, point.direct).p_value > 1e-4
    setting = FiniteReleasedSetting(**RELEASED)
    assert (estimates(point, naive_on, setting, 2)[1] == 0.0).all()


def test_mean_of_zero_order_is_direct_part_and_closed_form(point: Point) -> None:
    setting = FiniteZeroOrderSetting(**COMMON, variant="corrected", radius=1e-4)
    direct, both = estimates(point, zero_order, setting, 20_000)
    assert (direct == 0.0).all()
    # Z Zᵀ g leaves the logits' gauge, in which dJ is nothing.
    samples = (both.reshape(-1, 4, 3) - both.reshape(-1, 4, 3).mean(axis=2, keepdims=True)).reshape(
        both.shape
    )
    assert judge(samples, point.exact).p_value > 1e-4
    assert judge(samples, 0.9 * point.exact).p_value < 1e-6


def test_a_perturbed_follower_says_the_same(point: Point) -> None:
    # Paid ε c r_F, it answers as one whose temperature is β / (1 + ε c).
    sign = float(np.sign((point.game.leader_reward * GAME.follower_reward).sum()))
    leader = point.policy.probabilities(point.theta)

    def slope(epsilon: Floats) -> Floats:
        # ∂/∂f of the follower's soft return, paid included, at its answer.
        factor = 1.0 + sign * float(epsilon[0])
        beta = np.array([BETA / factor])
        response = answer(leader, beta)
        game = soft_game(factor * GAME.follower_reward, response.policy[0], BETA)
        direct = game_hypergradient(
            game, leader, response, beta, discount=GAMMA, horizon=None, order="correct"
        ).direct
        return point.policy.pull_back(point.theta, direct * leader)

    found = derivative(slope, np.array([0.03]))[0]
    # Envelope theorem: d/dε of ∂V_ε/∂θ is all of dJ/dθ.
    expected = point.direct + point.indirect
    error = np.linalg.norm(found - expected)
    assert error < 0.02 * np.linalg.norm(point.indirect)
