"""The hypergradient in BilevelLQR: differences and automatic differentiation."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bilevelrl.problems.bilevel_lqr.follower import LinearGaussianResponse, MaxEntropyLQR
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR
from tests.problems.bilevel_lqr.exact_points import (
    BETA,
    PROBLEMS,
    PUBLISHED,
    hypergradient,
    leader_return,
)

Floats = NDArray[np.float64]


def staying(
    problem: BilevelLQR, response: LinearGaussianResponse, theta: Floats, answered: Floats
) -> LinearGaussianResponse:
    """A response to one θ, which goes on to expect it, as it is played against others."""
    innovation = problem.leader_matrix @ (problem.gain(theta) - problem.gain(answered[None]))
    return replace(response, state_gain=response.state_gain + response.noise_gain @ innovation)


def quotient(
    problem: BilevelLQR, point: Floats, step: float, stays: LinearGaussianResponse | None = None
) -> Floats:
    """Central differences of log J, Richardson's combination of two steps, of order h⁴."""

    def at(size: float) -> Floats:
        steps = size * np.eye(len(point))
        ends = np.concatenate([point + steps, point - steps])
        response = None if stays is None else staying(problem, stays, ends, point)
        ahead, behind = np.log(leader_return(problem, ends, response=response)).reshape(2, -1)
        return (ahead - behind) / (2.0 * size)

    return (4.0 * at(step) - at(2.0 * step)) / 3.0


@PROBLEMS
def test_matches_central_differences(problem: BilevelLQR, theta: Floats) -> None:
    # Of log J, so that a point with J = 3e-18 counts as much as one with J = 3.
    found = hypergradient(problem, theta)
    for run, point in enumerate(theta):
        slope = found.total[run] / found.leader_return[run]
        numeric = quotient(problem, point, 5e-6)
        np.testing.assert_allclose(slope, numeric, rtol=1e-6, atol=1e-6 * np.abs(slope).max())
    assert found.leader_return == pytest.approx(leader_return(problem, theta), rel=1e-14)
    assert problem is not PUBLISHED or found.leader_return.min() < 1e-17


@PROBLEMS
def test_the_direct_part_is_what_a_follower_that_stays_leaves(
    problem: BilevelLQR, theta: Floats
) -> None:
    found = hypergradient(problem, theta)
    size = 2 * problem.num_parameters
    ratios = []
    for run, point in enumerate(theta):
        frozen = MaxEntropyLQR(problem, np.full(size, BETA)).respond(np.tile(point, (size, 1)))
        slope = found.direct[run] / found.leader_return[run]
        numeric = quotient(problem, point, 5e-6, frozen)
        np.testing.assert_allclose(slope, numeric, rtol=1e-6, atol=1e-6 * np.abs(slope).max())
        ratios.append(np.linalg.norm(found.indirect[run]) / np.linalg.norm(found.direct[run]))
    # The split matters at these points.
    assert np.median(ratios) > 0.05


def autograd(problem: BilevelLQR, theta: Floats, discount: float) -> tuple[float, Floats]:
    """J and dJ/dθ of one run: one Newton step at the Riccati fixed point has its derivative."""
    a, b, c, q, r = (
        torch.tensor(matrix)
        for matrix in (
            problem.state_matrix,
            problem.follower_matrix,
            problem.leader_matrix,
            problem.state_cost,
            problem.control_cost,
        )
    )
    gamma, n = problem.follower_discount, len(problem.target)
    x = torch.tensor(theta, requires_grad=True)
    gain = x.reshape(-1, n)
    drift = a + c @ gain

    def riccati(p: torch.Tensor, drift: torch.Tensor) -> torch.Tensor:
        s = r + gamma * b.T @ p @ b
        pulled = gamma * p - gamma**2 * p @ b @ torch.linalg.solve(s, b.T @ p)
        return q + drift.T @ pulled @ drift

    solved = MaxEntropyLQR(problem, np.array([BETA])).respond(theta[None]).quadratic[0]
    fixed = torch.tensor(solved)
    jacobian = torch.autograd.functional.jacobian(lambda p: riccati(p, drift.detach()), fixed)
    matrix = torch.eye(n * n).double() - jacobian.reshape(n * n, n * n)
    residual = riccati(fixed, drift) - fixed
    p = fixed + torch.linalg.solve(matrix, residual.reshape(-1)).reshape(n, n)

    s = r + gamma * b.T @ p @ b
    noise_gain = gamma * torch.linalg.solve(s, b.T @ p)
    passed = c - b @ noise_gain @ c
    loop = drift - b @ noise_gain @ drift
    shock = problem.leader_noise**2 * passed @ passed.T
    shock = shock + 0.5 * BETA * b @ torch.linalg.inv(s) @ b.T
    mean, spread = torch.tensor(problem.initial_state), torch.zeros(n, n).double()
    scale, target = (
        torch.diag(torch.tensor(problem.target_scale) ** 2),
        torch.tensor(problem.target),
    )
    total = torch.zeros(()).double()
    for t in range(100):
        wide = scale + spread
        distance = (mean - target) @ torch.linalg.solve(wide, mean - target)
        bump = torch.sqrt(torch.det(scale) / torch.det(wide)) * torch.exp(-0.5 * distance)
        total = total + discount**t * problem.leader_reward_scale * bump
        mean, spread = loop @ mean, loop @ spread @ loop.T + shock
    (gradient,) = torch.autograd.grad(total, x)
    return total.item(), gradient.numpy()


@PROBLEMS
@pytest.mark.parametrize("discount", [0.99, 1.0])
def test_automatic_differentiation_agrees(
    problem: BilevelLQR, theta: Floats, discount: float
) -> None:
    chosen = theta[[1, 3, 6]] if problem is PUBLISHED else theta[:1]
    found = hypergradient(problem, chosen, discount)
    for run, point in enumerate(chosen):
        value, gradient = autograd(problem, point, discount)
        assert found.leader_return[run] == pytest.approx(value, rel=1e-10)
        scale = np.abs(gradient).max()
        np.testing.assert_allclose(found.total[run], gradient, rtol=1e-8, atol=1e-9 * scale)
