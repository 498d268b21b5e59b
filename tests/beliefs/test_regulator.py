"""What a watching leader believes about the follower of building thermal control."""

import numpy as np
import pytest

from bilevelrl.beliefs.regulator import RegulatorBelief, linear_policy
from bilevelrl.followers.thermal_regulator import ThermalRegulator
from bilevelrl.problems.thermal_control import ThermalControl
from bilevelrl.problems.thermal_rollout import ThermalRollout
from bilevelrl.seeding import Streams
from bilevelrl.thermal_game import ThermalWorld

RUNS = 20
PROBLEM = ThermalControl.published(max_episode_steps=20, initial_deviation=1.0)
THETA = np.repeat(0.3 * np.random.default_rng(0).standard_normal((1, 8)), RUNS, axis=0)
BETA = np.full(RUNS, 0.5)
RESPONSE = ThermalRegulator(PROBLEM, BETA).respond(THETA)


def believed(episodes: int, information: str = "rewards"):  # type: ignore[no-untyped-def]
    world = ThermalWorld(ThermalRollout(PROBLEM, episodes), information)  # type: ignore[arg-type]
    seen = world.observe(THETA, RESPONSE, Streams(range(RUNS)), at_random=False)
    belief = RegulatorBelief(BETA, PROBLEM.discount, PROBLEM.max_episode_steps)
    return belief.learn(THETA, seen, {})


@pytest.mark.parametrize("name", ["gain", "covariance", "quadratic"])
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
        believed(2, "actions")
