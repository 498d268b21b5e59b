"""Negative controls: r_L = c r_F leaves -c β dH/dθ of the indirect term, H the follower's entropy.

And r_L = r_F - β log π leaves nothing, sample by sample: there A_L(s, a, b) = 0.
"""

from dataclasses import replace

import numpy as np
import pytest

from bilevelrl.models.finite_game.envelope import entropy_indirect
from bilevelrl.models.finite_game.exact import game_hypergradient
from bilevelrl.models.finite_game.random_game import mixed_rewards
from tests.models.finite_game.shared_reward_games import (
    BETA,
    GAME,
    GAMMA,
    LEADER,
    SHARED,
    TEMPERATURE,
    Floats,
    answer,
    entropy,
    soft_game,
)


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
