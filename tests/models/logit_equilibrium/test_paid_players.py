"""Paying all players of an equilibrium is no perturbed follower, unless they share a potential."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.perturbed_follower import derivative
from bilevelrl.models.logit_equilibrium.equilibrium import Equilibrium, equilibrium
from bilevelrl.models.logit_equilibrium.hypergradient import hypergradient
from bilevelrl.models.logit_equilibrium.payments import Payments
from bilevelrl.models.logit_equilibrium.stochastic_game import StochasticGame
from tests.models.logit_equilibrium.random_games import matrix_game

Floats = NDArray[np.float64]
BETA = np.full((1, 2), 0.7)
THETA = np.array([[0.3, -0.4]])
#: For the first action of either player, at no cost.
PAYMENTS = Payments(np.array([0, 1]), np.zeros(2, dtype=int), np.zeros(2, dtype=int), 2.0)
DRAW = np.random.default_rng(5)
COMMON, OTHER, LEADER = DRAW.normal(size=(3, 3, 3))


def answer(game: StochasticGame, epsilon: Floats) -> Equilibrium:
    """Of players who are all paid ε of the leader's reward."""
    paid = replace(game, reward=game.reward + epsilon[0] * game.leader_reward)
    return equilibrium(paid, PAYMENTS.table(THETA, (2, 1, 3)), BETA, tolerance=1e-12)


def error(game: StochasticGame, epsilon: float) -> float:
    """Relative error of the two-sided quotient, whose direct part is nothing."""

    def moved(share: Floats) -> Floats:
        # One step: how often either player takes the action that θ pays for.
        chosen = answer(game, share).policy[:, 0].transpose(0, 2, 1, 3)
        return PAYMENTS.pulled_back(THETA, chosen)

    found = derivative(moved, np.array([epsilon]))
    plain = answer(game, np.zeros(1))
    truth = hypergradient(plain, PAYMENTS, THETA).total
    return float(np.linalg.norm(found - truth) / np.linalg.norm(truth))


def test_players_with_one_reward_answer_as_one_follower_does() -> None:
    game = matrix_game(COMMON, COMMON, LEADER)
    assert error(game, 0.003) < 1e-4
    assert error(game, 0.02) / error(game, 0.01) == pytest.approx(4.0, rel=0.05)


def test_other_players_leave_a_bias_that_no_payment_removes() -> None:
    game = matrix_game(COMMON, OTHER, LEADER)
    errors = [error(game, epsilon) for epsilon in (0.01, 0.001)]
    assert errors[1] > 0.1
    assert errors[0] == pytest.approx(errors[1], rel=1e-2)
