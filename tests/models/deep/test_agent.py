"""SAC as a follower: bits, densities and failures."""

from typing import Any

import gymnasium
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from stable_baselines3.common.distributions import SquashedDiagGaussianDistribution
from torch.distributions import Independent, Normal, TanhTransform, TransformedDistribution

from bilevelrl.core.follower import FollowerDiverged
from bilevelrl.models.deep.agent import SacAgent, SacOptions
from bilevelrl.models.deep.players import RegulatorPlayer, SacPlayer, evaluate, learning_curve
from bilevelrl.models.deep.view import ViewOptions
from bilevelrl.problems.thermal_control.follower import ThermalRegulator
from bilevelrl.problems.thermal_control.follower_task import (
    ThermalFollowerTask,
    ThermalFollowerView,
    exact_value,
)
from tests.buildings import BETA, PUBLISHED, THETA_X

Floats = NDArray[np.float64]
VIEW = ViewOptions(20.0, 4)
TASK = ThermalFollowerTask(PUBLISHED)
SMALL = SacOptions(net_arch=(16, 16), batch_size=32, learning_starts=40, reward_scale=300.0)
STATES = np.random.default_rng(1).standard_normal((50, 4))


class Bandit(gymnasium.Env[Any, Any]):
    """One number to observe, one to play, and a reward of the test's choice."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, reward: float) -> None:
        self.reward = reward

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return np.zeros(1, np.float32), self.reward, False, True, {}


def agent(seed: int = 0, options: SacOptions = SMALL) -> SacAgent:
    return SacAgent(
        lambda: ThermalFollowerView(PUBLISHED, THETA_X, VIEW),
        temperature=BETA,
        discount=PUBLISHED.discount,
        options=options,
        seed=seed,
    )


def bandit(reward: float) -> SacAgent:
    options = SacOptions(net_arch=(16, 16), batch_size=32, learning_starts=10)
    return SacAgent(lambda: Bandit(reward), temperature=0.1, discount=0.5, options=options, seed=0)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_densities_are_those_of_a_squashed_normal(activation: Any) -> None:
    options = SacOptions(
        net_arch=(16, 16), batch_size=32, learning_starts=40, activation_fn=activation
    )
    one = agent(options=options)
    one.learn(80)
    normals = np.random.default_rng(2).standard_normal((50, 2))
    action, density = one.act(STATES, normals)
    mean, deviation = one.gaussian(STATES)
    normal = Independent(Normal(torch.as_tensor(mean), torch.as_tensor(deviation)), 1)
    squashed = TransformedDistribution(normal, [TanhTransform()])
    # Far from the ends, where what torch gets back from the action is exact.
    inside = np.abs(action).max(axis=1) < 0.999
    assert inside.sum() > 25
    expected = squashed.log_prob(torch.as_tensor(action)).numpy()
    np.testing.assert_allclose(density[inside], expected[inside], rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(action, np.tanh(mean + deviation * normals))


def test_acts_as_its_own_library_does() -> None:
    one = agent()
    one.learn(80)
    mean, deviation = one.gaussian(STATES)
    model = one._model
    played, _ = model.predict(STATES.astype(np.float32), deterministic=True)
    np.testing.assert_allclose(np.tanh(mean), played, rtol=1e-5, atol=1e-6)
    model.actor(torch.as_tensor(STATES, dtype=torch.float32))
    distribution = model.actor.action_dist
    assert isinstance(distribution, SquashedDiagGaussianDistribution)
    np.testing.assert_allclose(deviation, distribution.distribution.stddev.detach(), rtol=1e-6)


def test_the_same_seed_gives_the_same_bytes_whoever_learns_beside_it() -> None:
    alone, other = agent(3), agent(4)
    torch.manual_seed(99)
    for _ in range(2):
        alone.learn(60)
    first = alone.gaussian(STATES)
    again = agent(3)
    for _ in range(2):
        again.learn(60)
        other.learn(60)
        np.random.default_rng().standard_normal(3)
        torch.rand(5)
    for mine, theirs, another in zip(
        first, again.gaussian(STATES), other.gaussian(STATES), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)
        assert (mine != another).all()


def test_learning_leaves_the_global_generators_and_threads_alone() -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    before = np.random.get_state(legacy=True)[1]  # noqa: NPY002
    one = agent()
    one.learn(60)
    one.gaussian(STATES)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(np.random.get_state(legacy=True)[1], before)  # noqa: NPY002


def test_the_step_size_falls_with_transitions_not_with_calls() -> None:
    options = SacOptions(
        net_arch=(16, 16),
        batch_size=32,
        learning_starts=10,
        learning_rate=1e-2,
        final_learning_rate=1e-4,
        decay_steps=80,
    )
    assert options.learning_rate_after(40) == pytest.approx(1e-3)
    one = agent(options=options)
    for steps, expected in ((40, 1e-3), (20, 1e-2 * 100.0**-0.75), (60, 1e-4)):
        one.learn(steps)
        for network in (one._model.actor, one._model.critic):
            assert network.optimizer.param_groups[0]["lr"] == pytest.approx(expected)
    assert SacOptions(learning_rate=0.1).learning_rate_after(10**6) == 0.1


@pytest.mark.parametrize("reward", [np.nan, np.inf, -1e12])
def test_an_impossible_or_exploding_reward_is_noticed(reward: float) -> None:
    with pytest.raises(FollowerDiverged, match="SAC after"):
        bandit(reward).learn(100)


def test_a_plain_reward_is_not() -> None:
    one = bandit(-1.0)
    one.learn(100)
    assert one.steps == 100


def test_the_exact_policy_has_no_gap() -> None:
    response = ThermalRegulator(PUBLISHED, np.array([BETA])).respond(THETA_X[None])
    best, _ = TASK.best(THETA_X, BETA)
    found = evaluate(TASK, THETA_X, BETA, best, episodes=20)
    assert (found.value_gap, found.relative_gap) == (0.0, 0.0)
    assert found.value == exact_value(PUBLISHED, response)[0]
    assert abs(found.kl) < 1e-10


def test_a_wrong_policy_has_the_gap_that_its_cost_says() -> None:
    regulator = ThermalRegulator(PUBLISHED, np.array([BETA]))
    response = regulator.respond(THETA_X[None])
    gain, covariance = 0.8 * response.gain[0], 1.5 * response.covariance[0]
    found = evaluate(TASK, THETA_X, BETA, RegulatorPlayer(gain, covariance), episodes=4000)
    problem, gamma = PUBLISHED, PUBLISHED.discount
    closed = problem.dynamics(THETA_X[None])[0] - problem.input_matrix @ gain
    cost = problem.state_cost + gain.T @ problem.control_cost @ gain
    quadratic, offset = np.zeros((4, 4)), 0.0
    entropy = 0.5 * np.linalg.slogdet(2.0 * np.pi * np.e * covariance)[1]
    for _ in range(400):  # sums of γ^t costs, by iterating the policy's own Bellman equation
        actuator = problem.input_matrix
        noise = actuator @ covariance @ actuator.T + problem.noise**2 * np.eye(4)
        ahead = gamma * quadratic
        offset = gamma * offset + np.trace(ahead @ noise) - BETA * entropy
        offset += np.trace(problem.control_cost @ covariance)
        quadratic = cost + closed.T @ ahead @ closed
    value = -(problem.initial_deviation**2 * np.trace(quadratic) + offset)
    exact = exact_value(problem, response)[0]
    assert found.gap_error < 0.1 * found.value_gap
    assert found.value == pytest.approx(value, abs=4.0 * found.gap_error)
    assert found.value_gap == pytest.approx(exact - value, abs=4.0 * found.gap_error)
    assert found.relative_gap == pytest.approx(found.value_gap / abs(exact))
    assert found.kl > 0.1


def test_a_learning_curve_continues_one_agent() -> None:
    def learned(*budgets: int) -> pd.DataFrame:
        one = agent()
        player = SacPlayer(one, TASK.scale, VIEW.action_bound)
        return learning_curve(
            one, budgets, lambda: evaluate(TASK, THETA_X, BETA, player, episodes=20)
        )

    curve, at_once = learned(60, 120), learned(60)
    assert list(curve.columns) == [
        "steps", "value", "value_gap", "gap_error", "relative_gap", "kl",
    ]  # fmt: skip
    assert curve["steps"].tolist() == [60, 120]
    assert curve.iloc[0].tolist() == at_once.iloc[0].tolist()
    assert curve["value"][0] != curve["value"][1]
