"""The exact hypergradient of a game: reference values, finite differences, other derivations."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.models.finite_game.exact import GameHypergradient, Influence, game_hypergradient
from bilevelrl.models.finite_game.markov_game import leader_return
from bilevelrl.models.finite_game.soft_q_iteration import Order
from bilevelrl.problems.discrete_toy.problem import discrete_toy
from tests.games import random_policies, toy_leader
from tests.models.finite_game.hypergradients import (
    BETA,
    GAME,
    HORIZONS,
    LEADER,
    best_response,
    hypergradient,
)

Floats = NDArray[np.float64]

Q = np.array([0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6])


@pytest.fixture(params=["correct", "published"])
def order(request: pytest.FixtureRequest) -> Order:
    return request.param  # type: ignore[no-any-return]


def along_q(table: Floats) -> Floats:
    """dJ/dq in the toy: the step df(. | A) = (-1, +1)."""
    return table[:, 1, 1] - table[:, 1, 0]


def toy_gradient(
    revisit_reward: float, plays: Order, order: Order, horizon: int | None = None,
    influence: Influence = "infinite",
) -> GameHypergradient:  # fmt: skip
    """The hypergradient formula of `order` for a follower that plays the answer of `plays`."""
    game, leader, beta = discrete_toy(revisit_reward), toy_leader(Q), np.full(len(Q), 0.05)
    response = best_response(game, leader, beta, plays)
    return game_hypergradient(
        game, leader, response, beta,
        discount=0.99, horizon=horizon, order=order, influence=influence,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("revisit_reward", "plays", "order", "expected"),
    [
        (1.0, "published", "published",
         [8.08, 1.85, -16.62, -171.67, -142.08, -10.67, -2.46, -0.56]),
        (1.0, "correct", "correct",
         [8.49, 3.33, -11.58, -140.25, -175.59, -17.35, -4.26, -1.02]),
        (2.0, "published", "published",
         [11.88, 12.30, 12.74, 13.67, 14.24, -6.84, -133.71, -467.37]),
        (2.0, "correct", "correct",
         [11.88, 12.30, 12.74, 13.67, 14.39, 1.50, -78.78, -395.57]),
        # What BC-HG converges to: the correct influence of the published follower's V_F.
        (1.0, "published", "correct",
         [8.23, 2.24, -15.53, -165.05, -136.97, -10.30, -2.38, -0.54]),
        (2.0, "published", "correct",
         [11.88, 12.30, 12.74, 13.67, 14.25, -6.33, -130.41, -456.94]),
    ],
)  # fmt: skip
def test_reproduces_the_reference_values(
    revisit_reward: float, plays: Order, order: Order, expected: list[float]
) -> None:
    found = toy_gradient(revisit_reward, plays, order)
    np.testing.assert_allclose(along_q(found.direct + found.indirect), expected, atol=6e-3)


def test_reproduces_the_reference_parts() -> None:
    found = toy_gradient(1.0, "correct", "correct")
    direct, indirect = along_q(found.direct)[:6], along_q(found.indirect)[:6]
    np.testing.assert_allclose(direct, [11.76, 11.98, 11.88, 8.14, 0.66, 0.00], atol=6e-3)
    expected = [-3.27, -8.65, -23.46, -148.39, -176.25, -17.36]
    np.testing.assert_allclose(indirect, expected, atol=6e-3)
    found = toy_gradient(2.0, "correct", "correct")
    direct, indirect = along_q(found.direct)[3:], along_q(found.indirect)[3:]
    np.testing.assert_allclose(direct, [13.69, 14.74, 15.63, 14.60, 7.52], atol=6e-3)
    np.testing.assert_allclose(indirect, [-0.01, -0.35, -14.14, -93.38, -403.09], atol=6e-3)


@pytest.mark.parametrize("revisit_reward", [1.0, 2.0])
def test_the_episodes_end_hardly_matters_in_the_toy(revisit_reward: float, order: Order) -> None:
    full, cut = (
        along_q(toy_gradient(revisit_reward, order, order, 150, influence).indirect)
        for influence in ("infinite", "episode")
    )
    # The reference says 0.3 %, which holds where the indirect part is large: 1.1 % at q = 0.1, for
    # coefficients that agree with one solve per direction (below).
    lost = 1.0 - cut / full
    assert (lost > 1e-4).all()
    assert (lost < 1.2e-2).all()
    assert (lost[Q >= 0.3] < 4e-3).all()


@pytest.mark.parametrize(("discount", "horizon"), HORIZONS)
def test_the_test_points_can_tell_the_orders_and_parts_apart(
    discount: float, horizon: int | None
) -> None:
    right, wrong = (
        game_hypergradient(
            GAME, LEADER, best_response(GAME, LEADER, BETA, "published"), BETA,
            discount=discount, horizon=horizon, order=order,
        )
        for order in ("published", "correct")
    )  # fmt: skip
    size = np.linalg.norm(right.indirect, axis=(1, 2))
    ratio = size / np.linalg.norm(right.direct, axis=(1, 2))
    assert (ratio > 0.01).all()
    assert (ratio > 0.1).any()
    difference = np.linalg.norm(right.indirect - wrong.indirect, axis=(1, 2))
    assert (difference > 1e-3 * size).all()


def test_rows_are_centred_under_the_leader(order: Order) -> None:
    found = hypergradient(order, 0.95, 20)
    for table in (found.direct, found.indirect):
        np.testing.assert_allclose((LEADER * table).sum(axis=2), 0.0, atol=1e-12)
        assert np.abs(table).max() > 0.1


def test_the_return_is_that_of_the_game(order: Order) -> None:
    policy = best_response(GAME, LEADER, BETA, order).policy
    for discount, horizon in HORIZONS:
        expected = leader_return(GAME, LEADER, policy, discount=discount, horizon=horizon)
        found = hypergradient(order, discount, horizon)
        np.testing.assert_array_equal(found.leader_return, expected)


def test_the_published_order_survives_policies_that_underflow() -> None:
    # A leader action that makes one follower action hopeless, so that log π is not available.
    reward = GAME.follower_reward.copy()
    reward[:, 2, 0] -= 500.0
    game, beta = replace(GAME, follower_reward=reward), np.array([0.1])
    leader = np.tile([0.6, 0.3995, 0.0005], (1, 4, 1))
    response = best_response(game, leader, beta, "published")
    assert response.policy.min() == 0.0
    found = game_hypergradient(
        game, leader, response, beta, discount=0.95, horizon=None, order="published"
    )
    step = np.tile([1.0, -1.0, 0.0], (4, 1))
    ends = list[float]()
    for sign in (1.0, -1.0):
        moved = leader + sign * 1e-5 * step
        policy = best_response(game, moved, beta, "published").policy
        ends.append(leader_return(game, moved, policy, discount=0.95, horizon=None)[0])
    numeric = (ends[0] - ends[1]) / 2e-5
    exact = ((found.direct + found.indirect)[0] * step).sum()
    assert exact == pytest.approx(numeric, rel=1e-5)


@pytest.mark.parametrize(("discount", "horizon"), HORIZONS)
def test_a_run_is_the_same_alone_and_in_a_batch(
    order: Order, discount: float, horizon: int | None
) -> None:
    leader, beta = random_policies(23, 4, 3), np.resize(BETA, 23)

    def solve(part: slice) -> GameHypergradient:
        response = best_response(GAME, leader[part], beta[part], order)
        return game_hypergradient(
            GAME, leader[part], response, beta[part],
            discount=discount, horizon=horizon, order=order,
        )  # fmt: skip

    together = solve(slice(None))
    for run in (0, 11, 22):
        alone = solve(slice(run, run + 1))
        for batch, single in zip(together, alone, strict=True):
            np.testing.assert_array_equal(batch[run], single[0])


def test_the_response_is_left_alone(order: Order) -> None:
    response = best_response(GAME, LEADER, BETA, order)
    before = response.value.copy(), response.policy.copy()
    game_hypergradient(GAME, LEADER, response, BETA, discount=0.9, horizon=3, order=order)
    np.testing.assert_array_equal(response.value, before[0])
    np.testing.assert_array_equal(response.policy, before[1])


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"order": "wrong"}, "order.*'wrong'"),
        ({"influence": "none"}, "influence.*'none'"),
        ({"influence": "episode", "horizon": None}, "finite horizon"),
        ({"discount": 1.0, "horizon": None}, "infinite horizon"),
        ({"horizon": 0}, "horizon must be positive"),
        ({"temperature": BETA[:2]}, "3 runs, 3 responses, 2 temperatures"),
        ({"leader_policy": LEADER[:2]}, "2 runs, 3 responses"),
        ({"leader_policy": 2.0 * LEADER}, "leader_policy.*sum to one"),
    ],
)
def test_impossible_arguments_are_refused(changes: dict[str, object], complaint: str) -> None:
    arguments: dict[str, object] = {
        "game": GAME,
        "leader_policy": LEADER,
        "response": best_response(GAME, LEADER, BETA, "correct"),
        "temperature": BETA,
        "discount": 0.9,
        "horizon": 5,
        "order": "correct",
    }
    with pytest.raises(ValueError, match=complaint):
        game_hypergradient(**{**arguments, **changes})  # type: ignore[arg-type]
