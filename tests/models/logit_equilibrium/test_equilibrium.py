import itertools

import numpy as np
import pytest
from scipy.optimize import brentq

from bilevelrl.core.follower import NotConverged
from bilevelrl.models.logit_equilibrium import branch
from bilevelrl.models.logit_equilibrium.equilibrium import (
    couplings,
    equilibrium,
    from_start,
    spectral_radius,
)
from bilevelrl.models.logit_equilibrium.several import equilibria
from bilevelrl.models.logit_equilibrium.stochastic_game import actions_of
from tests.models.logit_equilibrium.random_games import (
    first_action_payments,
    matrix_game,
    random_game,
    random_theta,
    solved,
)


@pytest.mark.parametrize(("players", "actions"), [(2, 3), (3, 2)])
def test_policies_are_soft_optimal_against_one_another_with_entropy_in_their_values(
    players, actions
):
    game = random_game(players, actions)
    payments = first_action_payments(game)
    beta = np.array([[0.4, 0.7, 0.5][:players]])
    reached = solved(game, payments, random_theta(payments, 1), beta)
    for t, s in itertools.product(range(game.max_episode_steps), range(game.num_states)):
        policy = reached.policy[0, t, s]
        for i in range(players):
            expected = np.zeros(actions)
            for a, own in enumerate(itertools.product(range(actions), repeat=players)):
                others = np.prod([policy[j, own[j]] for j in range(players) if j != i])
                utility = game.reward[i, s, a] + reached.payments[0, i, s, own[i]]
                later = game.transition[s, a] @ reached.value[0, t + 1, :, i]
                expected[own[i]] += others * (utility + game.follower_discount * later)
            odds = np.exp(expected / beta[0, i])
            np.testing.assert_allclose(policy[i], odds / odds.sum(), rtol=0, atol=1e-11)
            bonus = -beta[0, i] * np.log(policy[i])
            value = policy[i] @ (expected + bonus)
            np.testing.assert_allclose(reached.value[0, t, s, i], value, rtol=0, atol=1e-11)


def test_the_residual_that_is_reported_is_that_of_the_qualities():
    game = random_game(2, 3)
    payments = first_action_payments(game)
    reached = solved(game, payments, random_theta(payments, 3), 0.3)
    assert (reached.residual <= 1e-12).all()
    assert (reached.residual > 0.0).all()


def test_an_answer_does_not_depend_on_the_batch():
    game = random_game(3, 2)
    payments = first_action_payments(game)
    theta = random_theta(payments, 3)
    together = solved(game, payments, theta, 0.2)
    alone = solved(game, payments, theta[1:2], 0.2)
    assert together.policy[1].tobytes() == alone.policy[0].tobytes()


def _coordination_points(reward, beta):
    # Symmetric equilibria of "both get `reward` if they do the same": fixed points of the odds.
    def excess(share):
        return 1.0 / (1.0 + np.exp(-reward * (2.0 * share - 1.0) / beta)) - share

    grid = np.linspace(1e-6, 1.0 - 1e-6, 2000)
    values = excess(grid)
    return [
        brentq(excess, low, high, xtol=1e-14)
        for low, high, here, there in zip(grid, grid[1:], values, values[1:], strict=False)
        if here * there < 0.0
    ]


def test_all_three_equilibria_of_a_coordination_game_are_found_with_their_returns():
    # The leader likes the second action alone; which equilibrium it meets is all that matters.
    game = matrix_game(np.eye(2), np.eye(2), np.array([[0.0, 0.0], [0.0, 1.0]]))
    found = equilibria(game, np.zeros((2, 1, 2)), np.array([0.3, 0.3]), cost=0.0, starts=20, seed=0)
    points = np.array(_coordination_points(1.0, 0.3))
    assert len(points) == 3
    np.testing.assert_allclose(np.sort(found.found.policy[:, 0, 0, 0, 1]), points, atol=1e-9)
    np.testing.assert_allclose(np.sort(found.leader_return), points**2, atol=1e-9)
    assert found.starts.sum() == 25
    # The principal branch stays where the players cannot know which one to choose.
    np.testing.assert_allclose(found.found.policy[0, 0, 0, 0], 0.5, atol=1e-9)


def test_one_equilibrium_where_the_temperature_is_high():
    game = matrix_game(np.eye(2), np.eye(2), np.eye(2))
    found = equilibria(game, np.zeros((2, 1, 2)), np.full(2, 2.0), cost=0.0, starts=20, seed=0)
    assert found.starts.tolist() == [25]


def test_a_small_payment_selects_the_equilibrium_that_it_favours():
    game = matrix_game(np.eye(2), np.eye(2), np.eye(2))
    paid = np.zeros((2, 2, 1, 2))
    paid[0, 0, 0, 1] = paid[1, 0, 0, 0] = 0.01
    reached = equilibrium(game, paid, np.full((2, 2), 0.3))
    assert (reached.policy[0, 0, 0, :, 1] > 0.9).all()
    assert (reached.policy[1, 0, 0, :, 0] > 0.9).all()


def test_the_branch_is_the_one_that_fine_steps_follow(monkeypatch):
    # Players who could nearly change places: other curves pass close by, and of these games every
    # one has a step that ends on them unless the sign of the determinant is looked at.
    draw, games = np.random.default_rng(0), []
    for _ in range(27):
        common = draw.normal(size=(3, 3))
        utility = np.stack([(common + common.T).ravel()] * 2)
        games.append(utility + 1e-4 * draw.normal(size=(2, 9)))
    actions, beta, found = actions_of(2, 3), np.full(2, 0.15), {}
    chosen = [games[place] for place in (1, 15, 26)]
    for name, follow in (("coarse", branch.follow_branch), ("fine", branch.follow_branch.py_func)):
        found[name] = np.zeros((3, 2, 3))
        for utility, quality in zip(chosen, found[name], strict=True):
            residual, _ = follow(utility, beta, actions, 1e-12, quality)
            assert residual <= 1e-12
        for constant, value in (("FIRST", 0.01), ("LONGEST", 0.01), ("POINTS", 20_000)):
            monkeypatch.setattr(branch, constant, value)
    np.testing.assert_allclose(found["coarse"], found["fine"], atol=1e-9)


def test_the_spectral_radius_is_that_of_the_couplings_of_all_steps_together():
    game = random_game(2, 2, states=2, steps=2)
    payments = first_action_payments(game)
    reached = solved(game, payments, random_theta(payments, 1), 0.3)
    blocks = couplings(reached)[0].reshape(-1, 4, 4)
    radii = [np.abs(np.linalg.eigvals(block)).max() for block in blocks]
    np.testing.assert_allclose(spectral_radius(reached)[0], max(radii), rtol=1e-12)


def test_a_tolerance_that_nothing_meets_is_refused_with_the_residual():
    game = random_game(2, 2)
    payments = first_action_payments(game)
    table = payments.table(random_theta(payments, 1), (2, 4, 2))
    with pytest.raises(NotConverged, match=r"run 0: values miss .* at temperatures \[0.3, 0.3\]"):
        equilibrium(game, table, np.full((1, 2), 0.3), tolerance=1e-18)


@pytest.mark.parametrize(
    ("payments", "temperature", "message"),
    [
        (np.zeros((1, 2, 3, 2)), np.ones((1, 2)), r"payments have shape \(1, 2, 3, 2\)"),
        (np.full((1, 2, 4, 2), np.nan), np.ones((1, 2)), "payments are not finite"),
        (np.zeros((1, 2, 4, 2)), np.ones((1, 3)), r"temperature has shape \(1, 3\)"),
        (np.zeros((1, 2, 4, 2)), np.zeros((1, 2)), "must be positive and finite"),
    ],
)
def test_impossible_arguments_are_refused(payments, temperature, message):
    with pytest.raises(ValueError, match=message):
        equilibrium(random_game(2, 2), payments, temperature)


def test_a_start_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"start has shape \(2, 2\)"):
        from_start(random_game(2, 2), np.zeros((1, 2, 4, 2)), np.ones((1, 2)), np.ones((2, 2)))
