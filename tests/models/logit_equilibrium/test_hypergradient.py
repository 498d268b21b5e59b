import numpy as np
import pytest

from bilevelrl.models.logit_equilibrium.equilibrium import couplings
from bilevelrl.models.logit_equilibrium.hypergradient import (
    by_sensitivities,
    evaluate,
    hypergradient,
    sensitivities,
)
from tests.models.logit_equilibrium.random_games import (
    first_action_payments,
    random_game,
    random_theta,
    solved,
)

CASES = [(2, 3, 0.5), (3, 2, 0.35), (2, 4, 1.5)]


def _differences(function, theta, step=1e-5):
    columns = []
    for place in range(theta.shape[1]):
        moved = np.zeros_like(theta)
        moved[:, place] = step
        columns.append((function(theta + moved) - function(theta - moved)) / (2.0 * step))
    return np.stack(columns, axis=-1)


@pytest.mark.parametrize(("players", "actions", "beta"), CASES)
def test_the_coupled_hypergradient_is_the_slope_of_the_return(players, actions, beta):
    game = random_game(players, actions)
    payments = first_action_payments(game)
    theta = random_theta(payments, 2)

    def returns(at):
        return evaluate(solved(game, payments, at, beta), payments.cost).leader_return

    exact = hypergradient(solved(game, payments, theta, beta), payments, theta)
    slope = _differences(returns, theta)
    error = np.linalg.norm(exact.total - slope, axis=1) / np.linalg.norm(slope, axis=1)
    assert (error < 1e-6).all()


@pytest.mark.parametrize(("players", "actions", "beta"), CASES)
def test_sensitivities_are_the_slopes_of_the_players_values(players, actions, beta):
    game = random_game(players, actions)
    payments = first_action_payments(game)
    theta = random_theta(payments, 1)
    reached = solved(game, payments, theta, beta)
    slope = _differences(lambda at: solved(game, payments, at, beta).quality, theta)
    np.testing.assert_allclose(sensitivities(reached, payments, theta), slope, atol=1e-7)
    later = (reached.policy[..., None] * sensitivities(reached, payments, theta)).sum(axis=4)
    of_value = _differences(lambda at: solved(game, payments, at, beta).value, theta)
    np.testing.assert_allclose(later, of_value[:, :-1], atol=1e-7)


@pytest.mark.parametrize(("players", "actions", "beta"), CASES)
def test_adjoint_and_sensitivities_agree(players, actions, beta):
    game = random_game(players, actions)
    payments = first_action_payments(game)
    theta = random_theta(payments, 2)
    reached = solved(game, payments, theta, beta)
    one = hypergradient(reached, payments, theta)
    two = by_sensitivities(reached, payments, theta)
    np.testing.assert_allclose(one.indirect, two.indirect, rtol=0, atol=1e-13)
    np.testing.assert_allclose(one.direct, two.direct, rtol=0, atol=1e-13)


def test_the_direct_part_is_the_slope_while_nobody_answers():
    game = random_game(2, 3)
    payments = first_action_payments(game)
    theta = random_theta(payments, 1)
    reached = solved(game, payments, theta, 0.5)

    def returns(at):
        # Values of other payments to players who play as before.
        table = payments.table(at, reached.payments.shape[1:])
        moved = type(reached)(
            game, table, reached.temperature, reached.policy, reached.quality, reached.value,
            reached.residual, reached.steps,
        )  # fmt: skip
        return evaluate(moved, payments.cost).leader_return

    direct = hypergradient(reached, payments, theta).direct
    np.testing.assert_allclose(direct, _differences(returns, theta), atol=1e-9)
    free = first_action_payments(game, cost=0.0)
    assert not hypergradient(reached, free, theta).direct.any()


def test_without_coupling_the_direction_is_another_one_unless_players_do_not_matter():
    game = random_game(2, 3)
    payments = first_action_payments(game)
    theta = random_theta(payments, 1)
    reached = solved(game, payments, theta, 0.3)
    coupled = hypergradient(reached, payments, theta).indirect[0]
    uncoupled = hypergradient(reached, payments, theta, "uncoupled").indirect[0]
    assert np.linalg.norm(coupled - uncoupled) > 0.05 * np.linalg.norm(coupled)
    # Rewards that are the own action's, and nowhere to go: nothing couples.
    own = game.reward[:, :, :1] + np.stack([game.actions.T] * 4, axis=1)
    alone = type(game)(np.zeros_like(game.transition), own, game.leader_reward, game.initial, 3, 1)
    reached = solved(alone, payments, theta, 0.3)
    np.testing.assert_allclose(couplings(reached), 0.0, atol=1e-12)
    one, other = (
        hypergradient(reached, payments, theta, reaction).indirect
        for reaction in ("coupled", "uncoupled")
    )
    np.testing.assert_allclose(one, other, atol=1e-12)
