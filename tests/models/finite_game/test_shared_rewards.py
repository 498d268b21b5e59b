"""Negative controls: r_L = c r_F leaves -c β dH/dθ of the indirect term, H the follower's entropy.

And r_L = r_F - β log π leaves nothing, sample by sample: there A_L(s, a, b) = 0.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.cell import Group
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.model_based import zero_order
from bilevelrl.core.perturbed_follower import derivative
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.seeding import Streams
from bilevelrl.models.finite_game.envelope import entropy_indirect
from bilevelrl.models.finite_game.estimators import bc_hg, naive_on, released_covariance
from bilevelrl.models.finite_game.exact import game_hypergradient
from bilevelrl.models.finite_game.game import FiniteGame
from bilevelrl.models.finite_game.markov_game import GameSizes, MarkovGame, leader_return
from bilevelrl.models.finite_game.random_game import mixed_rewards, random_game
from bilevelrl.models.finite_game.settings import (
    FiniteCorrectedSetting,
    FiniteCovarianceSetting,
    FiniteReleasedSetting,
    FiniteZeroOrderSetting,
    GameBelief,
)
from bilevelrl.models.finite_game.soft_q_iteration import Order, SoftQIteration
from tests.games import random_policies
from tests.problems.game_points import Kind, Point, judge, make_point, replicate

Floats = NDArray[np.float64]
GAMMA, BETA = 0.9, 0.5
GAME = random_game(60000, GameSizes(4, 3, 2, GAMMA, GAMMA, 100))
LEADER = random_policies(3, 4, 3)
TEMPERATURE = np.array([0.1, 0.5, 2.0])
SHARED = [-1.0, 1.0]
THETA = 0.7 * np.random.default_rng(0).standard_normal((1, 12))


def answer(leader: Floats, temperature: Floats, order: Order = "correct") -> BestResponse:
    follower = SoftQIteration(GAME, temperature, 1e-12, 200, order)
    return follower.respond(leader, follower.start(len(leader)))


def soft_game(leader_reward: Floats, policy: Floats, temperature: float) -> MarkovGame:
    """The leader is paid its reward and the follower's entropy bonus, at a policy held fixed."""
    return replace(GAME, leader_reward=leader_reward - temperature * np.log(policy))


def entropy(leader: Floats, policies: Floats, bonus: Floats) -> Floats:
    """E[Σ γ^t h] without end of policies (N, ...), for h (N, S, A, B) or one of all."""
    rewards = np.broadcast_to(bonus, policies.shape)
    return np.array(
        [
            leader_return(
                replace(GAME, leader_reward=reward), f[None], pi[None],
                discount=GAMMA, horizon=None,
            )[0]
            for f, pi, reward in zip(leader, policies, rewards, strict=True)
        ]
    )  # fmt: skip


@pytest.mark.parametrize("alignment", SHARED)
@pytest.mark.parametrize("horizon", [None, 100])
def test_the_indirect_term_is_that_of_the_entropy(alignment: float, horizon: int | None) -> None:
    response = answer(LEADER, TEMPERATURE)
    found = game_hypergradient(
        mixed_rewards(GAME, alignment), LEADER, response, TEMPERATURE,
        discount=GAMMA, horizon=horizon, order="correct",
    ).indirect  # fmt: skip
    own = entropy_indirect(GAME, LEADER, response, TEMPERATURE, horizon=horizon)
    expected = -alignment * TEMPERATURE[:, None, None] * own
    # What an episode of 100 steps leaves out is of the order of γ^100.
    np.testing.assert_allclose(
        found, expected, rtol=0.0, atol=(1e-9 if horizon is None else 1e-4) * np.abs(found).max()
    )
    assert (np.linalg.norm(found, axis=(1, 2)) > 1e-3).all()


def test_the_entropy_part_is_what_differences_of_entropies_say() -> None:
    # dH/dθ of the follower that answers, less that of one that goes on as it did.
    response = answer(LEADER, TEMPERATURE)
    own = entropy_indirect(GAME, LEADER, response, TEMPERATURE, horizon=None)
    generator = np.random.default_rng(3)
    for run, beta in enumerate(TEMPERATURE):
        directions = generator.standard_normal((4, 4, 3))
        directions -= directions.mean(axis=2, keepdims=True)
        directions *= LEADER[run].min() / np.abs(directions).max()
        fixed, step = np.repeat(response.policy[run][None], 4, axis=0), 1e-3
        reacted, kept = [], []
        for sign in (1.0, -1.0):
            leader = LEADER[run] + sign * step * directions
            policy = answer(leader, np.full(4, beta)).policy
            reacted.append(entropy(leader, policy, -np.log(policy)))
            kept.append(entropy(leader, fixed, -np.log(fixed)))
        slope = (reacted[0] - reacted[1] - kept[0] + kept[1]) / (2.0 * step)
        exact = (own[run] * directions).sum(axis=(1, 2))
        np.testing.assert_allclose(exact, slope, rtol=1e-4, atol=1e-5 * np.abs(exact).max())


def test_a_leader_that_is_paid_the_entropy_too_has_no_indirect_term() -> None:
    response = answer(LEADER, TEMPERATURE)
    for run, beta in enumerate(TEMPERATURE):
        own = slice(run, run + 1)
        policy = response.policy[run]
        alone = replace(
            response, policy=response.policy[own], value=response.value[own],
            accuracy=response.accuracy[own], iterations=response.iterations[own],
        )  # fmt: skip
        found = game_hypergradient(
            soft_game(GAME.follower_reward, policy, beta), LEADER[own], alone, TEMPERATURE[own],
            discount=GAMMA, horizon=None, order="correct",
        )  # fmt: skip
        assert np.abs(found.indirect).max() < 1e-9 * np.abs(found.direct).max()


def test_entropy_rises_with_theta_as_the_direct_part_does_with_temperature() -> None:
    # V_soft has second derivatives that commute: d/df H = d/dβ of ∂V_soft/∂f.
    beta, step = np.array([BETA]), 1e-4
    leader = LEADER[:1]

    def slope(temperature: Floats) -> Floats:
        response = answer(leader, temperature)
        game = soft_game(GAME.follower_reward, response.policy[0], float(temperature[0]))
        return game_hypergradient(
            game, leader, response, temperature, discount=GAMMA, horizon=None, order="correct"
        ).direct

    response = answer(leader, beta)
    surprise = replace(GAME, leader_reward=-np.log(response.policy[0]))
    found = game_hypergradient(
        surprise, leader, response, beta, discount=GAMMA, horizon=None, order="correct"
    )
    quotient = (slope(beta + step) - slope(beta - step)) / (2.0 * step)
    np.testing.assert_allclose(found.direct + found.indirect, quotient, rtol=1e-5, atol=1e-6)


def test_an_order_that_is_no_best_response_is_found_out() -> None:
    # The released code's follower maximises no soft return, and the theorem does not hold.
    response = answer(LEADER, TEMPERATURE, "published")
    game = mixed_rewards(GAME, 1.0)
    found = game_hypergradient(
        game, LEADER, response, TEMPERATURE, discount=GAMMA, horizon=None, order="published"
    ).indirect
    own = -TEMPERATURE[:, None, None] * entropy_indirect(
        GAME, LEADER, response, TEMPERATURE, horizon=None
    )
    error = np.linalg.norm(found - own, axis=(1, 2)) / np.linalg.norm(found, axis=(1, 2))
    assert (error > 0.2).all(), error


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
