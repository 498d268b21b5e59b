"""J and its hypergradient in thermal control: independent numbers, sums, simulation."""

from dataclasses import fields, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.exact import Hypergradient
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.thermal_control.exact import (
    components,
    disturbance,
    leader_cost,
    loop_sums,
    spectral_radius,
    thermal_hypergradient,
    weighted,
)
from bilevelrl.problems.thermal_control.follower import RegulatorResponse
from bilevelrl.problems.thermal_control.problem import ThermalControl
from bilevelrl.problems.thermal_control.rollout import ThermalRollout
from tests.buildings import (
    ALL,
    CORNERS,
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
    literal_dynamics,
    logits,
    mirrored,
    one_run,
)

Floats = NDArray[np.float64]
EVERY = pytest.mark.parametrize("problem", ALL, ids=NAMES)
#: Steps of episodes whose discounted sums are those without end.
ENDLESS = 600
HORIZONS = pytest.mark.parametrize("horizon", [ENDLESS, 100, 7])
PARTS = ("stability", "energy", "insulation", "airflow")


def parts_of(problem: ThermalControl, theta: Floats, horizon: int) -> dict[str, Floats]:
    response = follower_of(problem, len(theta)).respond(theta)
    return components(replace(problem, max_episode_steps=horizon), theta, response)


def leader_return(problem: ThermalControl, theta: Floats, horizon: int) -> Floats:
    return weighted(problem, parts_of(problem, theta, horizon))


def hypergradient(problem: ThermalControl, theta: Floats, horizon: int = ENDLESS) -> Hypergradient:
    follower = follower_of(replace(problem, max_episode_steps=horizon), len(theta))
    return thermal_hypergradient(follower, theta, follower.respond(theta))


def cost_of_design(theta: Floats) -> Floats:
    """Its part of the direct part in the published building, without end."""
    return -PUBLISHED.design.configuration_cost_slope(theta) / (1.0 - PUBLISHED.discount)


def test_reproduces_the_spec_s_point_h() -> None:
    theta = THETA_H[None]
    found = hypergradient(PUBLISHED, theta)
    direct = [5.31197, 1.78593, 2.27758, 4.70355, 20.36787, 1.86707, 10.27155, 5.58366]
    indirect = [12.7492, -3.02575, 0.26936, 0.63219, -15.26977, 1.29919, -0.18576, 11.63483]
    total = [17.81117, -1.48982, 2.29693, 5.08574, 4.8481, 2.91626, 9.83579, 16.96849]
    own = cost_of_design(theta)[0]
    np.testing.assert_allclose(own, -0.25, rtol=1e-13)
    np.testing.assert_allclose(found.direct[0] - own, direct, atol=5.1e-6)
    np.testing.assert_allclose(found.indirect[0], indirect, atol=5.1e-6)
    np.testing.assert_allclose(found.total[0], total, atol=1.1e-5)
    assert found.leader_return[0] == pytest.approx(-261.9631, abs=5.1e-5)
    assert leader_return(PUBLISHED, theta, 100)[0] == pytest.approx(-261.9630, abs=5.1e-5)


def test_reproduces_the_spec_s_point_x() -> None:
    theta = THETA_X[None]
    found = hypergradient(PUBLISHED, theta)
    cost = [-0.064, -0.192, -0.288, -0.256, -0.162, -0.294, -0.126, -0.018]
    direct = [2.13904, 1.36379, 2.53355, 3.43075, 4.82904, 2.61414, 9.92354, 2.52238]
    indirect = [7.91591, -1.30573, -0.57689, 0.75151, 0.51846, -0.368, -1.00693, 5.99764]
    total = [9.99095, -0.13395, 1.66866, 3.92625, 5.18551, 1.95214, 8.79061, 8.50203]
    own = cost_of_design(theta)[0]
    np.testing.assert_allclose(own, cost, rtol=1e-12)
    np.testing.assert_allclose(found.direct[0] - own, direct, atol=5.1e-6)
    np.testing.assert_allclose(found.indirect[0], indirect, atol=5.1e-6)
    np.testing.assert_allclose(found.total[0], total, atol=1.1e-5)
    parts = parts_of(PUBLISHED, theta, 100)
    expected = (-126.3563, 332.8304, 11.9997, 13.9996)
    assert [parts[name][0] for name in PARTS] == pytest.approx(expected, abs=5.1e-5)
    assert weighted(PUBLISHED, parts)[0] == pytest.approx(-295.3714, abs=5.1e-5)


@pytest.mark.parametrize(
    ("levels", "value", "parts"),
    [
        ([0.5] * 8, -261.963, (-127.659, 264.609, 10.0, 10.0)),
        ([1.0] * 8, -197.248, (-70.088, 238.321, 39.999, 39.999)),
        ([0.0] * 8, -1041.61, (-900.885, 281.459, 0.0, 0.0)),
        ([1.0] * 4 + [0.5] * 4, -225.087, (-101.065, 238.044, 39.999, 10.0)),
        ([0.5] * 4 + [1.0] * 4, -216.562, (-81.272, 260.579, 9.9997, 39.999)),
        ([1, 0, 1, 1, 0, 0.7793, 1, 1], -162.503, (-80.219, 153.354, 29.999, 26.072)),
    ],
    ids=["half", "ones", "zeros", "insulated", "mixed", "optimum"],
)
def test_reproduces_the_spec_s_landscape(
    levels: list[float], value: float, parts: tuple[float, ...]
) -> None:
    # The ends are at infinite θ.
    theta = logits(np.array(levels, dtype=np.float64))[None]
    found = parts_of(PUBLISHED, theta, 100)
    assert weighted(PUBLISHED, found)[0] == pytest.approx(value, abs=6e-3 if value < -900 else 6e-4)
    assert [found[name][0] for name in PARTS] == pytest.approx(parts, abs=6e-4)


def test_the_optimum_of_the_spec_is_a_corner_in_all_but_one_coordinate() -> None:
    # The best θ with |θ| <= 8.
    theta = np.array([8.0, -8.0, 8.0, 8.0, -8.0, logits(np.array(0.7793)), 8.0, 8.0])
    found = hypergradient(PUBLISHED, theta[None], 100)
    assert found.leader_return[0] == pytest.approx(-162.56, abs=5.1e-3)
    outwards = np.sign(theta) * found.total[0]
    assert (np.delete(outwards, 5) > 4e-5).all()
    assert abs(outwards[5]) < 1e-5
    # β₂ only rests there: a thousandth to either side it is pushed back.
    for level, sign in ((0.7783, 1.0), (0.7803, -1.0)):
        theta[5] = logits(np.array(level))
        assert sign * hypergradient(PUBLISHED, theta[None], 100).total[0, 5] > 5e-4


def test_without_insulation_and_airflow_the_loop_is_unstable() -> None:
    theta = np.stack([CORNERS[0], THETA_H, THETA_X])
    response = follower_of(PUBLISHED, 3).respond(theta)
    found = spectral_radius(PUBLISHED, theta, response)
    assert found[0] == pytest.approx(1.049, abs=5e-4)
    assert found[1] == pytest.approx(0.978505, abs=5.1e-7)
    a = PUBLISHED.dynamics(theta)[2] - PUBLISHED.input_matrix @ response.gain[2]
    power = np.linalg.norm(np.linalg.matrix_power(a, 4000)) / np.linalg.norm(
        np.linalg.matrix_power(a, 3999)
    )
    assert found[2] == pytest.approx(power, rel=1e-9)


def test_costs_to_go_are_those_of_an_independent_solver() -> None:
    # P_U and v_U, with V_U at its two states, from `leader_cost` and `disturbance`.
    points = {
        0: (
            mirrored(
                (6.1956177, 1.0732981, -0.2264489, 0.6281535),
                (1.0179036, 0.0063557, -0.1098796),
                (1.3250452, -0.0394017),
                (1.8001183,),
            ),
            3.4960118,
        ),
        1: (
            mirrored(
                (7.3811081, 1.4346815, 0.120302, -0.288082),
                (0.9783835, 0.082127, -0.2287443),
                (1.3443059, -0.1176998),
                (1.9468429,),
            ),
            4.1055315,
        ),
    }
    theta = np.stack([THETA_H, THETA_X])
    response = follower_of(PUBLISHED, 2).respond(theta)
    cost, added = leader_cost(PUBLISHED, response), disturbance(PUBLISHED, response)
    loop = PUBLISHED.dynamics(theta) - PUBLISHED.input_matrix @ response.gain
    for run, (quadratic, offset) in points.items():
        found = cost[run]
        for _ in range(2000):
            found = cost[run] + 0.9 * loop[run].T @ found @ loop[run]
        np.testing.assert_allclose(found, quadratic, atol=6e-8)
        constant = PUBLISHED.design.configuration_cost(theta)[run] + 0.5 * np.trace(
            response.covariance[run]
        )
        constant = 10.0 * (constant + 0.9 * np.trace(found @ added[run]))
        assert constant == pytest.approx(offset, abs=6e-8)
    values = [-(s @ found @ s + constant) for s in (STATE, MEAN + SURPRISE)]
    assert values == pytest.approx([-54.115518, -52.377356], abs=6e-7)


@pytest.mark.parametrize(
    ("problem", "theta"),
    [(PUBLISHED, THETA_X), (LARGE, designs(LARGE, 1)[0])],
    ids=["X", "5 zones"],
)
def test_j_is_the_mean_of_simulated_returns(problem: ThermalControl, theta: Floats) -> None:
    horizon, chunk = problem.max_episode_steps, 2500
    response = follower_of(problem, 1).respond(theta[None])
    rollout, streams = ThermalRollout(problem, chunk), Streams([3])
    weight = problem.discount ** np.arange(horizon)
    earned: list[Floats] = []
    for _ in range(100_000 // chunk):
        batch = rollout.sample(theta[None], response, streams)
        variance, energy = batch.state.var(axis=2), np.square(batch.follower_action).sum(axis=2)
        rewards = [-variance, energy, problem.operating_reward(batch.state, batch.follower_action)]
        earned.append(np.stack([r.reshape(-1, horizon) @ weight for r in rewards]))
    returns = np.concatenate(earned, axis=1)
    returns[2] -= weight.sum() * problem.design.configuration_cost(theta[None])
    mean, error = returns.mean(axis=1), returns.std(axis=1) / np.sqrt(returns.shape[1])
    parts = components(problem, theta[None], response)
    exact = [parts["stability"][0], parts["energy"][0], weighted(problem, parts)[0]]
    assert (np.abs(mean - exact) < 4.0 * error).all()
    assert (error < 0.004 * np.abs(exact)).all()


def test_sums_of_an_episode_are_those_of_their_definition() -> None:
    problem, horizon = replace(SMALL, max_episode_steps=5), 5
    theta = designs(problem, 1)
    response = follower_of(problem, 1).respond(theta)
    found = loop_sums(problem, theta, response)
    b, gamma = problem.input_matrix, problem.discount
    f = literal_dynamics(problem, theta[0]) - b @ response.gain[0]
    costs, moments = [np.zeros((3, 3))], [problem.initial_deviation**2 * np.eye(3)]
    for _ in range(horizon):
        costs.append(leader_cost(problem, response)[0] + gamma * f.T @ costs[-1] @ f)
        moments.append(f @ moments[-1] @ f.T + disturbance(problem, response)[0])
    costs.reverse()  # X_0, ..., X_T = 0
    sums = {
        "moment": sum(gamma**t * moments[t] for t in range(horizon)),
        "flow": sum(gamma ** (t + 1) * costs[t + 1] @ f @ moments[t] for t in range(horizon)),
        "effort": sum(
            gamma**t * (problem.energy_weight * np.eye(1) + gamma * b.T @ costs[t + 1] @ b)
            for t in range(horizon)
        ),
    }
    for name, expected in sums.items():
        np.testing.assert_allclose(getattr(found, name)[0], expected, rtol=1e-12, err_msg=name)
    assert found.steps == pytest.approx(sum(gamma**t for t in range(horizon)), rel=1e-14)


@EVERY
@HORIZONS
def test_a_run_is_the_same_alone_and_in_a_batch_of_7(problem: ThermalControl, horizon: int) -> None:
    theta = designs(problem, 7)
    together, parts = hypergradient(problem, theta, horizon), parts_of(problem, theta, horizon)
    for run in range(7):
        part = slice(run, run + 1)
        alone = hypergradient(problem, theta[part], horizon)
        for field in fields(Hypergradient):
            pair = getattr(alone, field.name)[0], getattr(together, field.name)[run]
            np.testing.assert_array_equal(*pair, err_msg=field.name)
        for name, value in parts_of(problem, theta[part], horizon).items():
            assert value[0] == parts[name][run]


def test_a_given_response_is_used_and_not_solved_for_again() -> None:
    theta = designs(PUBLISHED, 2)
    follower = follower_of(PUBLISHED, 2)
    response = follower.respond(theta)
    swapped = [one_run(response, 1), one_run(response, 0)]
    names = [f.name for f in fields(response) if f.name not in ("steps", "curve")]
    other = RegulatorResponse(
        **{name: np.concatenate([getattr(r, name) for r in swapped]) for name in names}
    )
    found = thermal_hypergradient(follower, theta, other).leader_return
    assert (np.abs(found / leader_return(PUBLISHED, theta, 100) - 1.0) > 1e-3).all()
