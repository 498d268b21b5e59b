"""The toy against the tables of the paper's code and independently computed returns."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.models.finite_game.markov_game import MarkovGame, leader_return
from bilevelrl.models.finite_game.soft_q_iteration import Order, SoftQIteration
from bilevelrl.problems.discrete_toy.problem import (
    FOLLOWER_ACTION_NAMES,
    LEADER_ACTION_NAMES,
    STATE_NAMES,
    discrete_toy,
)
from tests.games import toy_leader

Floats = NDArray[np.float64]
S, A, B = range(3)

#: (state, leader's action, follower's action): (next state, r_F, r_L); R stands for the argument.
MOVES = {
    (S, 0, 0): (S, 0.0, 0.0), (S, 1, 0): (S, 0.0, 0.0),
    (S, 0, 1): (A, 1.0, 1.0), (S, 1, 1): (A, 1.0, 1.0),
    (S, 0, 2): (B, 1.0, 0.0), (S, 1, 2): (B, 1.0, 0.0),
    (A, 0, 0): (S, 0.0, 0.0), (A, 1, 0): (S, -1.0, 0.0),
    (A, 0, 1): (A, 0.0, 0.0), (A, 1, 1): (S, -1.0, 0.0),
    (A, 0, 2): (B, "R", 0.0), (A, 1, 2): (S, -1.0, 0.0),
    (B, 0, 0): (S, 0.0, 0.0), (B, 1, 0): (S, 0.0, 0.0),
    (B, 0, 1): (B, 0.0, 0.0), (B, 1, 1): (B, 0.0, 0.0),
    (B, 0, 2): (B, 0.0, 0.0), (B, 1, 2): (B, 0.0, 0.0),
}  # fmt: skip

Q = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 1.0])
DISCOUNTED: dict[tuple[float, Order], list[float]] = {
    (1.0, "published"): [26.217, 27.036, 27.022, 21.037, 4.567, 0.283, 0.015, 0.001, 0.0],
    (1.0, "correct"): [26.217, 27.047, 27.180, 22.486, 6.417, 0.481, 0.028, 0.002, 0.0],
    (2.0, "published"): [26.213, 27.182, 28.139, 29.166, 30.260, 31.002, 16.971, 0.279, 0.0],
    (2.0, "correct"): [26.213, 27.182, 28.139, 29.166, 30.264, 31.164, 21.606, 0.591, 0.0],
}
UNDISCOUNTED: dict[tuple[float, Order], list[float]] = {
    (1.0, "published"): [50.052, 51.779, 51.769, 40.336, 8.768, 0.543, 0.028, 0.001, 0.0],
    (1.0, "correct"): [50.052, 51.800, 52.070, 43.109, 12.319, 0.923, 0.053, 0.003, 0.0],
    (2.0, "published"): [50.000, 52.057, 53.903, 55.884, 57.997, 59.437, 32.569, 0.535, 0.0],
    (2.0, "correct"): [50.000, 52.057, 53.903, 55.884, 58.003, 59.747, 41.455, 1.134, 0.0],
}
#: q*, and the discounted and the undiscounted return there.
MAXIMA: dict[tuple[float, Order], tuple[float, float, float]] = {
    (1.0, "published"): (0.158, 27.256, 52.209),
    (1.0, "correct"): (0.166, 27.316, 52.324),
    (2.0, "published"): (0.490, 31.026, 59.480),
    (2.0, "correct"): (0.502, 31.166, 59.750),
}
LAST_DIGIT = 6e-4
GAMES = [(reward, order) for reward in (1.0, 2.0) for order in ("published", "correct")]


def returns(game: MarkovGame, q: Floats, order: Order, discount: float = 0.99) -> Floats:
    """J over 150 steps at each q, through the re-solved follower."""
    follower = SoftQIteration(game, np.full(len(q), 0.05), 1e-10, 60, order)
    response = follower.respond(toy_leader(q), follower.start(len(q)))
    return leader_return(game, toy_leader(q), response.policy, discount=discount, horizon=150)


@pytest.mark.parametrize("revisit_reward", [1.0, 2.0, -0.5])
def test_every_move_is_that_of_the_table(revisit_reward: float) -> None:
    game = discrete_toy(revisit_reward)
    assert game.leader_reward.shape == (3, 2, 3)
    for (s, a, b), (following, follower, leader) in MOVES.items():
        np.testing.assert_array_equal(game.transition[s, a, b], np.eye(3)[following])
        assert game.follower_reward[s, a, b] == (revisit_reward if follower == "R" else follower)
        assert game.leader_reward[s, a, b] == leader
    np.testing.assert_array_equal(game.initial, [1.0, 0.0, 0.0])


def test_constants_are_the_published_ones_unless_given() -> None:
    game = discrete_toy(1.0)
    found = (game.leader_discount, game.follower_discount, game.max_episode_steps)
    assert found == (0.99, 0.99, 150)
    game = discrete_toy(1.0, leader_discount=1.0, follower_discount=0.5, max_episode_steps=7)
    found = (game.leader_discount, game.follower_discount, game.max_episode_steps)
    assert found == (1.0, 0.5, 7)


def test_every_state_and_action_has_a_name() -> None:
    names = (len(STATE_NAMES), len(LEADER_ACTION_NAMES), len(FOLLOWER_ACTION_NAMES))
    assert names == discrete_toy(1.0).leader_reward.shape


@pytest.mark.parametrize(("revisit_reward", "order"), GAMES)
def test_reproduces_the_reference_returns(revisit_reward: float, order: Order) -> None:
    game, key = discrete_toy(revisit_reward), (revisit_reward, order)
    np.testing.assert_allclose(returns(game, Q, order), DISCOUNTED[key], atol=LAST_DIGIT)
    np.testing.assert_allclose(returns(game, Q, order, 1.0), UNDISCOUNTED[key], atol=LAST_DIGIT)


@pytest.mark.parametrize(("revisit_reward", "order"), GAMES)
def test_reproduces_the_reference_maxima(revisit_reward: float, order: Order) -> None:
    game = discrete_toy(revisit_reward)
    best_q, best, undiscounted_there = MAXIMA[revisit_reward, order]
    grid = np.linspace(0.0, 1.0, 1001)
    for _ in range(3):  # each round cuts the bracket of the unimodal J to a fiftieth
        values = returns(game, grid, order)
        top = int(values.argmax())
        found, bracket = grid[top], grid[max(top - 10, 0) : top + 11]
        grid = np.linspace(bracket[0], bracket[-1], 1001)
    assert found == pytest.approx(best_q, abs=LAST_DIGIT)
    assert values.max() == pytest.approx(best, abs=LAST_DIGIT)
    at = np.array([found])
    assert returns(game, at, order, 1.0)[0] == pytest.approx(undiscounted_there, abs=LAST_DIGIT)


@pytest.mark.parametrize(("revisit_reward", "expected"), [(1.0, 39.075), (2.0, 46.879)])
def test_reproduces_the_followers_return(revisit_reward: float, expected: float) -> None:
    game = discrete_toy(revisit_reward)
    mirrored = replace(game, leader_reward=game.follower_reward)
    found = returns(mirrored, np.array([0.5]), "published")
    assert found[0] == pytest.approx(expected, abs=LAST_DIGIT)


def test_only_the_leader_in_state_a_matters() -> None:
    game, q = discrete_toy(1.0), np.array([0.2, 0.2])
    leader = toy_leader(q)
    leader[1, [S, B]] = [[0.9, 0.1], [0.0, 1.0]]
    follower = SoftQIteration(game, np.full(2, 0.05), 1e-10, 60)
    policy = follower.respond(leader, follower.start(2)).policy
    found = leader_return(game, leader, policy, discount=0.99, horizon=150)
    assert found[0] == pytest.approx(found[1], abs=1e-12)
