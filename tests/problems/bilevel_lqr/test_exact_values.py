"""The leader's true action values: simulation, quadrature, and the Bellman equation."""

from dataclasses import fields, replace

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.problems.bilevel_lqr.exact import lqr_leader_return
from bilevelrl.problems.bilevel_lqr.follower import LinearGaussianResponse, MaxEntropyLQR
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR
from tests.games import generic_lqr
from tests.problems.bilevel_lqr.exact_values import LeaderValues, exact_leader_values

Floats = NDArray[np.float64]
BETA, GAMMA, HORIZON = np.array([0.1, 0.3, 0.1]), 0.99, 40
THETA = np.array([[-9.683, -10.25], [-7.59, 0.9306], [0.4, -1.2]])
NOISE = 0.3  # a loud leader makes E over a worth taking
PUBLISHED = BilevelLQR.published(leader_noise=NOISE)


PROBLEMS = pytest.mark.parametrize(
    ("problem", "theta"),
    [
        (PUBLISHED, THETA),
        (generic_lqr(leader_noise=NOISE), 0.5 * np.random.default_rng(2).standard_normal((3, 3))),
    ],
    ids=["published", "generic"],
)


def solve(problem: BilevelLQR, theta: Floats) -> LinearGaussianResponse:
    return MaxEntropyLQR(problem, BETA).respond(theta)


def rollout(
    problem: BilevelLQR,
    theta: Floats,
    response: LinearGaussianResponse,
    start: Floats,
    num_steps: int,
    rng: np.random.Generator,
) -> tuple[Floats, Floats, Floats]:
    """(x, a, u) of all steps with time as axis 2, from states (R, E, n)."""
    steps = []
    x, root = start, np.linalg.cholesky(response.covariance)
    for _ in range(num_steps):
        a = np.einsum("rli,rei->rel", problem.gain(theta), x)
        a = a + NOISE * rng.standard_normal(a.shape)
        u = response.mean_action(problem, theta, x, a)
        u = u + np.einsum("rij,rej->rei", root, rng.standard_normal(u.shape))
        steps.append((x, a, u))
        x = problem.transition(x, a, u)
    states, leader, follower = (np.stack(part, axis=2) for part in zip(*steps, strict=True))
    return states, leader, follower


def values(
    problem: BilevelLQR,
    theta: Floats,
    state: Floats,
    leader: Floats,
    follower: Floats,
    horizon: int = HORIZON,
) -> LeaderValues:
    return exact_leader_values(
        problem, theta, solve(problem, theta), state, leader, follower,
        discount=GAMMA, horizon=horizon,
    )  # fmt: skip


def sample(problem: BilevelLQR, theta: Floats, num_episodes: int) -> tuple[Floats, Floats, Floats]:
    start = np.broadcast_to(problem.initial_state, (3, num_episodes, len(problem.initial_state)))
    rng = np.random.default_rng(7)
    return rollout(problem, theta, solve(problem, theta), start, HORIZON, rng)


@PROBLEMS
def test_all_three_start_at_the_leader_s_return_and_end_at_the_last_reward(
    problem: BilevelLQR, theta: Floats
) -> None:
    state, leader, follower = sample(problem, theta, 2)
    found = values(problem, theta, state, leader, follower)
    episodic = replace(problem, max_episode_steps=HORIZON)
    exact = lqr_leader_return(episodic, theta, solve(problem, theta), GAMMA)
    np.testing.assert_allclose(found.q_state_mean[:, :, 0], np.tile(exact, (2, 1)).T, rtol=1e-12)
    for part in (found.q, found.q_follower_mean, found.q_state_mean):
        assert part.shape == (3, 2, HORIZON)
        np.testing.assert_array_equal(part[:, :, -1], problem.leader_reward(state[:, :, -1]))


@PROBLEMS
def test_what_is_known_after_a_step_is_the_value_of_the_next_state(
    problem: BilevelLQR, theta: Floats
) -> None:
    state, leader, follower = sample(problem, theta, 3)
    found = values(problem, theta, state, leader, follower)
    later = problem.leader_reward(state[:, :, :-1]) + GAMMA * found.q_state_mean[:, :, 1:]
    np.testing.assert_allclose(found.q[:, :, :-1], later, rtol=1e-11)


def gaussian_grid(half_width: float, step: float, dimension: int) -> tuple[Floats, Floats]:
    """Nodes and masses of the trapezoidal rule for a standard normal; exponentially accurate."""
    node = np.arange(-half_width, half_width + 0.5 * step, step)
    mass = np.exp(-0.5 * node**2) * step / np.sqrt(2.0 * np.pi)
    nodes = np.stack(np.meshgrid(*[node] * dimension, indexing="ij"), axis=-1)
    masses = np.prod(np.meshgrid(*[mass] * dimension, indexing="ij"), axis=0)
    return nodes.reshape(-1, dimension), masses.reshape(-1)


@pytest.mark.parametrize("steps_left", [2, HORIZON])
@PROBLEMS
def test_means_are_integrals_of_q(problem: BilevelLQR, theta: Floats, steps_left: int) -> None:
    # The published bump is .01 wide under a spread of .02 to .04, so it takes a finer grid.
    response = solve(problem, theta)
    eta, eta_mass = gaussian_grid(
        7.0, 0.15 if problem is PUBLISHED else 0.5, response.covariance.shape[1]
    )
    xi, xi_mass = gaussian_grid(7.0, 0.2, 1)
    spread = np.einsum("rij,kj->rki", np.linalg.cholesky(response.covariance), eta)

    def mean_over_follower(x: Floats, a: Floats) -> Floats:
        """∫ Q(x, a, u) π(u | x, a) du, shape (3, P), for x (3, P, n) and a (3, P, l)."""
        u = response.mean_action(problem, theta, x, a)[:, :, None] + spread[:, None]

        def flat(part: Floats) -> Floats:
            whole = np.broadcast_to(part, (*u.shape[:3], part.shape[-1]))
            return whole.reshape(3, -1, 1, part.shape[-1])

        q = values(problem, theta, flat(x[:, :, None]), flat(a[:, :, None]), flat(u), steps_left).q
        return q.reshape(u.shape[:3]) @ eta_mass

    x, a, u = (part[:, :, 2:3] for part in sample(problem, theta, 1))
    truth = values(problem, theta, x, a, u, steps_left)
    x, a = x[:, 0], a[:, 0]
    np.testing.assert_allclose(mean_over_follower(x, a), truth.q_follower_mean[:, 0], rtol=1e-8)
    actions = np.einsum("rli,rei->rel", problem.gain(theta), x) + NOISE * xi
    states = np.broadcast_to(x, (3, len(xi), x.shape[-1]))
    found = mean_over_follower(states, actions) @ xi_mass
    np.testing.assert_allclose(found, truth.q_state_mean[:, 0, 0], rtol=1e-8)
    # Knowing more says more.
    assert (np.abs(truth.q / truth.q_follower_mean - 1.0) > 1e-4).all()
    assert (np.abs(truth.q_follower_mean / truth.q_state_mean - 1.0)[1:] > 1e-3).all()


@PROBLEMS
def test_q_is_what_a_simulation_earns_from_there(problem: BilevelLQR, theta: Floats) -> None:
    response, (state, leader, follower) = solve(problem, theta), sample(problem, theta, 1)
    truth = values(problem, theta, state, leader, follower)
    rng, episodes = np.random.default_rng(9), 3000
    for time in (1, HORIZON - 5):
        here = state[:, 0, time], leader[:, 0, time], follower[:, 0, time]
        after = problem.transition(*here)[:, None]
        start = np.broadcast_to(after, (3, episodes, after.shape[-1]))
        later, _, _ = rollout(problem, theta, response, start, HORIZON - time - 1, rng)
        weight = GAMMA ** np.arange(1, HORIZON - time)
        earned = problem.leader_reward(later) @ weight
        earned += problem.leader_reward(here[0])[:, None]
        error = earned.std(axis=1) / np.sqrt(episodes)
        exact = truth.q[:, 0, time]
        assert (np.abs(earned.mean(axis=1) - exact) < 4.0 * error + 1e-12).all()
        if time == 1:  # standard errors of the published runs, .5 to 1.6 %; the generic ones, .2 %
            assert (error < 0.03 * exact).all()


@PROBLEMS
def test_a_run_is_the_same_alone_and_on_any_number_of_threads(
    problem: BilevelLQR, theta: Floats
) -> None:
    steps = sample(problem, theta, 2)
    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
    together = values(problem, theta, *steps)
    numba.set_num_threads(1)
    for run in range(3):
        part = slice(run, run + 1)
        response = MaxEntropyLQR(problem, BETA[part]).respond(theta[part])
        alone = exact_leader_values(
            problem, theta[part], response, *(array[part] for array in steps),
            discount=GAMMA, horizon=HORIZON,
        )  # fmt: skip
        for field in fields(alone):
            pair = getattr(alone, field.name), getattr(together, field.name)[part]
            np.testing.assert_array_equal(*pair, err_msg=field.name)


def test_episodes_longer_than_the_horizon_are_refused() -> None:
    steps = sample(PUBLISHED, THETA, 1)
    response = solve(PUBLISHED, THETA)
    with pytest.raises(ValueError, match="episodes of 40 steps exceed the horizon 39"):
        exact_leader_values(PUBLISHED, THETA, response, *steps, discount=0.99, horizon=39)
