"""The law of motion of two linear-Gaussian policies, and the mean reward of a Gaussian state."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.problems.bilevel_lqr.closed_loop import closed_loop, widened_target
from bilevelrl.problems.bilevel_lqr.follower import LinearGaussianResponse, MaxEntropyLQR
from tests.games import generic_lqr

Floats = NDArray[np.float64]


def test_the_next_state_has_the_moments_that_the_two_policies_give_it() -> None:
    # One step by hand: x' is linear in (x, ξ, η) with a = K x + W ξ and u = mean(x, a) + L η, so
    # its coefficients are differences of `transition` at unit vectors.
    problem, rng = generic_lqr(leader_noise=0.5), np.random.default_rng(0)
    theta = rng.standard_normal((4, 3))
    response = MaxEntropyLQR(problem, np.linspace(0.1, 2.0, 4)).respond(theta)
    loop = closed_loop(problem, theta, response)
    for run in range(4):
        part = slice(run, run + 1)
        one = MaxEntropyLQR(problem, np.linspace(0.1, 2.0, 4)[part]).respond(theta[part])
        gain = problem.gain(theta)[run]

        def move(
            x: Floats,
            innovation: Floats,
            eta: Floats,
            gain: Floats = gain,
            one: LinearGaussianResponse = one,
            against: Floats = theta[part],
        ) -> Floats:
            action = gain @ x + innovation
            mean = one.mean_action(problem, against, x[None], action[None])[0]
            shock = np.linalg.cholesky(one.covariance[0]) @ eta
            return problem.transition(x, action, mean + shock)

        rest = np.zeros(3), np.zeros(1), np.zeros(2)
        by_state = np.stack([move(e, *rest[1:]) for e in np.eye(3)], axis=1)
        by_innovation = move(rest[0], np.ones(1), rest[2])[:, None]
        by_shock = np.stack([move(*rest[:2], e) for e in np.eye(2)], axis=1)
        np.testing.assert_allclose(loop.matrix[run], by_state, atol=1e-13)
        np.testing.assert_allclose(loop.action_matrix[run], by_innovation, atol=1e-13)
        spread = by_shock @ by_shock.T
        np.testing.assert_allclose(loop.follower_covariance[run], spread, atol=1e-13)
        spread = spread + problem.leader_noise**2 * by_innovation @ by_innovation.T
        np.testing.assert_allclose(loop.covariance[run], spread, atol=1e-13)


@pytest.mark.parametrize("size", [0.0, 0.01, 1.0, 30.0])
def test_a_bump_over_a_gaussian_is_the_integral_over_it(size: float) -> None:
    # Against a grid in two dimensions that covers 9 standard deviations of the narrower factor.
    scale, target, mean = np.array([0.5, 0.2]), np.array([0.1, -0.2]), np.array([0.7, 0.1])
    root = size * np.array([[0.8, 0.0], [-0.5, 0.3]])
    covariance, precision = root @ root.T, np.empty((2, 2))
    amplitude = widened_target(scale, covariance, precision)
    found = amplitude * np.exp(-0.5 * (mean - target) @ precision @ (mean - target))
    # E f(mean + root z) = ∫ f(x) p(x) dx; in x where f is narrow, else in z.
    grid = np.linspace(-9.0, 9.0, 601)
    cell, both = (grid[1] - grid[0]) ** 2, np.stack(np.meshgrid(grid, grid), axis=-1)
    if size < 1.0:
        x = mean + both @ root.T
        weight = np.exp(-0.5 * np.square(both).sum(-1)) / (2.0 * np.pi)
        bump = np.exp(-0.5 * np.square((x - target) / scale).sum(-1))
    else:
        x = target + both * scale
        bump = np.exp(-0.5 * np.square(both).sum(-1)) * scale.prod()
        e = np.linalg.solve(root, (x - mean).reshape(-1, 2).T)
        density = np.exp(-0.5 * np.square(e).sum(0)) / (2.0 * np.pi * np.linalg.det(root))
        weight = density.reshape(601, 601)
    assert found == pytest.approx((bump * weight).sum() * cell, rel=1e-9)
    inverse = np.linalg.inv(np.diag(scale**2) + covariance)
    np.testing.assert_allclose(precision, inverse, rtol=1e-9)


def test_a_bump_over_a_degenerate_gaussian_of_any_size_stays_below_one() -> None:
    # A covariance of rank 1 and size 10²⁴ against a target of 10⁻⁴: nothing to invert without care.
    direction = 1e12 * np.array([1.0, 1.0 / 3.0, -0.7])
    precision = np.empty((3, 3))
    amplitude = widened_target(np.full(3, 1e-2), np.outer(direction, direction), precision)
    assert amplitude == pytest.approx(1e-2 / np.linalg.norm(direction), rel=1e-6)
    assert np.isfinite(precision).all()
