from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.models.finite_game.markov_game import MarkovGame, leader_return, state_chain
from tests.games import random_game, random_policies
from tests.models.finite_game.action_values import (
    leader_action_values,
    stationary_leader_action_values,
)

Floats = NDArray[np.float64]
GAME = random_game()
LEADER = random_policies(3, 4, 3)
FOLLOWER = random_policies(3, 4, 3, 2, seed=2)
#: P(a, b | s) of run 0.
JOINT = LEADER[0][:, :, None] * FOLLOWER[0]


def forward_return(discount: float, horizon: int) -> float:
    """J of run 0, by pushing the distribution of the state forwards."""
    visits, total = GAME.initial, 0.0
    for t in range(horizon):
        both = visits[:, None, None] * JOINT
        total += discount**t * float((both * GAME.leader_reward).sum())
        visits = np.einsum("sab,sabt->t", both, GAME.transition)
    return total


def test_sizes_come_from_the_tables() -> None:
    assert (GAME.num_states, GAME.num_leader_actions, GAME.num_follower_actions) == (4, 3, 2)


def test_state_chain_sums_over_both_actions() -> None:
    chain = state_chain(GAME, LEADER, FOLLOWER)
    expected = np.zeros((3, 4, 4))
    for r, s, a, b in product(range(3), range(4), range(3), range(2)):
        expected[r, s] += LEADER[r, s, a] * FOLLOWER[r, s, a, b] * GAME.transition[s, a, b]
    np.testing.assert_allclose(chain, expected, atol=1e-15)


@pytest.mark.parametrize(("discount", "horizon"), [(0.95, 20), (1.0, 7), (0.5, 1), (0.0, 3)])
def test_return_equals_the_forward_sum(discount: float, horizon: int) -> None:
    found = leader_return(GAME, LEADER, FOLLOWER, discount=discount, horizon=horizon)
    assert found[0] == pytest.approx(forward_return(discount, horizon), abs=1e-13)


def test_endless_return_is_the_limit_of_long_episodes() -> None:
    endless = leader_return(GAME, LEADER, FOLLOWER, discount=0.95, horizon=None)
    assert endless[0] == pytest.approx(forward_return(0.95, 1000), abs=1e-12)
    assert abs(endless[0] - forward_return(0.95, 20)) > 1e-3


def test_action_values_count_the_steps_to_go() -> None:
    q = leader_action_values(GAME, LEADER, FOLLOWER, discount=0.9, horizon=5)
    assert q.shape == (3, 5, 4, 3, 2)
    np.testing.assert_allclose(q[:, 4], np.tile(GAME.leader_reward, (3, 1, 1, 1)), atol=1e-15)
    for t in range(4):
        value = (JOINT * q[0, t + 1]).sum(axis=(1, 2))
        expected = GAME.leader_reward + 0.9 * GAME.transition @ value
        np.testing.assert_allclose(q[0, t], expected, atol=1e-14)
    first = (JOINT * q[0, 0]).sum(axis=(1, 2))
    assert GAME.initial @ first == pytest.approx(forward_return(0.9, 5), abs=1e-13)


def test_stationary_action_values_solve_their_bellman_equation() -> None:
    q = stationary_leader_action_values(GAME, LEADER, FOLLOWER, discount=0.95)
    assert q.shape == (3, 4, 3, 2)
    value = (JOINT * q[0]).sum(axis=(1, 2))
    expected = GAME.leader_reward + 0.95 * GAME.transition @ value
    np.testing.assert_allclose(q[0], expected, atol=1e-13)
    endless = leader_return(GAME, LEADER, FOLLOWER, discount=0.95, horizon=None)
    assert GAME.initial @ value == pytest.approx(endless[0], abs=1e-13)


def test_a_run_is_the_same_alone_and_in_a_batch() -> None:
    leader, follower = random_policies(23, 4, 3), random_policies(23, 4, 3, 2, seed=2)
    for run in (0, 11, 22):
        alone, with_others = (leader[run : run + 1], follower[run : run + 1]), (leader, follower)
        for function, options in (
            (state_chain, {}),
            (leader_action_values, {"discount": 0.9, "horizon": 6}),
            (stationary_leader_action_values, {"discount": 0.9}),
            (leader_return, {"discount": 0.9, "horizon": None}),
            (leader_return, {"discount": 1.0, "horizon": 9}),
        ):
            together = function(GAME, *with_others, **options)  # type: ignore[operator]
            single = function(GAME, *alone, **options)  # type: ignore[operator]
            np.testing.assert_array_equal(together[run], single[0])


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"transition": GAME.transition[:, :, :, :3]}, "transition must be"),
        ({"transition": GAME.transition[0]}, "transition must be"),
        ({"transition": 0.5 * GAME.transition}, "transition must be non-negative and sum"),
        ({"transition": np.where(GAME.transition > 0.5, np.nan, GAME.transition)}, "transition"),
        ({"follower_reward": np.zeros((4, 2, 3))}, r"\(4, 3, 2\).*\(4, 2, 3\) \(follower\)"),
        ({"leader_reward": np.zeros((4, 3))}, r"\(4, 3\) \(leader\)"),
        ({"leader_reward": np.full((4, 3, 2), np.inf)}, "leader_reward must be finite"),
        ({"initial": np.ones(3) / 3}, r"initial must have shape \(4,\), got \(3,\)"),
        ({"initial": np.array([1.5, -0.5, 0.0, 0.0])}, "initial must be non-negative"),
        ({"leader_discount": 1.01}, "leader_discount.*1.01"),
        ({"leader_discount": -0.1}, "leader_discount.*-0.1"),
        ({"follower_discount": 1.0}, "follower_discount.*1.0"),
        ({"max_episode_steps": 0}, "max_episode_steps.*0"),
    ],
)
def test_impossible_games_are_refused(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        replace(GAME, **changes)  # type: ignore[arg-type]


def test_undiscounted_leaders_are_possible() -> None:
    assert replace(GAME, leader_discount=1.0).leader_discount == 1.0


def test_tables_become_contiguous_floats() -> None:
    reward = np.arange(24).reshape(2, 3, 4).T  # integers in Fortran order
    game = MarkovGame(
        GAME.transition, reward, GAME.leader_reward, GAME.initial, 0.9, 0.9, 5
    )  # fmt: skip
    assert game.follower_reward.dtype == np.float64
    assert game.follower_reward.flags.c_contiguous
    np.testing.assert_array_equal(game.follower_reward, reward)


@pytest.mark.parametrize(
    ("leader", "follower", "complaint"),
    [
        (LEADER[:, :3], FOLLOWER, "leader_policy must have shape"),
        (LEADER, FOLLOWER[:, :, :2], "follower_policy must have shape"),
        (LEADER[:2], FOLLOWER, "2 leader policies but 3 follower"),
        (LEADER[:0], FOLLOWER[:0], "leader_policy must have shape"),
        (np.log(LEADER), FOLLOWER, "leader_policy must be non-negative"),
        (LEADER, 2.0 * FOLLOWER, "follower_policy must be non-negative and sum to one"),
        (np.where(LEADER > 0.5, np.nan, LEADER), FOLLOWER, "leader_policy"),
    ],
)
def test_impossible_policies_are_refused(leader: Floats, follower: Floats, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        leader_return(GAME, leader, follower, discount=0.9, horizon=5)


@pytest.mark.parametrize(
    ("discount", "horizon", "complaint"),
    [(1.0, None, "infinite horizon.*1.0"), (0.9, 0, "horizon.*0"), (0.9, -3, "horizon.*-3")],
)
def test_impossible_horizons_are_refused(
    discount: float, horizon: int | None, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        leader_return(GAME, LEADER, FOLLOWER, discount=discount, horizon=horizon)
