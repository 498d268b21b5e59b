"""J and its hypergradient in BilevelLQR: independent numbers, simulation, batches, refusals."""

from dataclasses import replace

import numba
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bilevelrl.core.follower import NotConverged
from bilevelrl.problems.bilevel_lqr.follower import MaxEntropyLQR
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR
from tests.games import big_lqr
from tests.problems.bilevel_lqr.exact_points import (
    BETA,
    GENERIC_POINTS,
    POINTS,
    PROBLEMS,
    PUBLISHED,
    hypergradient,
    leader_return,
)

Floats = NDArray[np.float64]


def test_reproduces_the_spec_s_returns() -> None:
    points = np.array(
        [[-7.59, 0.9306], [-9.683, -10.25], [-8.0, 0.0], [-9.0, -9.0], [-10.0, -11.0], [-10.5, -11]]
    )
    expected = [0.451, 3.840, 0.510, 1.188, 13.63, 0.000]
    found = leader_return(PUBLISHED, points, discount=1.0)
    np.testing.assert_allclose(
        found[[0, 1, 2, 3, 5]], np.array(expected)[[0, 1, 2, 3, 5]], atol=5e-4
    )
    assert found[4] == pytest.approx(13.63, abs=5e-3)
    longer = leader_return(replace(PUBLISHED, max_episode_steps=200), points[:2])
    np.testing.assert_allclose(longer, [0.443, 3.406], atol=5e-4)


def test_reproduces_the_spec_s_distribution_of_starts() -> None:
    start = np.random.default_rng(0).standard_normal((1000, 2))
    found = leader_return(PUBLISHED, start, discount=1.0)
    assert found.mean() == pytest.approx(0.0155, abs=1e-4)
    assert np.quantile(found, [0.02, 0.98]) == pytest.approx([0.0142, 0.02], abs=2e-3)


def test_the_best_point_of_the_spec_s_grid_is_where_the_spec_says() -> None:
    # The part of it around the ridge. With K₂ = -10 and K₁ < -10.2 there is no best response.
    grid = np.stack(np.meshgrid(np.arange(-12, -7.9, 0.5), np.arange(-14, -5.9, 0.5)), -1)
    theta = grid.reshape(-1, 2)
    theta = theta[(theta[:, 1] != -10.0) | (theta[:, 0] > -10.2)]
    found = leader_return(PUBLISHED, theta, discount=1.0)
    assert found.max() == pytest.approx(13.63, abs=5e-3)
    # With K₁ = -10, the maximum has a twin on the other side of K₂ = -10.
    best = theta[found > found.max() - 1e-9]
    np.testing.assert_array_equal(best[np.argsort(best[:, 1])], [[-10.0, -11.0], [-10.0, -9.0]])


@pytest.mark.parametrize(
    ("discount", "best_gain", "best"),
    [(1.0, -9.9654936, 18.4263528), (0.99, -9.9614653, 11.3090467)],
)
def test_the_best_known_leader_is_a_stationary_maximum(
    discount: float, best_gain: float, best: float
) -> None:
    # Found by ascent from 300 starts in [-22, 22]²; the follower has no hold on x₁ there.
    top = np.array([best_gain, -10.0])
    steps = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, -1.0]])
    around = np.concatenate([top + 0.003 * steps, top - 0.003 * steps])
    found = hypergradient(PUBLISHED, np.concatenate([top[None], around]), discount)
    assert found.leader_return[0] == pytest.approx(best, abs=1e-7)
    assert (found.leader_return[1:] < best - 1e-5).all()
    np.testing.assert_allclose(found.total[0], 0.0, atol=1e-3)
    # Not because the slopes are small there.
    assert (np.abs((found.total[1:] * np.concatenate([steps, -steps])).sum(axis=1)) > 0.01).all()


@pytest.mark.parametrize(
    ("problem", "theta"),
    [
        (PUBLISHED, POINTS[3:4]),
        (PUBLISHED, POINTS[2:3]),
        (big_lqr(follower_discount=0.9, leader_noise=0.4), GENERIC_POINTS[:1]),
    ],
    ids=["ridge", "notebook", "generic"],
)
def test_is_the_mean_of_simulated_returns(problem: BilevelLQR, theta: Floats) -> None:
    response = MaxEntropyLQR(problem, np.array([BETA])).respond(theta)
    rng, episodes = np.random.default_rng(3), 6000
    root = np.linalg.cholesky(response.covariance[0])
    x = np.broadcast_to(problem.initial_state, (1, episodes, len(problem.initial_state)))
    total = np.zeros((1, episodes))
    for t in range(100):
        total += 0.99**t * problem.leader_reward(x)
        a = x @ problem.gain(theta)[0].T
        a = a + problem.leader_noise * rng.standard_normal(a.shape)
        u = response.mean_action(problem, theta, x, a)
        x = problem.transition(x, a, u + rng.standard_normal(u.shape) @ root.T)
    error = total.std() / np.sqrt(episodes)
    exact = leader_return(problem, theta)[0]
    assert error < 0.015 * exact  # standard errors of .4, 1.2 and .5 %
    assert abs(total.mean() - exact) < 3.5 * error


def test_what_the_follower_plays_counts() -> None:
    response = MaxEntropyLQR(PUBLISHED, np.full(len(POINTS), BETA)).respond(POINTS)
    lazy = replace(response, state_gain=np.zeros((8, 1, 2)), noise_gain=np.zeros((8, 1, 2)))
    ignoring = leader_return(PUBLISHED, POINTS, response=lazy)
    assert (np.abs(ignoring / leader_return(PUBLISHED, POINTS) - 1.0)[2:] > 1e-3).all()


def test_the_first_reward_is_that_of_the_initial_state() -> None:
    problem = big_lqr(follower_discount=0.9, leader_noise=0.4, max_episode_steps=1)
    once = leader_return(problem, GENERIC_POINTS, 0.5)
    np.testing.assert_allclose(once, problem.leader_reward(problem.initial_state), rtol=1e-14)


@PROBLEMS
def test_a_run_is_the_same_alone_in_a_batch_of_7_and_on_any_number_of_threads(
    problem: BilevelLQR, theta: Floats
) -> None:
    theta = np.resize(theta, (7, theta.shape[1]))
    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
    torch_threads = torch.get_num_threads()
    together = hypergradient(problem, theta)
    numba.set_num_threads(1)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for run in range(7):
            alone = hypergradient(problem, theta[run : run + 1])
            np.testing.assert_array_equal(alone.direct[0], together.direct[run])
            np.testing.assert_array_equal(alone.indirect[0], together.indirect[run])
            assert alone.leader_return[0] == together.leader_return[run]
            assert leader_return(problem, theta[run : run + 1])[0] == together.leader_return[run]
    torch.set_num_threads(torch_threads)


def test_a_leader_without_a_best_response_is_refused() -> None:
    with pytest.raises(NotConverged, match=r"run 0 to θ = \[-11.0, -10.0\]"):
        hypergradient(PUBLISHED, np.array([[-11.0, -10.0]]))
