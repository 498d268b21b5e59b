"""Continuous and shifted actions: what a policy says of them, and what reaches the environment."""

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from stable_baselines3 import PPO, SAC

from bilevelrl.trainer.acting import FollowerView, LeaderPolicy
from bilevelrl.trainer.beliefs import FeatureBelief, make_belief
from bilevelrl.trainer.functions import Network, Table
from bilevelrl.trainer.policies import known_policy
from bilevelrl.trainer.simulation import element
from bilevelrl.trainer.spaces import Encoding, JointEncoding
from tests.trainer.games import TableLeader, TurnGame

WIDE = Box(np.array([-1.0, 2.0]), np.array([3.0, 4.0]), dtype=np.float64)


class Still(gymnasium.Env[Any, Any]):
    observation_space = Box(-1.0, 1.0, (2,), np.float32)

    def __init__(self, actions: Any = WIDE) -> None:
        self.action_space = actions

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> Any:
        return np.zeros(2, np.float32), 0.0, True, False, {}


def test_sac_is_read_as_it_acts() -> None:
    agent = SAC("MlpPolicy", Still(), device="cpu", seed=0, buffer_size=10)
    policy = known_policy(agent, WIDE, 4000)
    seen = np.random.default_rng(0).uniform(-1.0, 1.0, (3, 2)).astype(np.float32)
    drawn, weights = policy.answers(seen)
    acted = agent.predict(np.tile(seen, (4000, 1)))[0].reshape(4000, 3, 2)
    np.testing.assert_allclose(drawn.mean(axis=0), acted.mean(axis=0), atol=0.06)
    np.testing.assert_allclose(drawn.std(axis=0), acted.std(axis=0), atol=0.06)
    assert weights.sum(axis=0) == pytest.approx(1.0)
    with torch.no_grad():
        scaled, expected = agent.actor.action_log_prob(torch.as_tensor(seen))
    played = agent.policy.unscale_action(scaled.numpy())
    np.testing.assert_allclose(policy.log_prob(seen, played), expected.numpy(), atol=1e-2)


def test_ppo_that_clips_is_refused() -> None:
    agent = PPO("MlpPolicy", Still(), device="cpu", n_steps=8, batch_size=8)
    with pytest.raises(ValueError, match="PPO clips its actions at the bounds of Box"):
        known_policy(agent, WIDE, 4)


@pytest.mark.parametrize("kind", [FeatureBelief(20, 1.0, 0.03, 30), Network((16,), 0.03, 30)])
def test_a_belief_finds_mean_and_spread_of_continuous_answers(kind: Any) -> None:
    rng = np.random.default_rng(0)
    seen = rng.uniform(-1.0, 1.0, (2000, 2))
    raw = np.tanh(0.5 * seen + 0.2 * rng.standard_normal(seen.shape))
    belief = make_belief(kind, Box(-1.0, 1.0, (2,)), WIDE, 500, rng)
    torch.manual_seed(0)
    for _ in range(2):
        belief.learn(seen, np.array([1.0, 3.0]) + np.array([2.0, 1.0]) * raw)
    at = np.array([[0.8, -0.8]])
    drawn, _ = belief.answers(at)
    np.testing.assert_allclose(
        np.arctanh((drawn[:, 0] - [1.0, 3.0]) / [2.0, 1.0]).mean(axis=0), [0.4, -0.4], atol=0.1
    )
    np.testing.assert_allclose(
        np.arctanh((drawn[:, 0] - [1.0, 3.0]) / [2.0, 1.0]).std(axis=0), 0.2, atol=0.06
    )


def test_shifted_elements_count_from_their_start() -> None:
    encoding = JointEncoding(
        [
            Encoding.of("a", Discrete(3, start=5)),
            Encoding.of("b", MultiDiscrete([2, 3], start=[1, 7])),
        ]
    )
    elements = [np.array([5, 7]), np.array([[1, 7], [2, 9]])]
    np.testing.assert_array_equal(encoding.numbers(elements), [0, 2 * 6 + 5])
    np.testing.assert_array_equal(
        encoding.rows(elements), [[1, 0, 0, 1, 0, 1, 0, 0], [0, 0, 1, 0, 1, 0, 0, 1]]
    )
    assert Encoding.of("a", MultiDiscrete([2] * 64)).num_elements == 2**64
    rng = np.random.default_rng(0)
    belief = make_belief(Table(prior=1e-6), Discrete(2, start=3), Discrete(2, start=1), 1, rng)
    belief.learn(np.array([3, 3, 4]), np.array([1, 1, 2]))
    np.testing.assert_allclose(belief.log_prob(np.array([3, 4]), np.array([1, 2])), 0.0, atol=1e-5)


def test_what_a_leader_draws_fits_its_space() -> None:
    assert element(Box(0, 255, (2,), np.uint8), np.array([-5.2, 3.6])).tolist() == [0, 4]
    table = torch.nn.Linear(1, 2)
    for space, make in (
        (MultiDiscrete([2, 2], start=[5, 5]), lambda x: torch.distributions.Categorical(
            logits=torch.stack([table(x), table(x)], dim=1))),
        (Discrete(2, start=4), lambda x: torch.distributions.Bernoulli(logits=table(x)[:, 0])),
        (Box(-1.0, 1.0, (2,)), lambda x: torch.distributions.Normal(table(x), 1.0)),
    ):  # fmt: skip

        class Leader(torch.nn.Module):
            def __init__(self, make: Any) -> None:
                super().__init__()
                self.table, self.make = table, make

            def forward(self, x: Any) -> Any:
                return self.make(x)

        policy = LeaderPolicy(Leader(make), Box(-1.0, 1.0, (1,)), space)
        seen = np.zeros((4, 1))
        drawn = policy.draw(seen)
        assert isinstance(space, Box) or all(space.contains(element(space, a)) for a in drawn)
        assert policy.log_prob(seen, drawn).shape == (4,)


class Tolls(TurnGame):
    """Pays the follower -1 at the leader's move and 2 at its own, and reuses its observations."""

    def __init__(self) -> None:
        self._seen = np.zeros(2, dtype=np.int64)
        super().__init__()

    def observe(self, agent: str) -> Any:
        if agent == "leader":
            return super().observe(agent)
        self._seen[:] = super().observe(agent)
        return self._seen

    def step(self, action: Any) -> None:
        mover = self.agent_selection
        super().step(action)
        self.rewards = {"leader": 0.0, "follower": -1.0 if mover == "leader" else 2.0}


def test_rewards_of_both_moves_are_of_one_round() -> None:
    view = FollowerView(Tolls(), TableLeader())
    view.reset(seed=0)
    assert [view.step(0)[1] for _ in range(5)] == [1.0] * 5


def test_a_simulator_keeps_what_was_seen_and_paid() -> None:
    from bilevelrl.trainer.acting import ActingSimulator
    from tests.trainer.games import ExactFollower

    leader = TableLeader()
    follower = ExactFollower(leader)
    follower.learn(1)
    batch = ActingSimulator([Tolls()], leader, 20).play(follower, 1, np.random.default_rng(0))
    assert (batch.follower_reward == 1.0).all()
    states, actions = np.moveaxis(batch.follower_observation[0], 1, 0)
    np.testing.assert_array_equal(states, batch.observation[0])
    np.testing.assert_array_equal(actions, batch.leader_action[0])
    np.testing.assert_array_equal(batch.next_observation[0, :-1], batch.observation[0, 1:])


def test_a_follower_s_view_passes_gymnasium_s_checks() -> None:
    from gymnasium.utils.env_checker import check_env

    check_env(FollowerView(TurnGame(), TableLeader()), skip_render_check=True)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_leader_may_return_distributions_over_vectors(number: int) -> None:
    class Vector(torch.nn.Module):
        def __init__(self, joint: bool) -> None:
            super().__init__()
            self.mean, self.joint = torch.nn.Parameter(torch.zeros(2)), joint

        def forward(self, seen: torch.Tensor) -> torch.distributions.Distribution:
            mean = self.mean + seen
            if self.joint:
                return torch.distributions.MultivariateNormal(mean, torch.eye(2))
            return torch.distributions.Normal(mean, torch.ones(2))

    seen = np.random.default_rng(0).standard_normal((number, 2)).astype(np.float32)
    joint, single = (
        LeaderPolicy(Vector(kind), Box(-9.0, 9.0, (2,)), Box(-9.0, 9.0, (2,))).log_prob(seen, seen)
        for kind in (True, False)
    )
    assert joint.shape == (number,)
    torch.testing.assert_close(joint, single)
