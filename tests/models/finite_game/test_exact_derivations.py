"""The exact hypergradient of a finite game by other derivations than the one of `src`."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bilevelrl.core.follower import BestResponse
from bilevelrl.models.finite_game.exact import Influence
from bilevelrl.models.finite_game.markov_game import leader_return
from bilevelrl.models.finite_game.soft_q_iteration import Order
from tests.models.finite_game.action_values import (
    leader_action_values,
    stationary_leader_action_values,
)
from tests.models.finite_game.hypergradients import (
    BETA,
    GAME,
    HORIZONS,
    LEADER,
    best_response,
    hypergradient,
)

Floats = NDArray[np.float64]


@pytest.fixture(params=["correct", "published"])
def order(request: pytest.FixtureRequest) -> Order:
    return request.param  # type: ignore[no-any-return]


@pytest.mark.parametrize(("discount", "horizon"), HORIZONS)
def test_matches_central_differences_through_the_resolved_follower(
    order: Order, discount: float, horizon: int | None
) -> None:
    found = hypergradient(order, discount, horizon)
    total = found.direct + found.indirect
    generator = np.random.default_rng(3)
    for run in range(3):
        directions = generator.standard_normal((8, 4, 3))
        directions -= directions.mean(axis=2, keepdims=True)
        directions *= LEADER[run].min() / np.abs(directions).max()
        steps = [1e-2, 5e-3]
        quotients = list[Floats]()
        for step in steps:
            ends = list[Floats]()
            for sign in (1.0, -1.0):
                leader = LEADER[run] + sign * step * directions
                policy = best_response(GAME, leader, np.full(8, BETA[run]), order).policy
                ends.append(leader_return(GAME, leader, policy, discount=discount, horizon=horizon))
            quotients.append((ends[0] - ends[1]) / (2.0 * step))
        numeric = (4.0 * quotients[1] - quotients[0]) / 3.0  # Richardson, of order h⁴
        exact = (total[run] * directions).sum(axis=(1, 2))
        scale = np.abs(exact).max()
        np.testing.assert_allclose(exact, numeric, rtol=1e-6, atol=1e-7 * scale)


def forward_influence(
    order: Order, run: int, step: Floats, response: BestResponse
) -> tuple[Floats, Floats]:
    """(γ dV, M) such that a step df changes Q_F by G = γ dV + M G, both spelled out for (s, a, b).

    The chain of M is the correct follower's, or the published one's, from a Q table made here.
    """
    leader, beta, gamma = LEADER[run], BETA[run], GAME.follower_discount
    if order == "correct":
        weights = response.policy[run]
        now = (step * response.value[run]).sum(axis=1)
    else:
        table = response.value[run][..., None] + beta * np.log(response.policy[run])
        mean = (leader[..., None] * table).sum(axis=1) / beta
        mixed = np.exp(mean - np.logaddexp.reduce(mean, axis=1)[:, None])
        weights = np.repeat(mixed[:, None], 3, axis=1)
        now = np.einsum("sb,sa,sab->s", mixed, step, table)
    into = gamma * np.einsum("sabt,tc,tcd->sabtcd", GAME.transition, leader, weights)
    return gamma * GAME.transition @ now, into.reshape(24, 24)


@pytest.mark.parametrize(("discount", "horizon"), HORIZONS)
@pytest.mark.parametrize("influence", ["infinite", "episode"])
def test_the_transposed_solve_equals_one_solve_per_direction(
    order: Order, discount: float, horizon: int | None, influence: Influence
) -> None:
    if horizon is None and influence == "episode":
        with pytest.raises(ValueError, match="finite horizon"):
            hypergradient(order, discount, horizon, influence)
        return
    found = hypergradient(order, discount, horizon, influence)
    response = best_response(GAME, LEADER, BETA, order)
    policies = (GAME, LEADER, response.policy)
    if horizon is None:
        critic = stationary_leader_action_values(*policies, discount=discount)[:, None]
    else:
        critic = leader_action_values(*policies, discount=discount, horizon=horizon)
    step = np.random.default_rng(4).standard_normal((4, 3))
    step -= step.mean(axis=1, keepdims=True)
    for run in range(3):
        now, into = forward_influence(order, run, step, response)
        joint = LEADER[run][:, :, None] * response.policy[run]
        chain = np.einsum("sab,sabt->st", joint, GAME.transition)
        change = np.linalg.solve(np.eye(24) - into, now.ravel())
        visits = GAME.initial
        if horizon is None:
            visits = np.linalg.solve(np.eye(4) - discount * chain.T, visits)
        direct, indirect = 0.0, 0.0
        for t in range(horizon or 1):
            if influence == "episode":
                assert horizon is not None
                change = np.zeros(24)
                for _ in range(t + 1, horizon):
                    change = now.ravel() + into @ change
            q = critic[run, t]
            mean = (response.policy[run] * q).sum(axis=2, keepdims=True)
            weight = visits[:, None, None]
            direct += float((weight * step[..., None] * response.policy[run] * q).sum())
            moved = weight * joint * (q - mean) * change.reshape(4, 3, 2)
            indirect += float(moved.sum()) / BETA[run]
            visits = discount * chain.T @ visits
        assert (found.direct[run] * step).sum() == pytest.approx(direct, rel=1e-9)
        assert (found.indirect[run] * step).sum() == pytest.approx(indirect, rel=1e-9)


def autograd(run: int, horizon: int | None) -> tuple[float, Floats]:
    """J and dJ/dθ of f = softmax(θ), by automatic differentiation, correct order."""
    transition = torch.tensor(GAME.transition)
    theta = torch.tensor(np.log(LEADER[run]), requires_grad=True)
    leader, beta = torch.softmax(theta, 1), float(BETA[run])
    value = torch.zeros(4, dtype=torch.float64)
    for _ in range(400):  # the unrolled iteration: 0.9^400 = 5e-19
        q = torch.tensor(GAME.follower_reward) + GAME.follower_discount * transition @ value
        value = (leader * beta * torch.logsumexp(q / beta, 2)).sum(1)
    joint = leader[:, :, None] * torch.softmax(q / beta, 2)
    chain = torch.einsum("sab,sabt->st", joint, transition)
    reward = (joint * torch.tensor(GAME.leader_reward)).sum((1, 2))
    if horizon is None:
        total = torch.linalg.solve(torch.eye(4).double() - 0.95 * chain, reward)
    else:
        total = torch.zeros(4, dtype=torch.float64)
        for _ in range(horizon):
            total = reward + 0.95 * chain @ total
    result = torch.tensor(GAME.initial) @ total
    (gradient,) = torch.autograd.grad(result, theta)
    return result.item(), gradient.numpy()


@pytest.mark.parametrize("horizon", [None, 20])
def test_automatic_differentiation_of_a_softmax_leader_agrees(horizon: int | None) -> None:
    found = hypergradient("correct", 0.95, horizon)
    for run in range(3):
        value, gradient = autograd(run, horizon)
        assert found.leader_return[run] == pytest.approx(value, abs=1e-11)
        # Σ_a c(s, a) f(a | s) ∇ log f(a | s) = f c because the rows of c are centred.
        logits = LEADER[run] * (found.direct + found.indirect)[run]
        np.testing.assert_allclose(logits, gradient, rtol=1e-8, atol=1e-10)
