"""The best response in building thermal control: known numbers, two derivations, its derivative."""

from dataclasses import fields

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.follower import NotConverged
from bilevelrl.problems.thermal_control.follower import (
    RegulatorResponse,
    ResponseSlopes,
    ThermalRegulator,
)
from bilevelrl.problems.thermal_control.problem import ThermalControl
from tests.buildings import (
    ACTION,
    ALL,
    CORNERS,
    LARGE,
    MEAN,
    NAMES,
    PUBLISHED,
    STATE,
    SURPRISE,
    THETA_H,
    THETA_X,
    building,
    designs,
    mirrored,
    value_iteration,
)

Floats = NDArray[np.float64]
EVERY = pytest.mark.parametrize("problem", ALL, ids=NAMES)


def temperatures(num_runs: int) -> Floats:
    return np.random.default_rng(6).uniform(0.05, 1.0, num_runs)


def answer(problem: ThermalControl, num_runs: int) -> tuple[Floats, Floats, RegulatorResponse]:
    theta, beta = designs(problem, num_runs), temperatures(num_runs)
    return theta, beta, ThermalRegulator(problem, beta).respond(theta)


def published(theta: Floats) -> tuple[ThermalRegulator, RegulatorResponse]:
    """One run at the published temperature."""
    follower = ThermalRegulator(PUBLISHED, np.array([0.1]))
    return follower, follower.respond(theta[None])


def test_reproduces_the_spec_s_point_h() -> None:
    _, found = published(THETA_H)
    quadratic = mirrored(
        (36.436154, -4.077369, -3.822362, 7.680443),
        (1.612194, 0.646047, -1.281864),
        (12.0192, -13.111059),
        (30.614076,),
    )
    gain = [[2.506208, 1.239646, 0.028037, 0.056689], [0.11469, 0.012847, 1.278048, 0.977461]]
    np.testing.assert_allclose(found.quadratic[0], quadratic, atol=6e-7)
    assert np.trace(found.quadratic[0]) == pytest.approx(80.6816, abs=5.1e-5)
    np.testing.assert_allclose(found.gain[0], gain, atol=5.1e-7)
    curvature = 0.05 * np.linalg.inv(found.covariance[0])
    np.testing.assert_allclose(curvature, mirrored((0.4199204, 0.002379), (1.8679827,)), atol=1e-6)
    np.testing.assert_allclose(
        found.covariance[0], mirrored((0.119071, -0.0001516), (0.026767,)), atol=5.1e-7
    )
    assert found.offset[0] == pytest.approx(1.32689, abs=6e-8)
    loop = PUBLISHED.dynamics(THETA_H[None])[0] - PUBLISHED.input_matrix @ found.gain[0]
    eigenvalues = np.sort(np.linalg.eigvals(loop))[::-1]
    np.testing.assert_allclose(eigenvalues, [0.978505, 0.916258, 0.024306, 0.005358], atol=5.1e-7)


def test_reproduces_the_spec_s_point_x() -> None:
    _, found = published(THETA_X)
    quadratic = mirrored(
        (30.63831, -2.69067, -2.38771, 4.40548),
        (1.35155, 0.51043, -0.94718),
        (13.0684, -15.12022),
        (34.4488,),
    )
    gain = [[2.98717, 1.22403, 0.16948, -0.24438], [0.01054, 0.03509, 1.25854, 0.99176]]
    np.testing.assert_allclose(found.quadratic[0], quadratic, atol=5.1e-6)
    np.testing.assert_allclose(found.gain[0], gain, atol=5.1e-6)
    curvature = 0.05 * np.linalg.inv(found.covariance[0])
    np.testing.assert_allclose(
        curvature, mirrored((0.4330553, -0.0010886), (1.8675206,)), atol=5.1e-8
    )
    np.testing.assert_allclose(
        found.covariance[0], mirrored((0.1154589, 0.0000673), (0.0267735,)), atol=5.1e-8
    )
    assert found.offset[0] == pytest.approx(1.3379408, abs=5.1e-8)
    states = np.stack([STATE, MEAN + SURPRISE])[None]
    np.testing.assert_allclose(found.value(states)[0], [-1008.97668, -961.09239], atol=5.1e-6)


def test_reproduces_the_spec_s_gradients_of_the_values() -> None:
    follower, found = published(THETA_X)
    slopes = follower.slopes(THETA_X[None], found)
    by_quadratic, by_offset = slopes.quadratic[0], slopes.offset[0]

    def spent(state: Floats) -> Floats:
        cost: Floats = np.einsum("i,dij,j->d", state, by_quadratic, state)
        return cost

    at_state = [
        0.184487, -0.19648, 51.235209, 68.77401, -0.667098, 46.981089, 199.167492, 38.685847
    ]  # fmt: skip
    np.testing.assert_allclose(-(spent(STATE) + by_offset), at_state, atol=1.5e-6)
    moved = np.einsum("i,dij,j->d", found.quadratic[0] @ MEAN,
                      PUBLISHED.dynamics_slopes(THETA_X[None])[0], STATE)  # fmt: skip
    shaken = 4e-4 * np.trace(by_quadratic, axis1=1, axis2=2)
    at_action = [
        0.233385, -0.21806, 49.795807, 70.152053, -0.532077, 44.828865, 198.888147, 40.424823
    ]  # fmt: skip
    expected = -0.9 * (2.0 * moved + spent(MEAN) + shaken + by_offset)
    np.testing.assert_allclose(expected, at_action, atol=1.5e-6)
    assert PUBLISHED.follower_reward(STATE, ACTION) + 0.9 * (
        found.value(MEAN[None, None])[0, 0] - 4e-4 * np.trace(found.quadratic[0])
    ) == pytest.approx(-1014.562454, abs=6e-7)


@EVERY
def test_equals_value_iteration_as_the_spec_writes_it(problem: ThermalControl) -> None:
    theta, beta, found = answer(problem, 6)
    for run in range(6):
        expected = value_iteration(problem, theta[run], beta[run])
        for name, value in zip(
            ("quadratic", "gain", "covariance", "offset"), expected, strict=True
        ):
            scale = np.abs(value).max()
            np.testing.assert_allclose(
                getattr(found, name)[run], value, rtol=1e-11, atol=1e-11 * scale, err_msg=name
            )


@EVERY
def test_value_and_policy_solve_the_soft_bellman_equation(problem: ThermalControl) -> None:
    # Q(s, a) - β log π(a | s) = V(s) for *every* a says both that π is the softmax of Q and that V
    # is its normaliser.
    theta, beta, found = answer(problem, 5)
    rng = np.random.default_rng(3)
    zones, units = problem.input_matrix.shape
    s, a = 3.0 * rng.standard_normal((5, 40, zones)), 3.0 * rng.standard_normal((5, 40, units))
    mean = s @ problem.dynamics(theta).mT + a @ problem.input_matrix.T
    # s' at all 2ⁿ corners of ±σ: exact for a quadratic.
    corners = problem.noise * np.stack(np.meshgrid(*[[-1.0, 1.0]] * zones), -1).reshape(-1, zones)
    later = np.mean([found.value(mean + corner) for corner in corners], axis=0)
    q = problem.follower_reward(s, a) + problem.discount * later
    off = a + s @ found.gain.mT
    precision = np.linalg.inv(found.covariance)
    volume = np.log(np.linalg.det(2.0 * np.pi * found.covariance))[:, None]
    log_density = -0.5 * (np.einsum("rni,rij,rnj->rn", off, precision, off) + volume)
    np.testing.assert_allclose(q - beta[:, None] * log_density, found.value(s), rtol=1e-10)


def test_the_slope_of_the_value_matches_central_differences() -> None:
    _, _, found = answer(LARGE, 2)
    state = np.random.default_rng(4).standard_normal((2, 7, 5))
    ends = [found.value(state + 1e-4 * e) - found.value(state - 1e-4 * e) for e in np.eye(5)]
    numeric = np.stack(ends, axis=2) / 2e-4
    np.testing.assert_allclose(found.value_slope(state), numeric, rtol=1e-7, atol=1e-7)


def test_the_corners_are_solved() -> None:
    found = ThermalRegulator(PUBLISHED, np.full(3, 0.1)).respond(CORNERS)
    assert (found.accuracy < 1e-10).all()
    assert (found.iterations <= 13).all()  # 2¹³ steps; plain iteration takes 1,078 to its tolerance
    for run in range(3):
        p, *_ = value_iteration(PUBLISHED, CORNERS[run], 0.1)
        np.testing.assert_allclose(
            found.quadratic[run], p, rtol=1e-10, atol=1e-10 * np.abs(p).max()
        )
    # Without airflow or insulation deviations grow although the costs are finite.
    loop = PUBLISHED.dynamics(CORNERS[:1])[0] - PUBLISHED.input_matrix @ found.gain[0]
    assert np.abs(np.linalg.eigvals(loop)).max() == pytest.approx(1.049, abs=5e-4)


def test_an_answer_that_is_let_through_is_as_accurate_as_it_says() -> None:
    theta, beta = np.concatenate([CORNERS, designs(PUBLISHED, 3)]), np.array([0.1])
    truth = ThermalRegulator(PUBLISHED, np.full(6, 0.1)).respond(theta)
    root = np.linalg.inv(np.linalg.cholesky(truth.quadratic)).mT
    early = np.zeros(6, dtype=int)
    for doublings in range(1, 14):
        hasty = ThermalRegulator(PUBLISHED, beta, 1e-2, doublings)
        for run in range(6):
            try:
                found = hasty.respond(theta[run : run + 1])
            except NotConverged:
                continue
            ratio = np.linalg.eigvalsh(root[run].T @ found.quadratic[0] @ root[run])
            assert np.abs(ratio - 1.0).max() <= found.accuracy[0] + 1e-12
            early[run] += ratio.max() > 1.0 + 1e-9
    assert (early >= 1).all()


@EVERY
def test_slopes_match_central_differences(problem: ThermalControl) -> None:
    theta, beta, found = answer(problem, 2)
    slopes = ThermalRegulator(problem, beta).slopes(theta, found)
    size, step = problem.num_parameters, 1e-4
    for run in range(2):
        follower = ThermalRegulator(problem, np.full(2 * size, beta[run]))

        def ends(
            width: float, run: int = run, follower: ThermalRegulator = follower
        ) -> RegulatorResponse:
            steps = width * np.eye(size)
            return follower.respond(np.concatenate([theta[run] + steps, theta[run] - steps]))

        near, far = ends(step), ends(2.0 * step)
        for field in fields(ResponseSlopes):
            pairs = [np.split(getattr(end, field.name), 2) for end in (near, far)]
            once, twice = (ahead - behind for ahead, behind in pairs)
            numeric = (8.0 * once - twice) / (12.0 * step)  # Richardson's
            slope = getattr(slopes, field.name)[run]
            assert slope.shape == numeric.shape
            scale = np.abs(slope).reshape(size, -1).max(axis=1)
            assert (scale > 1e-6).all()  # every parameter matters
            error = np.abs(slope - numeric).reshape(size, -1).max(axis=1)
            assert (error < 1e-6 * scale).all(), field.name


def test_a_design_that_no_follower_can_bear_is_refused() -> None:
    # Zone 1 is cut off from both units; without insulation it grows by 1.06 a step: γ 1.06² > 1.
    lonely = ThermalControl.published(
        input_matrix=((0.0, 0.0), *PUBLISHED.input_matrix[1:]),
        insulation_effect=(0.06, 0.03, 0.06, 0.05),
    )
    theta = np.stack([THETA_X, np.full(8, -1e3)])
    follower = ThermalRegulator(lonely, np.full(2, 0.1))
    with pytest.raises(NotConverged, match=r"run 1 to θ = \[-1000.0, .*tolerance 1.00e-10"):
        follower.respond(theta)
    theta[1] = 0.0  # half insulated: γ 1.03² < 1
    assert (follower.respond(theta).accuracy < 1e-10).all()


def test_an_answer_short_of_the_tolerance_is_refused() -> None:
    theta, beta = np.stack([THETA_X, CORNERS[1]]), np.full(2, 0.1)
    with pytest.raises(NotConverged, match=r"run [01] to .* after 2 doublings"):
        ThermalRegulator(PUBLISHED, beta, max_iterations=2).respond(theta)
    with pytest.raises(NotConverged, match=r"tolerance 1.00e-30"):
        ThermalRegulator(PUBLISHED, beta, tolerance=1e-30).respond(theta)


@pytest.mark.parametrize("problem", [PUBLISHED, building(5, 3)], ids=["published", "5 zones"])
def test_a_run_is_the_same_alone_and_in_a_batch_of_20(problem: ThermalControl) -> None:
    theta, beta = designs(problem, 20), temperatures(20)
    if problem is PUBLISHED:
        theta[:3] = CORNERS  # fast runs wait for slow ones
    follower = ThermalRegulator(problem, beta)
    together, rng = follower.respond(theta), np.random.default_rng(9)
    assert problem is not PUBLISHED or len(set(together.iterations)) > 2
    slopes = follower.slopes(theta, together)
    state = rng.standard_normal((20, 50, problem.num_zones))
    value, slope = together.value(state), together.value_slope(state)
    for run in range(20):
        part = slice(run, run + 1)
        single = ThermalRegulator(problem, beta[part])
        alone = single.respond(theta[part])
        for field in fields(RegulatorResponse):
            if field.name in ("steps", "curve"):  # one for all runs
                continue
            pair = getattr(alone, field.name), getattr(together, field.name)[part]
            np.testing.assert_array_equal(*pair, err_msg=field.name)
        own = single.slopes(theta[part], alone)
        for field in fields(ResponseSlopes):
            pair = getattr(own, field.name), getattr(slopes, field.name)[part]
            np.testing.assert_array_equal(*pair, err_msg=field.name)
        np.testing.assert_array_equal(alone.value(state[part]), value[part])
        np.testing.assert_array_equal(alone.value_slope(state[part]), slope[part])


def test_answers_do_not_depend_on_what_was_asked_before() -> None:
    theta, beta, first = answer(PUBLISHED, 4)
    follower = ThermalRegulator(PUBLISHED, beta)
    follower.respond(theta + 1.0)
    again = follower.respond(theta)
    np.testing.assert_array_equal(again.quadratic, first.quadratic)


@pytest.mark.parametrize("temperature", [np.array([0.1, 0.0]), np.array([np.nan]), np.array(0.1)])
def test_impossible_temperatures_are_refused(temperature: Floats) -> None:
    with pytest.raises(ValueError, match="temperature must be one positive number a run"):
        ThermalRegulator(PUBLISHED, temperature)
