"""SAC as a follower: bits, densities and failures."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from stable_baselines3 import SAC
from stable_baselines3.common.distributions import SquashedDiagGaussianDistribution
from torch.distributions import Independent, Normal, TanhTransform, TransformedDistribution

from bilevelrl.core.follower import FollowerDiverged
from bilevelrl.models.deep.agent import SacAgent
from bilevelrl.models.deep.learning import SacTask, learn_sac
from bilevelrl.models.deep.players import RegulatorPlayer, evaluate
from bilevelrl.models.deep.settings import SacParams
from bilevelrl.models.deep.view import Floats32, FollowerView
from bilevelrl.problems.thermal_control.follower import ThermalRegulator
from bilevelrl.problems.thermal_control.follower_task import ThermalFollowerTask, exact_value
from tests.buildings import BETA, PUBLISHED, THETA_X
from tests.sac_params import agents

Floats = NDArray[np.float64]
TASK = ThermalFollowerTask(PUBLISHED)
SMALL = agents(reward_scale=300.0, action_bound=20.0, training_horizon=4)
STATES = np.random.default_rng(1).standard_normal((50, 4))


class Bandit(FollowerView):
    """One number to observe, one to play, and a reward of the test's choice."""

    def __init__(self, reward: float) -> None:
        super().__init__(np.zeros(1), 1, 1, 1)
        self.reward = reward

    def _begin(self) -> None:
        pass

    def _play(self, action: Floats) -> tuple[float, bool]:
        return self.reward, False

    def _observed(self) -> Floats32:
        return np.zeros(1, np.float32)


def agent(seed: int = 0, options: SacParams = SMALL) -> SacAgent:
    return SacAgent(
        lambda: TASK.view(THETA_X, SMALL),
        temperature=BETA,
        discount=PUBLISHED.discount,
        options=options,
        seed=seed,
    )


def bandit(reward: float) -> SacAgent:
    options = agents(learning_starts=10)
    return SacAgent(lambda: Bandit(reward), temperature=0.1, discount=0.5, options=options, seed=0)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_densities_are_those_of_a_squashed_normal(activation: Any) -> None:
    one = agent(options=agents(activation_fn=activation))
    one.learn(80)
    normals = np.random.default_rng(2).standard_normal((50, 2))
    states = PUBLISHED.initial_deviation * STATES
    played, density = one.act(states, normals)
    mean, deviation = one.gaussian(STATES)
    # In the problem's units, where an action is 20 times what the agent plays.
    action, density = played / 20.0, density + 2.0 * np.log(20.0)
    normal = Independent(Normal(torch.as_tensor(mean), torch.as_tensor(deviation)), 1)
    squashed = TransformedDistribution(normal, [TanhTransform()])
    # Far from the ends, where what torch gets back from the action is exact.
    inside = np.abs(action).max(axis=1) < 0.999
    assert inside.sum() > 25
    expected = squashed.log_prob(torch.as_tensor(action)).numpy()
    np.testing.assert_allclose(density[inside], expected[inside], rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(action, np.tanh(mean + deviation * normals))


def test_its_actor_can_be_loaded_into_stable_baselines3() -> None:
    one = agent()
    one.learn(80)
    mean, deviation = one.gaussian(STATES)
    kwargs = {"net_arch": [16, 16], "activation_fn": torch.nn.ReLU}
    model = SAC("MlpPolicy", TASK.view(THETA_X, SMALL), policy_kwargs=kwargs, device="cpu")
    model.actor.load_state_dict({k: torch.as_tensor(v) for k, v in one.policy().items()})
    played, _ = model.predict(STATES.astype(np.float32), deterministic=True)
    np.testing.assert_allclose(np.tanh(mean), played, rtol=1e-5, atol=1e-6)
    model.actor(torch.as_tensor(STATES, dtype=torch.float32))
    distribution = model.actor.action_dist
    assert isinstance(distribution, SquashedDiagGaussianDistribution)
    np.testing.assert_allclose(deviation, distribution.distribution.stddev.detach(), rtol=1e-5)


def test_the_same_seed_gives_the_same_bytes_whoever_learns_beside_it() -> None:
    alone, other = agent(3), agent(4)
    for _ in range(2):
        alone.learn(60)
    first = alone.gaussian(STATES)
    again = agent(3)
    for _ in range(2):
        again.learn(60)
        other.learn(60)
        np.random.default_rng().standard_normal(3)
    for mine, theirs, another in zip(
        first, again.gaussian(STATES), other.gaussian(STATES), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)
        assert (mine != another).all()


def test_the_step_size_falls_with_transitions_not_with_calls() -> None:
    options = agents(
        learning_starts=10, learning_rate=1e-2, final_learning_rate=1e-4, decay_steps=80
    )
    one = agent(options=options)
    for steps, expected in ((40, 1e-3), (20, 1e-2 * 100.0**-0.75), (60, 1e-4)):
        one.learn(steps)
        assert one.step_size == pytest.approx(expected)
    one = agent(options=agents(learning_rate=0.02))
    one.learn(60)
    assert one.step_size == 0.02


@pytest.mark.parametrize(("n_envs", "steps"), [(1, 60), (4, 60)])
def test_learns_once_there_are_enough_transitions(n_envs: int, steps: int) -> None:
    options = agents(n_envs=n_envs, gradient_steps=3, learning_starts=40)
    one = agent(options=options)
    before = one.policy()["mu.weight"]
    one.learn(40)
    np.testing.assert_array_equal(one.policy()["mu.weight"], before)
    counted: list[int] = []
    learner_step = one._learner.step
    one._learner.step = lambda *args: counted.append(1) or learner_step(*args)  # type: ignore[func-returns-value, method-assign]
    one.learn(steps - 40)
    assert one.steps == steps
    assert len(counted) == 3 * (steps - 40) // n_envs


class Counter(FollowerView):
    """Observes the time in its episode; ends by itself after `length` steps, is cut after 5."""

    def __init__(self, length: int) -> None:
        super().__init__(np.zeros(1), 1, 1, 5)
        self.length, self.now = length, 0

    def _begin(self) -> None:
        self.now = 0

    def _play(self, action: Floats) -> tuple[float, bool]:
        self.now += 1
        return 1.0, self.now >= self.length

    def _observed(self) -> Floats32:
        return np.full(1, self.now, np.float32)


@pytest.mark.parametrize(("length", "ends"), [(3, True), (9, False)])
def test_a_cut_is_no_end_and_its_last_state_is_remembered(length: int, ends: bool) -> None:
    one = SacAgent(lambda: Counter(length), temperature=0.1, discount=0.5, options=SMALL, seed=0)
    one.learn(30)
    seen = one._memory.sample(500, np.random.default_rng(0))
    last = min(length, 5)
    np.testing.assert_array_equal(seen.next_state, seen.state + 1)
    assert set(seen.state[:, 0].tolist()) == set(map(float, range(last)))
    over = seen.next_state[:, 0] == last
    np.testing.assert_array_equal(seen.goes_on, np.where(over & ends, 0.0, 1.0))


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
    best, value = TASK.best(THETA_X, BETA)
    found = evaluate(TASK, THETA_X, BETA, best, episodes=20)
    assert (found.value_gap, found.relative_gap, found.leader_gain) == (0.0, 0.0, 0.0)
    assert value == exact_value(PUBLISHED, response)[0]
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
    assert found.value_gap == pytest.approx(exact - value, abs=4.0 * found.gap_error)
    assert found.relative_gap == pytest.approx(found.value_gap / abs(exact))
    assert found.kl > 0.1


def test_a_learning_curve_continues_one_agent() -> None:
    task = SacTask(TASK, THETA_X, BETA, SMALL, 0, (60, 120))
    (curve, actor), (at_once, _) = learn_sac(task), learn_sac(replace(task, checkpoints=(60,)))
    assert list(curve.columns) == ["steps", "value_gap", "relative_gap", "kl"]
    assert curve["steps"].tolist() == [60, 120]
    assert curve.iloc[0].tolist() == at_once.iloc[0].tolist()
    assert curve["value_gap"][0] != curve["value_gap"][1]
    one = agent()
    one.learn(60)
    one.learn(60)
    assert actor.keys() == one.policy().keys()
    for name, array in one.policy().items():
        np.testing.assert_array_equal(actor[name], array)
