"""dJ/dθ in thermal control: central differences, the paper's covariance, autograd."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bilevelrl.core.exact import Hypergradient
from bilevelrl.problems.thermal_control.exact import (
    components,
    thermal_hypergradient,
    weighted,
)
from bilevelrl.problems.thermal_control.problem import ThermalControl
from tests.buildings import (
    ALL,
    BETA,
    NAMES,
    PUBLISHED,
    THETA_X,
    designs,
    follower_of,
    literal_dynamics,
    normal_nodes,
    value_iteration,
)

Floats = NDArray[np.float64]
EVERY = pytest.mark.parametrize("problem", ALL, ids=NAMES)
#: Steps of episodes whose discounted sums are those without end.
ENDLESS = 600
HORIZONS = pytest.mark.parametrize("horizon", [ENDLESS, 100, 7])


def leader_return(problem: ThermalControl, theta: Floats) -> Floats:
    response = follower_of(problem, len(theta)).respond(theta)
    return weighted(problem, components(problem, theta, response))


def hypergradient(problem: ThermalControl, theta: Floats) -> Hypergradient:
    follower = follower_of(problem, len(theta))
    return thermal_hypergradient(follower, theta, follower.respond(theta))


@EVERY
@HORIZONS
def test_matches_central_differences(problem: ThermalControl, horizon: int) -> None:
    problem = replace(problem, max_episode_steps=horizon)
    theta, step = designs(problem, 3), 1e-4
    found, size = hypergradient(problem, theta), problem.num_parameters
    follower = follower_of(problem, 1)
    for run in range(3):
        steps = step * np.eye(size)
        ends = np.concatenate([theta[run] + k * steps for k in (1.0, -1.0, 2.0, -2.0)])
        ahead, behind, far, farther = leader_return(problem, ends).reshape(4, size)
        numeric = (8.0 * (ahead - behind) - (far - farther)) / (12.0 * step)  # Richardson's
        scale = np.abs(found.total[run]).max()
        np.testing.assert_allclose(found.total[run], numeric, rtol=1e-6, atol=1e-7 * scale)
        # The direct part is what a follower that stays leaves.
        frozen = follower.respond(theta[run : run + 1])
        values = [weighted(problem, components(problem, end[None], frozen))[0] for end in ends]
        ahead, behind, far, farther = np.reshape(values, (4, size))
        numeric = (8.0 * (ahead - behind) - (far - farther)) / (12.0 * step)
        np.testing.assert_allclose(found.direct[run], numeric, rtol=1e-6, atol=1e-7 * scale)
        # The split matters at these points.
        assert np.abs(found.indirect[run]).max() > 0.05 * np.abs(found.direct[run]).max()
    np.testing.assert_array_equal(found.leader_return, leader_return(problem, theta))


def expected_covariance(problem: ThermalControl, theta: Floats) -> Floats:
    """(1/β) E Σ γᵗ Cov(∇Q_F, Q_L) of one run without end, from nodes, differences and solves."""
    gamma, b, step = problem.discount, problem.input_matrix, 1e-4
    n, m = b.shape
    size = problem.num_parameters
    _, k, wide, _ = value_iteration(problem, theta, BETA)
    a = literal_dynamics(problem, theta)
    loop = a - b @ k
    eye = np.eye(n * n)
    spread = (np.eye(n) - 1.0 / n) / n
    cost = problem.stability_weight * spread + problem.energy_weight * k.T @ k
    to_go = np.linalg.solve(eye - gamma * np.kron(loop.T, loop.T), cost.ravel()).reshape(n, n)
    start = problem.initial_deviation**2 * np.eye(n)
    added = b @ wide @ b.T + problem.noise**2 * np.eye(n)
    start = start + gamma / (1.0 - gamma) * added
    visits = np.linalg.solve(eye - gamma * np.kron(loop, loop), start.ravel()).reshape(n, n)
    # The covariance given s is quadratic in s and even, so that states at ±√n times the columns of
    # a root of its moment will do.
    z, mass = normal_nodes(m)
    states = np.sqrt(n) * np.linalg.cholesky((1.0 - gamma) * visits).T
    states = np.concatenate([states, -states])[:, None]
    actions = -states @ k.T + z @ np.linalg.cholesky(wide).T

    def follower_value(end: Floats) -> Floats:
        p, _, _, v = value_iteration(problem, end, BETA)
        after = states @ literal_dynamics(problem, end).T + actions @ b.T
        spent = np.einsum("sai,ij,saj->sa", after, p, after) + problem.noise**2 * np.trace(p)
        value: Floats = -(spent + v)
        return value  # r_F does not depend on θ

    steps = step * np.eye(size)
    gradient = np.stack(
        [follower_value(theta + e) - follower_value(theta - e) for e in steps], axis=-1
    )
    gradient *= gamma / (2.0 * step)
    after = states @ a.T + actions @ b.T
    leader = problem.operating_reward(np.broadcast_to(states, after.shape), actions)
    leader = leader - gamma * np.einsum("sai,ij,saj->sa", after, to_go, after)
    centred = leader - (leader * mass).sum(axis=1, keepdims=True)
    covariance = np.einsum("a,sa,sad->sd", mass, centred, gradient).mean(axis=0)
    result: Floats = covariance / (1.0 - gamma) / BETA
    return result


@EVERY
def test_the_indirect_part_is_the_paper_s_covariance(problem: ThermalControl) -> None:
    theta = designs(problem, 2)
    found = hypergradient(replace(problem, max_episode_steps=ENDLESS), theta).indirect
    for run in range(2):
        expected = expected_covariance(problem, theta[run])
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found[run], expected, rtol=1e-5, atol=1e-6 * scale)


def autograd(problem: ThermalControl, theta: Floats, horizon: int) -> tuple[float, Floats]:
    """J and dJ/dθ of one run, through unrolled Riccati iterations."""
    base, b, eta, q, r = (
        torch.tensor(getattr(problem, name))
        for name in (
            "base_matrix", "input_matrix", "insulation_effect", "state_cost", "control_cost"
        )
    )  # fmt: skip
    gamma, n = problem.discount, problem.num_zones
    x = torch.tensor(theta, requires_grad=True)
    alpha, beta = torch.sigmoid(x[:n]), torch.sigmoid(x[n:])
    ring = torch.roll(torch.eye(n).double(), 1, dims=1)  # [i, i + 1]
    off = base * (ring * beta[:, None] + ring.T * beta)
    a = off + torch.diag(torch.diag(base) + eta * (1.0 - alpha) - off.sum(dim=1))
    p = q
    for _ in range(1500):
        pull = torch.linalg.solve(r + gamma * b.T @ p @ b, b.T @ p @ a)
        p = q + gamma * a.T @ p @ a - gamma**2 * a.T @ p @ b @ pull
    s = r + gamma * b.T @ p @ b
    k, wide = gamma * torch.linalg.solve(s, b.T @ p @ a), 0.5 * BETA * torch.linalg.inv(s)
    loop, eye = a - b @ k, torch.eye(n).double()
    added = b @ wide @ b.T + problem.noise**2 * eye
    moment, total = problem.initial_deviation**2 * eye, torch.zeros(()).double()
    design = problem.insulation_weight * alpha @ alpha + problem.airflow_weight * beta @ beta
    for t in range(horizon):
        variance = (torch.trace(moment) - moment.sum() / n) / n
        energy = torch.trace(k @ moment @ k.T) + torch.trace(wide)
        paid = problem.stability_weight * variance + problem.energy_weight * energy + design
        total = total - gamma**t * paid
        moment = loop @ moment @ loop.T + added
    (gradient,) = torch.autograd.grad(total, x)
    return total.item(), gradient.numpy()


@EVERY
def test_automatic_differentiation_agrees(problem: ThermalControl) -> None:
    theta = (
        np.stack([THETA_X, designs(problem, 1)[0]]) if problem is PUBLISHED else designs(problem, 2)
    )
    found = hypergradient(replace(problem, max_episode_steps=100), theta)
    for run in range(2):
        value, gradient = autograd(problem, theta[run], 100)
        assert found.leader_return[run] == pytest.approx(value, rel=1e-11)
        scale = np.abs(gradient).max()
        np.testing.assert_allclose(found.total[run], gradient, rtol=1e-8, atol=1e-9 * scale)
