"""The maximum-entropy LQR: two derivations, optimality, its certificate, and batches."""

from dataclasses import fields, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.follower import NotConverged
from bilevelrl.models.linear_gaussian.lyapunov import discounted_sum
from bilevelrl.problems.bilevel_lqr.closed_loop import closed_loop
from bilevelrl.problems.bilevel_lqr.follower import LinearGaussianResponse, MaxEntropyLQR
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR
from tests.games import big_lqr

Floats = NDArray[np.float64]
PUBLISHED = BilevelLQR.published()


PROBLEMS = pytest.mark.parametrize(
    "problem",
    [PUBLISHED, big_lqr(follower_discount=0.9, leader_noise=0.4)],
    ids=["published", "generic"],
)


def leaders(problem: BilevelLQR, num_runs: int) -> tuple[Floats, Floats]:
    """θ and temperature of each run; those of the published game reach up to the optimum."""
    rng = np.random.default_rng(11)
    spread = 10.0 if problem.num_parameters == 2 else 0.5
    theta = rng.uniform(-spread, spread, (num_runs, problem.num_parameters))
    return theta, rng.uniform(0.05, 1.0, num_runs)


def answer(problem: BilevelLQR, num_runs: int) -> tuple[Floats, Floats, LinearGaussianResponse]:
    theta, temperature = leaders(problem, num_runs)
    return theta, temperature, MaxEntropyLQR(problem, temperature).respond(theta)


@PROBLEMS
def test_equals_value_iteration_as_the_spec_writes_it(problem: BilevelLQR) -> None:
    theta, temperature, response = answer(problem, 4)
    gamma, m = problem.follower_discount, problem.follower_matrix.shape[1]
    b, c = problem.follower_matrix, problem.leader_matrix
    for run, beta in enumerate(temperature):
        drift = problem.state_matrix + c @ problem.gain(theta)[run]
        p, before = problem.state_cost, np.zeros_like(problem.state_cost)
        for _ in range(20_000):
            before = p
            s = problem.control_cost + gamma * b.T @ p @ b
            pulled = b @ np.linalg.solve(s, b.T)
            m_matrix = gamma * p - gamma**2 * p @ pulled @ p
            p = problem.state_cost + drift.T @ m_matrix @ drift
            if np.linalg.norm(p - before) <= 1e-15 * np.linalg.norm(p):
                break
        noise = problem.leader_noise**2 * np.trace(m_matrix @ c @ c.T)
        volume = -0.5 * beta * m * np.log(np.pi * beta) + 0.5 * beta * np.log(np.linalg.det(s))
        k_a = gamma * np.linalg.solve(s, b.T @ p)
        for found, expected in (
            (response.quadratic, p),
            (response.noise, m_matrix),
            (response.cross, drift.T @ m_matrix),
            (response.offset, (volume + gamma * noise) / (1.0 - gamma)),
            (response.noise_gain, k_a),
            (response.state_gain, k_a @ drift),
            (response.covariance, 0.5 * beta * np.linalg.inv(s)),
        ):
            scale = np.abs(expected).max()
            np.testing.assert_allclose(found[run], expected, rtol=1e-11, atol=1e-11 * scale)


@PROBLEMS
def test_value_and_policy_solve_the_soft_bellman_equation(problem: BilevelLQR) -> None:
    # Q(x, a, u) - β log π(u | x, a) = V(x, a) for *every* u says both that π is the softmax of Q
    # and that V is its normaliser. Two Gauss-Hermite nodes integrate quadratics over a' exactly.
    theta, temperature, response = answer(problem, 5)
    rng = np.random.default_rng(3)
    n, m = problem.follower_matrix.shape
    l = problem.leader_matrix.shape[1]  # noqa: E741
    x, a, u = (3.0 * rng.standard_normal((5, 40, size)) for size in (n, l, m))
    after = problem.transition(x, a, u)[:, :, None]
    nodes = np.stack(np.meshgrid(*[[-1.0, 1.0]] * l), axis=-1).reshape(-1, l)
    mean = np.einsum("rli,rski->rskl", problem.gain(theta), after)
    next_action = mean + problem.leader_noise * nodes
    later = response.value(
        problem, theta, np.broadcast_to(after, (5, 40, len(nodes), n)), next_action
    )
    q = problem.follower_reward(x, u) + problem.follower_discount * later.mean(axis=2)
    off = u - response.mean_action(problem, theta, x, a)
    precision = np.linalg.inv(response.covariance)
    volume = np.log(np.linalg.det(2.0 * np.pi * response.covariance))[:, None]
    log_density = -0.5 * (np.einsum("rsi,rij,rsj->rs", off, precision, off) + volume)
    value = response.value(problem, theta, x, a)
    np.testing.assert_allclose(q - temperature[:, None] * log_density, value, rtol=1e-10)


def soft_value(
    problem: BilevelLQR, theta: Floats, beta: float, played: LinearGaussianResponse
) -> float:
    """Follower's soft return from the initial state, averaged over a; one run, any policy."""
    loop = closed_loop(problem, theta, played)
    start = np.diag(problem.initial_state)
    moment = start @ np.ones_like(start) @ start
    shaken = problem.leader_noise * played.noise_gain[0] @ problem.leader_matrix
    shock = shaken @ shaken.T + played.covariance[0]
    entropy = 0.5 * np.log(np.linalg.det(2.0 * np.pi * np.e * played.covariance[0]))
    total, weight = 0.0, 1.0
    for _ in range(800):
        effort = played.state_gain[0] @ moment @ played.state_gain[0].T + shock
        reward = -np.trace(problem.state_cost @ moment) - np.trace(problem.control_cost @ effort)
        total += weight * (reward + beta * entropy)
        moment = loop.matrix[0] @ moment @ loop.matrix[0].T + loop.covariance[0]
        weight *= problem.follower_discount
    return total


def alone(response: LinearGaussianResponse, run: int) -> LinearGaussianResponse:
    every = {f.name: getattr(response, f.name) for f in fields(response)}
    parts = {name: part[run : run + 1] for name, part in every.items() if np.ndim(part)}
    return replace(response, **parts)


@PROBLEMS
def test_value_is_what_the_policy_earns_and_every_change_earns_less(problem: BilevelLQR) -> None:
    problem = replace(problem, leader_noise=0.4)  # loud enough for the noise gain to matter
    theta, temperature, response = answer(problem, 3)
    rng = np.random.default_rng(5)
    nodes = np.array([-1.0, 1.0]) * problem.leader_noise
    for run, beta in enumerate(temperature):
        one, part = alone(response, run), theta[run : run + 1]
        best = soft_value(problem, part, beta, one)
        x = np.broadcast_to(problem.initial_state, (1, 2, len(problem.initial_state)))
        mean = problem.gain(part)[0] @ problem.initial_state
        # V is quadratic in a without cross terms in the mean, so one direction at a time will do.
        values = [
            one.value(problem, part, x, (mean + nodes[:, None] * e)[None])
            for e in np.eye(len(mean))
        ]
        middle = one.value(problem, part, x[:, :1], mean[None, None])[0, 0]
        averaged = middle + sum(v.mean() - middle for v in values)
        assert best == pytest.approx(averaged, rel=1e-10)
        for name in ("state_gain", "noise_gain", "covariance"):
            matrix = getattr(one, name)
            for _ in range(5):
                direction = rng.standard_normal(matrix.shape)
                if name == "covariance":
                    direction = 0.5 * matrix * (direction + direction.mT)
                losses = []
                for size in (-0.02, -0.01, 0.01, 0.02):
                    changed = replace(one, **{name: matrix + size * direction})
                    losses.append(best - soft_value(problem, part, beta, changed))
                # A maximum, and a smooth one: the loss grows with the square of the change.
                floor = 1e-11 * abs(best)
                assert min(losses) > floor
                assert losses[0] + losses[3] == pytest.approx(
                    4.0 * (losses[1] + losses[2]), rel=0.02, abs=10.0 * floor
                )


@PROBLEMS
def test_value_is_what_a_simulation_earns(problem: BilevelLQR) -> None:
    theta, temperature, response = answer(problem, 1)
    rng, episodes = np.random.default_rng(8), 4000
    one = slice(0, 1)
    x = np.broadcast_to(problem.initial_state, (1, episodes, len(problem.initial_state)))
    first = np.full((1, episodes, problem.leader_matrix.shape[1]), 0.3)
    a, earned, weight = first, np.zeros((1, episodes)), 1.0
    root = np.linalg.cholesky(response.covariance[0])
    entropy = 0.5 * np.log(np.linalg.det(2.0 * np.pi * np.e * response.covariance[0]))
    for _ in range(300):
        shock = rng.standard_normal((1, episodes, len(root))) @ root.T
        u = response.mean_action(problem, theta[one], x, a) + shock
        earned += weight * (problem.follower_reward(x, u) + temperature[0] * entropy)
        x = problem.transition(x, a, u)
        noise = problem.leader_noise * rng.standard_normal(a.shape)
        a = x @ problem.gain(theta)[0].T + noise
        weight *= problem.follower_discount
    value = response.value(problem, theta, np.broadcast_to(problem.initial_state, x.shape), first)
    error = earned.std() / np.sqrt(episodes)
    assert error < 0.02 * abs(value[0, 0])  # standard error: under 2 % of the value
    assert abs(earned.mean() - value[0, 0]) < 4.0 * error


# The last leader almost takes the unstable state away from the follower.
STUBBORN = np.array([[0.3, -0.5], [-9.683, -10.25], [-10.2, -10.0], [-11.0, -9.9], [-15.0, -9.99]])


def test_accuracy_bounds_the_true_error_of_an_early_answer() -> None:
    beta = np.full(5, 0.1)
    truth = MaxEntropyLQR(PUBLISHED, beta).respond(STUBBORN)
    root = np.linalg.inv(np.linalg.cholesky(truth.quadratic)).mT
    certified = np.zeros(5, dtype=int)
    for doublings in range(1, 12):
        early = MaxEntropyLQR(PUBLISHED, beta[:1], np.inf, doublings)
        for run in range(5):
            try:
                found = early.respond(STUBBORN[run : run + 1])
            except NotConverged:  # the early gain does not even stabilise: nothing is certified
                continue
            # The factors between xᵀ P* x and xᵀ P x.
            ratio = 1.0 / np.linalg.eigvalsh(root[run].T @ found.quadratic[0] @ root[run])
            assert ratio.min() > 1.0 - 1e-9
            assert ratio.max() <= 1.0 + found.accuracy[0] + 1e-9
            certified[run] += ratio.max() > 1.0 + 1e-6
    assert (certified >= 1).all()


def test_a_solved_response_is_accurate_in_every_direction() -> None:
    response = MaxEntropyLQR(PUBLISHED, np.full(5, 0.1)).respond(STUBBORN)
    size = np.linalg.eigvalsh(response.quadratic)
    assert size[-1, -1] / size[-1, 0] > 1e8  # what makes an absolute tolerance meaningless
    assert (response.accuracy < 1e-12).all()
    assert (response.iterations <= 20).all()


def test_what_cannot_be_solved_is_refused() -> None:
    # K₂ = -10 cuts the follower off from x₁, which then grows by 1.1 a step: γ 1.1² > 1.
    beta = np.full(2, 0.1)
    with pytest.raises(NotConverged, match=r"run 1 to θ = \[-11.0, -10.0\] .*tolerance 1.00e-10"):
        MaxEntropyLQR(PUBLISHED, beta).respond(np.array([[0.0, 0.0], [-11.0, -10.0]]))
    with pytest.raises(NotConverged, match=r"run 0 .* after 2 doublings"):
        MaxEntropyLQR(PUBLISHED, beta, max_iterations=2).respond(np.ones((2, 2)))
    solvable = MaxEntropyLQR(PUBLISHED, beta).respond(np.array([[0.0, 0.0], [-10.2, -10.0]]))
    assert (solvable.accuracy < 1e-10).all()


def test_the_leader_s_noise_shifts_the_value_and_nothing_else() -> None:
    problem = big_lqr(follower_discount=0.9, leader_noise=0.4)
    theta, temperature, quiet = answer(problem, 3)
    for noise in (0.4, 1.0, 2.0):
        loud = MaxEntropyLQR(replace(problem, leader_noise=noise), temperature).respond(theta)
        for name in ("state_gain", "noise_gain", "covariance", "quadratic", "noise"):
            np.testing.assert_array_equal(getattr(loud, name), getattr(quiet, name))
        assert ((loud.offset > quiet.offset) == (noise > 0.4)).all()


@PROBLEMS
def test_a_run_is_the_same_alone_and_in_a_batch_of_20(problem: BilevelLQR) -> None:
    theta, temperature = leaders(problem, 20)
    if problem is PUBLISHED:
        theta[:5] = STUBBORN  # 6 to 16 doublings: fast runs wait for slow ones
    together = MaxEntropyLQR(problem, temperature).respond(theta)
    assert problem is not PUBLISHED or len(set(together.iterations)) > 4
    n, l = problem.leader_matrix.shape  # noqa: E741
    rng = np.random.default_rng(9)
    x, a = rng.standard_normal((20, 3, 50, n)), rng.standard_normal((20, 3, 50, l))
    mean = together.mean_action(problem, theta, x, a)
    value = together.value(problem, theta, x, a)
    assert (mean.shape, value.shape) == ((20, 3, 50, together.state_gain.shape[1]), (20, 3, 50))
    for run in range(20):
        part = slice(run, run + 1)
        one = MaxEntropyLQR(problem, temperature[part]).respond(theta[part])
        assert one.steps == together.steps == 0
        for field in fields(one):
            if field.name == "steps":
                continue
            pair = getattr(one, field.name), getattr(together, field.name)[part]
            np.testing.assert_array_equal(*pair, err_msg=field.name)
        np.testing.assert_array_equal(
            one.mean_action(problem, theta[part], x[part], a[part]), mean[part]
        )
        np.testing.assert_array_equal(
            one.value(problem, theta[part], x[part], a[part]), value[part]
        )
        # One state instead of many.
        single = one.value(problem, theta[part], x[part, 1, 7], a[part, 1, 7])
        assert single[0] == value[run, 1, 7]


def test_a_discounted_sum_solves_its_lyapunov_equation() -> None:
    rng = np.random.default_rng(12)
    matrix = 0.3 * rng.standard_normal((3, 1, 4, 4))
    weight = rng.standard_normal((3, 2, 4, 4))
    total = discounted_sum(matrix, weight)
    np.testing.assert_allclose(total, weight + matrix.mT @ total @ matrix, atol=1e-12)
    unstable = np.diag([0.5, 1.01])
    assert not np.isfinite(discounted_sum(unstable, np.eye(2))).all()


@pytest.mark.parametrize("temperature", [np.array([0.1, 0.0]), np.array([np.nan]), np.array(0.1)])
def test_impossible_temperatures_are_refused(temperature: Floats) -> None:
    with pytest.raises(ValueError, match="temperature must be one positive number a run"):
        MaxEntropyLQR(PUBLISHED, temperature)
