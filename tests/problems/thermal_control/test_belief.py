"""What a watching leader believes about the follower of building thermal control."""

import numpy as np
import pytest

from bilevelrl.core.random_features import RandomFeatures
from bilevelrl.core.seeding import Streams
from bilevelrl.models.linear_gaussian.quadratic import Quadratic
from bilevelrl.problems.thermal_control.belief import Curve, RegulatorBelief, linear_policy
from bilevelrl.problems.thermal_control.critic import values_of
from bilevelrl.problems.thermal_control.follower import ThermalRegulator
from bilevelrl.problems.thermal_control.problem import ThermalControl
from bilevelrl.problems.thermal_control.rollout import ThermalBatch, ThermalRollout

RUNS = 20
PROBLEM = ThermalControl.published(max_episode_steps=20, initial_deviation=1.0)
THETA = np.repeat(0.3 * np.random.default_rng(0).standard_normal((1, 8)), RUNS, axis=0)
BETA = np.full(RUNS, 0.5)
RESPONSE = ThermalRegulator(PROBLEM, BETA).respond(THETA)


def believed(episodes: int, information: str = "rewards"):  # type: ignore[no-untyped-def]
    sampler = ThermalRollout(PROBLEM, episodes, information=information)  # type: ignore[arg-type]
    seen = sampler.observe(THETA, RESPONSE, Streams(range(RUNS)), at_random=False)
    belief = RegulatorBelief(BETA, PROBLEM.discount, PROBLEM.max_episode_steps)
    return belief.learn(THETA, seen, {})


@pytest.mark.parametrize("name", ["gain", "covariance", "quadratic", "offset"])
def test_errors_fall_with_the_root_of_the_samples(name: str) -> None:
    truth, sizes, errors = getattr(RESPONSE, name), [20, 80, 320], []
    for episodes in sizes:
        found = getattr(believed(episodes), name)
        errors.append(np.sqrt(np.square(found - truth).mean()))
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert -0.65 < slope < -0.4
    assert errors[-1] < 0.1 * np.abs(truth).max()


def test_noiseless_actions_are_regressed_exactly() -> None:
    rng = np.random.default_rng(1)
    gain, state = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 50, 4))
    found, covariance = linear_policy(state, -(state @ gain.mT))
    np.testing.assert_allclose(found, gain, rtol=1e-10)
    np.testing.assert_allclose(covariance, 0.0, atol=1e-20)


def test_rewards_that_are_not_seen_are_asked_for() -> None:
    with pytest.raises(ValueError, match="rewards"):
        believed(2, "full")


CURVE = Curve(RandomFeatures((0.35,) * 4, 100), 1e-9)


def watched(bend: float, runs: int = 2) -> ThermalBatch:
    """Actions that bend away from a line at large states, with a little noise."""
    rng = np.random.default_rng(2)
    state, noise = 3.0 * rng.standard_normal((runs, 4000, 4)), rng.standard_normal((runs, 4000, 2))
    line = state @ rng.standard_normal((4, 2))
    action = line + bend * 6.0 * np.tanh(line / 6.0) + 0.1 * noise
    nothing, paid = np.empty((runs, 4000, 0)), -np.square(state).sum(axis=2)
    return ThermalBatch(state, nothing, action, state, paid, paid)


def of_run(batch: ThermalBatch, run: int) -> ThermalBatch:
    names = ("state", "leader_action", "follower_action", "next_state", "leader_reward",
             "follower_reward")  # fmt: skip
    return ThermalBatch(*(getattr(batch, name)[run : run + 1] for name in names))


def curved(batch: ThermalBatch, seeds: range):  # type: ignore[no-untyped-def]
    belief = RegulatorBelief(np.full(len(seeds), 0.5), 0.9, 20, CURVE)
    return belief.learn(np.zeros((len(seeds), 8)), batch, belief.start(Streams(seeds)))


def random_quadratic(runs: int) -> Quadratic:
    matrix = np.random.default_rng(3).standard_normal((runs, 1, 6, 6))
    return Quadratic(matrix + matrix.swapaxes(2, 3), np.zeros((runs, 1)))


def test_random_features_follow_a_policy_that_is_not_linear() -> None:
    batch = watched(1.0)
    found = curved(batch, range(2))
    assert found.curve is not None
    spread = found.covariance[:, (0, 1), (0, 1)]
    assert (spread > 0.009).all()
    # A line takes the bend for noise.
    of_line = linear_policy(batch.state, batch.follower_action)[1][:, (0, 1), (0, 1)]
    assert (spread < 0.2 * of_line).all()
    error = batch.follower_action - found.mean(batch.state)
    np.testing.assert_allclose(np.square(error).mean(axis=1), spread, rtol=1e-6)


def test_a_curve_is_the_same_alone_and_in_a_batch() -> None:
    batch = watched(1.0)
    together, second = curved(batch, range(2)), of_run(batch, 1)
    alone = curved(second, range(1, 2))
    np.testing.assert_array_equal(together.mean(batch.state)[1], alone.mean(second.state)[0])
    np.testing.assert_array_equal(together.quadratic[1], alone.quadratic[0])


def test_a_straight_curve_values_actions_as_its_line_does() -> None:
    batch = watched(0.0)
    found = curved(batch, range(2))
    line = RegulatorBelief(np.full(2, 0.5), 0.9, 20).learn(np.zeros((2, 8)), batch, {})
    assert line.curve is None
    np.testing.assert_allclose(found.mean(batch.state), line.mean(batch.state), atol=0.3)
    of_curve, of_line = (
        values_of(random_quadratic(2), batch, response, None, Streams([0, 1]))
        for response in (found, line)
    )
    scale = np.abs(of_line.value).max()
    np.testing.assert_allclose(of_curve.value, of_line.value, atol=0.01 * scale)
    np.testing.assert_array_equal(of_curve.action_value, of_line.action_value)


def test_the_mean_over_a_curved_policy_is_that_of_samples() -> None:
    batch = watched(1.0, 1)
    found, value = curved(batch, range(1)), random_quadratic(1)
    asked = batch.state[:, :1].repeat(100_000, axis=1)
    normals = np.random.default_rng(4).standard_normal((1, 100_000, 2))
    drawn = found.mean(asked) + normals @ np.linalg.cholesky(found.covariance[0]).T
    sampled = value(np.concatenate([asked, drawn], axis=2))[0, :, 0]
    expected = values_of(value, batch, found, None, Streams([0])).value[0, 0]
    assert abs(sampled.mean() - expected) < 4.0 * sampled.std() / np.sqrt(100_000)
