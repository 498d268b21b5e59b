"""The leader's critics in thermal control: known numbers, simulation, convergence to the truth."""

from collections.abc import Callable
from dataclasses import fields, replace

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.seeding import Streams
from bilevelrl.models.linear_gaussian.quadratic import least_squares_td
from bilevelrl.problems.thermal_control.critic import (
    ExactThermalCritic,
    LeaderValues,
    QuadraticActionCritic,
    QuadraticStateCritic,
    ThermalCritic,
    exact_action_value,
)
from bilevelrl.problems.thermal_control.exact import components, weighted
from bilevelrl.problems.thermal_control.problem import ThermalControl
from bilevelrl.problems.thermal_control.rollout import ThermalBatch
from tests.buildings import (
    ACTION,
    ALL,
    LARGE,
    MEAN,
    NAMES,
    PUBLISHED,
    SMALL,
    STATE,
    SURPRISE,
    THETA_H,
    THETA_X,
    designs,
    follower_of,
    normal_nodes,
)
from tests.problems.thermal_control.cases import Case

Floats = NDArray[np.float64]
EVERY = pytest.mark.parametrize("problem", ALL, ids=NAMES)


def make(problem: ThermalControl, theta: Floats, episodes: int, first_seed: int = 0) -> Case:
    return Case.of(problem, theta, episodes, Streams(range(first_seed, first_seed + len(theta))))


def at(problem: ThermalControl, theta: Floats, state: Floats, action: Floats) -> Case:
    """Rows s (R, N, n) and a (R, N, m) of no episode."""
    response = follower_of(problem, len(theta)).respond(theta)
    unused, none = np.empty_like(state), np.empty((*state.shape[:2], 0))
    batch = ThermalBatch(state, none, action, unused, unused[:, :, 0], innovation=unused)
    return Case(problem, theta, response, batch)


def test_the_exact_critic_reproduces_the_spec_s_values() -> None:
    states = np.stack([STATE, MEAN + SURPRISE])[None]
    case = at(PUBLISHED, THETA_X[None], states, np.stack([ACTION, ACTION])[None])
    found = case.ask(ExactThermalCritic(PUBLISHED))
    assert found.action_value is not None
    assert found.action_value[0, 0] == pytest.approx(-55.088957, abs=5.1e-7)
    assert found.value[0] == pytest.approx([-54.115518, -52.377356], abs=5.1e-7)


def test_the_benefit_has_the_spec_s_form() -> None:
    # Q - V = -(2 eᵀ G s + eᵀ N e - tr NΣ) with the printed G and N of point H.
    tilt = [[-1.3960506, -0.5799164, -0.0188166, -0.0216779],
            [-0.0215826, -0.0118321, -0.6323612, -0.4915264]]  # fmt: skip
    curvature = np.array([[1.0014775, -0.010162], [-0.010162, 0.9948508]])
    case = make(PUBLISHED, THETA_H[None], 3)
    found, s = case.ask(ExactThermalCritic(PUBLISHED)), case.batch.state[0]
    e = case.batch.follower_action[0] + s @ case.response.gain[0].T
    expected = 2.0 * np.einsum("ni,ij,nj->n", e, tilt, s)
    expected += np.einsum("ni,ij,nj->n", e, curvature, e)
    expected -= np.trace(curvature @ case.response.covariance[0])
    assert found.action_value is not None
    benefit = found.action_value[0] - found.value[0]
    np.testing.assert_allclose(benefit, -expected, atol=1e-6)
    assert benefit.std() > 0.1


@EVERY
def test_values_start_at_j(problem: ThermalControl) -> None:
    theta = designs(problem, 2)
    size = problem.initial_deviation * np.sqrt(problem.num_zones)
    starts = np.tile(size * np.eye(problem.num_zones), (2, 1, 1))
    case = at(problem, theta, starts, np.zeros((*starts.shape[:2], problem.input_matrix.shape[1])))
    found = case.ask(ExactThermalCritic(problem)).value.mean(axis=1)
    endless = replace(problem, max_episode_steps=600)
    parts = components(endless, theta, case.response)
    np.testing.assert_allclose(found, weighted(problem, parts), rtol=1e-11)


def simulated(case: Case, num_episodes: int, num_steps: int) -> tuple[Floats, Floats]:
    """Returns after the first row of one run, with its action and with one drawn, (2, E)."""
    problem, rng = case.problem, np.random.default_rng(5)
    drift, root = problem.dynamics(case.theta)[0], np.linalg.cholesky(case.response.covariance[0])
    cost = problem.design.configuration_cost(case.theta)[0]
    s = np.tile(case.batch.state[0, 0], (2, num_episodes, 1))
    earned = np.zeros((2, num_episodes))
    for t in range(num_steps):
        a = rng.standard_normal((*s.shape[:2], len(root))) @ root.T - s @ case.response.gain[0].T
        if t == 0:
            a[0] = case.batch.follower_action[0, 0]
        earned += problem.discount**t * (problem.operating_reward(s, a) - cost)
        s = s @ drift.T + a @ problem.input_matrix.T
        s = s + problem.noise * rng.standard_normal(s.shape)
    return earned.mean(axis=1), earned.std(axis=1) / np.sqrt(num_episodes)


@pytest.mark.parametrize(
    ("problem", "theta"),
    [(PUBLISHED, THETA_X), (SMALL, designs(SMALL, 1)[0]), (LARGE, designs(LARGE, 1)[0])],
    ids=NAMES,
)
def test_values_are_mean_returns(problem: ThermalControl, theta: Floats) -> None:
    rng = np.random.default_rng(4)
    zones, units = problem.input_matrix.shape
    s, a = 2.0 * rng.standard_normal((1, 1, zones)), 2.0 * rng.standard_normal((1, 1, units))
    case = at(problem, theta[None], s, a)
    mean, error = simulated(case, 4000, 150)
    found = case.ask(ExactThermalCritic(problem))
    assert found.action_value is not None
    exact = np.array([found.action_value[0, 0], found.value[0, 0]])
    assert (np.abs(mean - exact) < 4.0 * error).all()
    assert (error < 0.01 * np.abs(exact)).all()
    assert abs(exact[0] - exact[1]) > 8.0 * error.max()  # one is not the other


@EVERY
def test_learning_from_expectations_is_exact(problem: ThermalControl) -> None:
    problem = replace(problem, noise=1e-9)  # s' says what to expect
    case = make(problem, designs(problem, 2), 60)
    truth = case.ask(ExactThermalCritic(problem))
    found = case.ask(QuadraticActionCritic(problem.design))
    for field in fields(LeaderValues):
        known, learned = getattr(truth, field.name), getattr(found, field.name)
        np.testing.assert_allclose(learned, known, rtol=1e-6, atol=1e-6, err_msg=field.name)
    # The action that was played next would not do.
    sarsa = case.ask(QuadraticActionCritic(problem.design, expected=False))
    assert np.abs(sarsa.value - truth.value).max() > 1e-3


def test_critics_learn_from_what_they_say_they_learn_from() -> None:
    case = make(SMALL, designs(SMALL, 2), 60)
    batch, horizon = case.batch, SMALL.max_episode_steps
    pairs = case.pairs
    following = np.concatenate([pairs[:, 1:], np.full_like(pairs[:, :1], np.nan)], axis=1)
    following[:, horizon - 1 :: horizon] = np.nan
    reward = case.reward[:, :, None]
    sarsa = least_squares_td(pairs, following, reward, horizon, SMALL.discount)
    found = case.ask(QuadraticActionCritic(SMALL.design, expected=False)).action_value
    np.testing.assert_array_equal(found, sarsa(pairs)[:, :, 0])
    state = least_squares_td(batch.state, batch.next_state, reward, horizon, SMALL.discount)
    values = case.ask(QuadraticStateCritic(SMALL.design))
    np.testing.assert_array_equal(values.value, state(batch.state)[:, :, 0])
    assert values.action_value is None


#: No state is ever clipped. In the published building one episode in 10,000 is, which no quadratic
#: explains; such rows then dominate the error of large batches.
ENDLESS = ThermalControl.published(state_limit=1e6)


@pytest.mark.parametrize(
    "critic",
    [
        QuadraticStateCritic(ENDLESS.design),
        QuadraticActionCritic(ENDLESS.design),
        QuadraticActionCritic(ENDLESS.design, expected=False),
    ],
    ids=["state", "action", "sarsa"],
)
def test_learned_values_converge_to_the_truth(critic: ThermalCritic) -> None:
    theta, errors = np.tile(THETA_X, (24, 1)), []
    for episodes in (25, 400):
        case = make(ENDLESS, theta, episodes, first_seed=100 * episodes)
        truth, found = case.ask(ExactThermalCritic(ENDLESS)), case.ask(critic)
        # At the starts, where values matter and differ.
        starts = slice(0, None, ENDLESS.max_episode_steps)
        error = (found.value - truth.value)[:, starts]
        errors.append(np.sqrt(np.square(error).mean()))
        spread = truth.value[:, starts].std()
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.25)  # the root of 16
    assert errors[1] < 0.005 * spread


def probe(case: Case, critic: ThermalCritic, state: Floats) -> LeaderValues:
    """What the critic of a case says about other states, which take the place of the last rows."""
    horizon = case.problem.max_episode_steps
    states = case.batch.state.copy()
    states[:, horizon - 1 :: horizon] = state  # no critic learns from these
    return replace(case, batch=replace(case.batch, state=states)).ask(critic)


@EVERY
@pytest.mark.parametrize(
    "kind",
    [
        ExactThermalCritic,
        lambda problem: QuadraticActionCritic(problem.design),
        lambda problem: QuadraticStateCritic(problem.design),
    ],
    ids=["exact", "action", "state"],
)
def test_the_slope_of_the_value_matches_central_differences(
    problem: ThermalControl, kind: Callable[[ThermalControl], ThermalCritic]
) -> None:
    case, critic = make(problem, designs(problem, 2), 40), kind(problem)
    step, last = 1e-3, slice(problem.max_episode_steps - 1, None, problem.max_episode_steps)
    state = 2.0 * np.random.default_rng(6).standard_normal((2, 40, problem.num_zones))
    found = probe(case, critic, state)
    assert found.slope is not None
    steps = step * np.eye(problem.num_zones)[:, None, None]
    up, down = ([probe(case, critic, s).value for s in state + k * steps] for k in (1.0, -1.0))
    numeric = (np.stack(up, axis=2) - np.stack(down, axis=2))[:, last] / (2.0 * step)
    np.testing.assert_allclose(found.slope[:, last], numeric, rtol=1e-6, atol=1e-6)


def quadrature(case: Case) -> tuple[Floats, Floats]:
    """Mean and variance over actions of the first run's exact Q_L, shape (N,) each."""
    q, state = exact_action_value(case.problem, case.theta, case.response), case.batch.state[0]
    z, mass = normal_nodes(case.problem.input_matrix.shape[1])
    shock = z @ np.linalg.cholesky(case.response.covariance[0]).T
    rows = []
    for s in state:
        pairs = np.column_stack([np.tile(s, (len(z), 1)), shock - case.response.gain[0] @ s])
        rows.append(q(pairs[None])[0, :, 0])
    table = np.stack(rows)
    mean = table @ mass
    return mean, np.square(table - mean[:, None]) @ mass


@EVERY
def test_a_few_draws_behind_a_value_add_noise_of_their_variance(problem: ThermalControl) -> None:
    runs, samples, part = 2000, 9, slice(0, 12)
    one = make(problem, designs(problem, 1), 1)
    rows = one.theta, one.batch.state[:, part], one.batch.follower_action[:, part]
    single = at(problem, *rows)
    case = at(problem, *(np.repeat(array, runs, axis=0) for array in rows))
    found = case.ask(ExactThermalCritic(problem, samples)).value
    mean, variance = quadrature(single)
    np.testing.assert_allclose(single.ask(ExactThermalCritic(problem)).value[0], mean, rtol=1e-10)
    z = (found - mean) / np.sqrt(variance / samples)
    assert (np.abs(z.mean(axis=0)) < 4.5 / np.sqrt(runs)).all()
    assert (np.abs(np.square(z).mean(axis=0) - 1.0) < 4.5 * np.sqrt(2.0 / runs)).all()
    # Draws of different states are independent.
    correlation = (z.T @ z)[np.triu_indices(z.shape[1], k=1)] / runs
    assert (np.abs(correlation) < 4.5 / np.sqrt(runs)).all()
    # Noise is in the value alone.
    np.testing.assert_array_equal(
        single.ask(ExactThermalCritic(problem, samples)).action_value,
        single.ask(ExactThermalCritic(problem)).action_value,
    )


@pytest.mark.parametrize(
    "critic",
    [
        QuadraticStateCritic(PUBLISHED.design),
        QuadraticActionCritic(PUBLISHED.design, samples=4),
        QuadraticActionCritic(PUBLISHED.design, expected=False),
        ExactThermalCritic(PUBLISHED, samples=4),
    ],
    ids=["state", "action", "sarsa", "exact"],
)
def test_bits_depend_on_neither_the_other_runs_nor_the_threads(critic: ThermalCritic) -> None:
    case, seeds = make(PUBLISHED, designs(PUBLISHED, 4), 100), [5, 6, 7, 8]
    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    together = case.ask(critic, Streams(seeds))
    numba.set_num_threads(1)
    for run in range(4):
        found = case.alone(run).ask(critic, Streams(seeds[run : run + 1]))
        for field in fields(LeaderValues):
            mine, theirs = getattr(found, field.name), getattr(together, field.name)
            if theirs is None:
                assert mine is None
            else:
                np.testing.assert_array_equal(mine[0], theirs[run], err_msg=field.name)
