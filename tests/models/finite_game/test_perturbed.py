"""The perturbed follower of finite games against the exact hypergradient."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.follower import BestResponse
from bilevelrl.core.seeding import Streams
from bilevelrl.models.finite_game.exact import game_hypergradient
from bilevelrl.models.finite_game.markov_game import MarkovGame, leader_return
from bilevelrl.models.finite_game.paid_follower import paid_answer
from bilevelrl.models.finite_game.perturbed import PerturbedFollower
from bilevelrl.models.finite_game.policies import TabularPolicy
from bilevelrl.problems.discrete_toy.problem import discrete_toy
from tests.games import random_game
from tests.models.finite_game.hypergradients import best_response

Floats = NDArray[np.float64]
#: γ_L = .95 over 20 steps, and γ_F = .9: what is paid depends on the step.
RANDOM = random_game()
CASES = {
    "random": (RANDOM, 0.2, np.random.default_rng(0).standard_normal((3, 12))),
    "long": (replace(RANDOM, leader_discount=0.9, max_episode_steps=200), 0.5,
             np.random.default_rng(1).standard_normal((2, 12))),
    "undiscounted": (replace(RANDOM, leader_discount=1.0, max_episode_steps=6), 0.5,
                     np.random.default_rng(2).standard_normal((2, 12))),
    "toy 1": (discrete_toy(1.0), 0.05, np.random.default_rng(3).standard_normal((3, 6))),
    "toy 2": (discrete_toy(2.0), 0.05, np.random.default_rng(4).standard_normal((3, 6))),
}  # fmt: skip


def answered(game: MarkovGame, theta: Floats, beta: float) -> tuple[TabularPolicy, BestResponse]:
    policy = TabularPolicy(game.num_states, game.num_leader_actions)
    leader = policy.probabilities(theta)
    return policy, best_response(game, leader, np.full(len(theta), beta), "correct")


def exact(game: MarkovGame, theta: Floats, beta: float) -> Floats:
    policy, answer = answered(game, theta, beta)
    leader = policy.probabilities(theta)
    found = game_hypergradient(
        game, leader, answer, np.full(len(theta), beta),
        discount=game.leader_discount, horizon=game.max_episode_steps, order="correct",
    )  # fmt: skip
    return policy.pull_back(theta, (found.direct + found.indirect) * leader)


def errors(case: str, epsilon: float, two_sided: bool) -> Floats:
    """Relative ones with exact means, shape (R,)."""
    game, beta, theta = CASES[case]
    policy, answer = answered(game, theta, beta)
    shares, streams = np.full(len(theta), epsilon), Streams(range(len(theta)))
    estimator = PerturbedFollower(
        game, policy, np.full(len(theta), beta), shares, two_sided=two_sided
    )
    found = estimator.estimate(theta, answer, estimator.start(streams), streams)
    assert found.env_steps == 0
    truth = exact(game, theta, beta)
    norm = np.linalg.norm(truth, axis=1)
    relative: Floats = np.linalg.norm(found.gradient - truth, axis=1) / norm
    return relative


def unit(case: str) -> float:
    """Of ε: β over the leader's largest reward."""
    game, beta, _ = CASES[case]
    return beta / float(np.abs(game.leader_reward).max())


@pytest.mark.parametrize("case", CASES)
def test_error_of_a_two_sided_quotient(case: str) -> None:
    assert (errors(case, 0.03 * unit(case), two_sided=True) < 0.02).all()


@pytest.mark.parametrize(("two_sided", "order"), [(True, 2), (False, 1)])
@pytest.mark.parametrize("case", CASES)
def test_error_vanishes_at_its_order(case: str, two_sided: bool, order: int) -> None:
    large, small = (errors(case, share * unit(case), two_sided) for share in (0.02, 0.01))
    np.testing.assert_allclose(large / small, 2.0**order, rtol=0.03)


def test_a_follower_without_pay_answers_as_always() -> None:
    game, beta, theta = CASES["random"]
    policy, answer = answered(game, theta, beta)
    runs = len(theta)
    leader = policy.probabilities(theta)
    paid = paid_answer(game, leader, np.full(runs, beta), np.zeros(runs), answer.value)
    for t in (0, 7, 19):
        np.testing.assert_allclose(paid.policy[:, t], answer.policy, atol=1e-9)
        np.testing.assert_allclose(paid.value[:, t], answer.value, atol=1e-9)


@pytest.mark.parametrize("two_sided", [True, False])
def test_sampled_means_are_those_of_exact_ones(two_sided: bool) -> None:
    game, beta, theta = CASES["long"]
    runs, epsilon = 400, 0.05
    many = np.tile(theta[:1], (runs, 1))
    policy, answer = answered(game, many, beta)
    temperature, shares = np.full(runs, beta), np.full(runs, epsilon)

    def estimate(num_episodes: int | None, common: bool) -> Floats:
        estimator = PerturbedFollower(
            game, policy, temperature, shares, num_episodes, two_sided, common
        )
        found = estimator.estimate(many, answer, {}, Streams(range(runs)))
        assert found.env_steps == 2 * 200 * (num_episodes or 0)
        returns = found.leader_return_sampled
        if num_episodes is None:
            assert np.isnan(returns).all()
        else:
            score = (returns.mean() - expected_return) / returns.std() * np.sqrt(runs)
            assert abs(score) < 4.0
        return found.gradient

    leader = policy.probabilities(many[:1])
    (expected_return,) = leader_return(
        game, leader, answer.policy[:1], discount=0.9, horizon=game.max_episode_steps
    )
    expected, spread = estimate(None, True)[0], []
    for common in (True, False):
        off = estimate(4, common) - expected
        score = np.abs(off.mean(axis=0)) / off.std(axis=0) * np.sqrt(runs)
        assert score[off.std(axis=0) > 1e-9].max() < 4.0
        spread.append(float(off.var(axis=0).sum()))
    assert spread[0] < 0.5 * spread[1]  # common random numbers


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"epsilon = 0\.0 of run 0: it must be positive"):
        errors("random", 0.0, two_sided=True)
    game, beta, theta = CASES["random"]
    myopic = replace(game, follower_discount=0.0)
    policy, answer = answered(myopic, theta, beta)
    share = np.full(len(theta), 0.1)
    with pytest.raises(ValueError, match=r"follower_discount = 0, leader_discount = 0\.95: no pay"):
        PerturbedFollower(myopic, policy, np.full(len(theta), beta), share).estimate(
            theta, answer, {}, Streams(range(len(theta)))
        )
