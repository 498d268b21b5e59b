"""Least-squares temporal differences on quadratic features."""

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.models.linear_gaussian.quadratic import Quadratic, least_squares_td

Floats = NDArray[np.float64]
GAMMA, HORIZON, SIZE, OUTPUTS = 0.9, 8, 3, 2


def system(num_runs: int) -> tuple[Floats, Floats]:
    """F and W of z' = F z + w with w ~ N(0, W), one of each a run."""
    rng = np.random.default_rng(1)
    matrix = rng.standard_normal((num_runs, SIZE, SIZE))
    matrix *= 0.8 / np.linalg.norm(matrix, 2, axis=(1, 2), keepdims=True)
    root = rng.standard_normal((num_runs, SIZE, SIZE))
    return matrix, root @ root.mT


def costs(num_runs: int) -> Quadratic:
    """Rewards of a state."""
    rng = np.random.default_rng(2)
    matrix = rng.standard_normal((num_runs, OUTPUTS, SIZE, SIZE))
    return Quadratic(matrix + matrix.mT, rng.standard_normal((num_runs, OUTPUTS)))


def truth(num_runs: int, *, noisy: bool) -> Quadratic:
    """f(z) = r(z) + γ E f(z')."""
    (matrix, covariance), reward = system(num_runs), costs(num_runs)
    found, loop = reward.matrix, matrix[:, None]
    for _ in range(200):
        found = reward.matrix + GAMMA * (loop.mT @ found @ loop)
    shaken = (found * covariance[:, None]).sum(axis=(2, 3)) if noisy else 0.0
    return Quadratic(found, (reward.offset + GAMMA * shaken) / (1.0 - GAMMA))


def rows(num_runs: int, num_steps: int) -> Floats:
    return np.random.default_rng(3).standard_normal((num_runs, num_steps, SIZE))


def trajectories(num_runs: int, num_episodes: int) -> tuple[Floats, Floats]:
    """z and z' of whole noisy episodes."""
    matrix, covariance = system(num_runs)
    root, rng = np.linalg.cholesky(covariance), np.random.default_rng(4)
    z = rng.standard_normal((num_runs, num_episodes, SIZE))
    pairs = []
    for _ in range(HORIZON):
        after = z @ matrix.mT + rng.standard_normal(z.shape) @ root.mT
        pairs.append((z, after))
        z = after
    before, following = (np.stack(part, axis=2) for part in zip(*pairs, strict=True))
    shape = (num_runs, num_episodes * HORIZON, SIZE)
    return before.reshape(shape), following.reshape(shape)


def assert_same(found: Quadratic, expected: Quadratic, tolerance: float) -> None:
    np.testing.assert_allclose(found.matrix, expected.matrix, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(found.offset, expected.offset, rtol=tolerance, atol=tolerance)


def test_a_quadratic_is_evaluated_row_by_row() -> None:
    z, function = rows(2, 5), costs(2)
    expected = np.einsum("rni,rkij,rnj->rnk", z, function.matrix, z) + function.offset[:, None]
    np.testing.assert_allclose(function(z), expected, rtol=1e-12)
    weights = np.random.default_rng(3).normal(size=z.shape[:2])
    summed = np.einsum("rn,rnk->rk", weights, expected)
    np.testing.assert_allclose(function.weighted_sum(weights, z), summed, rtol=1e-10)


def test_a_deterministic_system_is_learned_exactly() -> None:
    z, (matrix, _) = rows(3, 4 * HORIZON), system(3)
    found = least_squares_td(z, z @ matrix.mT, costs(3)(z), HORIZON, GAMMA)
    assert_same(found, truth(3, noisy=False), 1e-9)


def test_expectations_of_what_follows_are_learned_from_exactly() -> None:
    z, (matrix, covariance) = rows(3, 4 * HORIZON), system(3)
    found = least_squares_td(z, z @ matrix.mT, costs(3)(z), HORIZON, GAMMA, covariance)
    assert_same(found, truth(3, noisy=True), 1e-9)
    # Which the covariance decides.
    assert np.abs(truth(3, noisy=True).offset - truth(3, noisy=False).offset).min() > 1.0


@pytest.mark.parametrize("magnitude", [1e-3, 1e3])
def test_the_unit_of_the_inputs_does_not_matter(magnitude: float) -> None:
    z, (matrix, covariance) = magnitude * rows(3, 4 * HORIZON), system(3)
    z[:, 1::2] *= 1e-3  # late deviations beside early ones
    reward = costs(3)(z)
    wide = magnitude**2 * covariance
    found = least_squares_td(z, z @ matrix.mT, reward, HORIZON, GAMMA, wide)
    expected = truth(3, noisy=True).matrix
    np.testing.assert_allclose(found.matrix, expected, rtol=1e-5, atol=1e-5)


def features(z: Floats) -> Floats:
    """1 and all z_i z_j with i <= j, shape (N, 1 + p (p + 1) / 2)."""
    products = [z[:, i] * z[:, j] for i in range(SIZE) for j in range(i, SIZE)]
    return np.stack([np.ones(len(z)), *products], axis=1)


@pytest.mark.parametrize("expected_next", [False, True])
def test_solves_the_normal_equations(expected_next: bool) -> None:
    z, following = trajectories(2, 6)
    reward = np.random.default_rng(5).standard_normal((*z.shape[:2], OUTPUTS))
    added = system(2)[1] if expected_next else None
    found = least_squares_td(z, following, reward, HORIZON, GAMMA, added)
    kept = np.arange(6 * HORIZON) % HORIZON < HORIZON - 1
    for run in range(2):
        phi, later = features(z[run, kept]), features(following[run, kept])
        if added is not None:
            later[:, 1:] += added[run][np.triu_indices(SIZE)]
        weights = np.linalg.solve(phi.T @ (phi - GAMMA * later), phi.T @ reward[run, kept])
        # wᵀφ(z) anywhere.
        at = rows(2, 30)
        np.testing.assert_allclose(
            found(at)[run], features(at[run]) @ weights, rtol=1e-8, atol=1e-8
        )
        np.testing.assert_array_equal(found.matrix[run], found.matrix[run].mT)


def test_the_error_shrinks_with_the_root_of_the_batch() -> None:
    runs, sizes = 40, (100, 1600)
    expected, errors = truth(runs, noisy=True), []
    loud = np.random.default_rng(6)
    for episodes in sizes:
        z, following = trajectories(runs, episodes)
        reward = costs(runs)(z)
        reward += loud.standard_normal(reward.shape)
        found = least_squares_td(z, following, reward, HORIZON, GAMMA)
        errors.append(np.sqrt(np.square(found.matrix - expected.matrix).mean(axis=(1, 2, 3))))
    # A quarter of the error from 16 times as much data, for the typical run: no bias is left.
    assert np.median(errors[0] / errors[1]) == pytest.approx(4.0, rel=0.2)


def test_the_last_step_of_an_episode_is_ignored() -> None:
    z, following = trajectories(2, 6)
    reward = costs(2)(z)
    found = least_squares_td(z, following, reward, HORIZON, GAMMA)
    last = slice(HORIZON - 1, None, HORIZON)
    z[:, last], following[:, last], reward[:, last] = np.nan, np.nan, np.nan
    again = least_squares_td(z, following, reward, HORIZON, GAMMA)
    np.testing.assert_array_equal(again.matrix, found.matrix)
    np.testing.assert_array_equal(again.offset, found.offset)
    # Every other step counts.
    for step in range(HORIZON - 1):
        changed = reward.copy()
        changed[:, step] += 1.0
        other = least_squares_td(z, following, changed, HORIZON, GAMMA)
        assert (np.abs(other.offset - found.offset) > 1e-6).all()


def test_bits_depend_on_neither_the_other_runs_nor_the_threads() -> None:
    z, following = trajectories(5, 20)
    reward, added, at = costs(5)(z), system(5)[1], rows(5, 30)

    def learn(part: slice) -> tuple[Floats, Floats, Floats, Floats]:
        found = least_squares_td(
            z[part], following[part], reward[part], HORIZON, GAMMA, added[part]
        )
        summed = found.weighted_sum(at[part, :, 0], at[part])
        return found.matrix, found.offset, found(at[part]), summed

    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    together = learn(slice(None))
    numba.set_num_threads(1)
    for run in range(5):
        for alone, every in zip(learn(slice(run, run + 1)), together, strict=True):
            np.testing.assert_array_equal(alone[0], every[run])
