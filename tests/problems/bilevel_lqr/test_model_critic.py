"""A critic that identifies the linear dynamics: exact as soon as it has seen a few transitions."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.observations import Observations
from bilevelrl.problems.bilevel_lqr.model_critic import LinearModelCritic
from tests.problems.bilevel_lqr.exact_values import exact_leader_values
from tests.small_lqr import CRITIC, EPISODES, HORIZON, PROBLEM, RESPONSE, THETA, batch_of

Floats = NDArray[np.float64]


def learned(*batches: Observations) -> Any:
    memory = CRITIC.start(2)
    for batch in batches:
        CRITIC.learn(batch, memory)
    return memory


def exact(state: Floats, leader: Floats, follower: Floats) -> Any:
    """What is known, with episodes as an axis of their own, (R, E, T, n)."""
    parts = (part.reshape(2, EPISODES, HORIZON, -1) for part in (state, leader, follower))
    return exact_leader_values(
        PROBLEM, THETA, RESPONSE, *parts, discount=PROBLEM.leader_discount, horizon=HORIZON
    )  # fmt: skip


def test_the_dynamics_are_found_exactly() -> None:
    own, actuator, leader = CRITIC.dynamics(learned(batch_of([0, 1])))
    for run in range(2):
        np.testing.assert_allclose(own[run], PROBLEM.state_matrix, atol=1e-6)
        np.testing.assert_allclose(actuator[run], PROBLEM.follower_matrix, atol=1e-6)
        np.testing.assert_allclose(leader[run], PROBLEM.leader_matrix, atol=1e-6)


def test_all_batches_count() -> None:
    # Each of them alone says too little.
    whole = batch_of([0, 1])
    start, rest, both = (
        whole.take(np.tile(steps, (2, 1))) for steps in (np.r_[:3], np.r_[3:8], np.r_[:8])
    )
    memory, together = learned(start, rest), learned(both)
    for name in memory:
        np.testing.assert_allclose(memory[name], together[name], rtol=1e-12)
    own, _, _ = CRITIC.dynamics(memory)
    np.testing.assert_allclose(own[0], PROBLEM.state_matrix, atol=1e-5)


def test_advantages_and_slopes_are_those_of_the_exact_values() -> None:
    batch = batch_of([0, 1])
    found = CRITIC.evaluate(THETA, RESPONSE, batch, learned(batch))
    arrays = batch.state, batch.leader_action, batch.follower_action
    truth = exact(*arrays)
    expected = {
        "follower_advantage": truth.q - truth.q_follower_mean,
        "leader_advantage": truth.q_follower_mean - truth.q_state_mean,
    }
    for name, value in expected.items():
        assert np.abs(value).max() > 1e-3
        np.testing.assert_allclose(found[name], value.reshape(2, -1), atol=1e-6, err_msg=name)
    step = 1e-5
    rise = [
        exact(batch.state, batch.leader_action + change, batch.follower_action).q_follower_mean
        for change in (step, -step)
    ]
    slope = ((rise[0] - rise[1]) / (2.0 * step)).reshape(2, -1)
    assert np.abs(slope).max() > 1e-3
    np.testing.assert_allclose(found["action_slope"], slope, atol=1e-6)


def test_nothing_of_the_dynamics_is_read_from_the_problem() -> None:
    batch = batch_of([0, 1])
    matrices = {"state_matrix": np.zeros((3, 3)), "follower_matrix": np.ones((3, 2))}
    blind = LinearModelCritic(replace(PROBLEM, **matrices))
    memory = learned(batch)
    for one, other in zip(
        CRITIC.evaluate(THETA, RESPONSE, batch, memory).values(),
        blind.evaluate(THETA, RESPONSE, batch, memory).values(),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_a_run_is_the_same_alone_and_in_a_batch() -> None:
    batch = batch_of([0, 1])
    together = CRITIC.evaluate(THETA, RESPONSE, batch, learned(batch))
    own = Observations(*(array[1:] for array in vars(batch).values() if array is not None))
    critic = LinearModelCritic(PROBLEM)
    memory = critic.start(1)
    critic.learn(own, memory)
    names = ("state_gain", "noise_gain", "covariance")
    response = replace(RESPONSE, **{name: getattr(RESPONSE, name)[1:] for name in names})
    found = critic.evaluate(THETA[1:], response, own, memory)
    for one, other in zip(together.values(), found.values(), strict=True):
        np.testing.assert_array_equal(one[1], other[0])
