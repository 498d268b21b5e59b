"""The released critic of BilevelLQR, step by step against PyTorch."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bilevelrl.core.observations import Observations
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.bilevel_lqr.follower import LinearGaussianResponse, MaxEntropyLQR
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR
from bilevelrl.problems.bilevel_lqr.released_leader import LinearNetworkCritic
from bilevelrl.problems.bilevel_lqr.rollout import LinearRollout

Floats = NDArray[np.float64]
SEEDS = [3, 4]
STEP_SIZES = np.array([0.1, 1e-3])
PROBLEM = BilevelLQR.published(max_episode_steps=20)
UPDATES, STEPS, MINIBATCH, RATE = 3, 4, 16, 0.3


class Update:
    """θ, its slow copy, the follower's answer to θ and a batch."""

    def __init__(self, number: int) -> None:
        generator = np.random.default_rng(number)
        self.theta, self.slow = generator.standard_normal((2, 2, 2))
        follower = MaxEntropyLQR(PROBLEM, np.array([0.1, 0.5]))
        self.response: LinearGaussianResponse = follower.respond(self.theta)
        rollout = LinearRollout(PROBLEM, 2)
        streams = Streams([10 * number + 1, 10 * number + 2])
        self.batch = rollout.observe(self.theta, self.response, streams, at_random=number == 0)


class TorchCritic:
    """One run in PyTorch: Q(x, u, a)."""

    def __init__(self, seed: int, step_size: float) -> None:
        self.draws = Streams([seed])
        shapes = ((4, 64), (64, 64), (64, 1))
        layers = [torch.nn.Linear(n, m, dtype=torch.float64) for n, m in shapes]
        size = sum(n * m + m for n, m in shapes)
        numbers, start = self.draws.normals("critic", (size,))[0], 0
        for layer, (n, m) in zip(layers, shapes, strict=True):
            xavier = np.sqrt(2.0 / (n + m)) * numbers[start : start + n * m].reshape(n, m)
            layer.weight.data = torch.tensor(xavier.T.copy())
            layer.bias.data.zero_()
            start += n * m + m
        relu = torch.nn.ReLU()
        self.network = torch.nn.Sequential(layers[0], relu, layers[1], relu, layers[2])
        self.slow = {k: v.detach().clone() for k, v in self.network.named_parameters()}
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=step_size)

    def learn(self, stored: Observations, run: int, update: Update) -> None:
        response, theta = update.response, update.theta[run]
        gain, noise_gain = response.state_gain[run], response.noise_gain[run]
        size = stored.leader_reward.shape[1]
        for _ in range(STEPS):
            uniforms = self.draws.uniforms("critic", (MINIBATCH,))[0]
            loss = torch.zeros((), dtype=torch.float64)
            for u in uniforms:
                n = int(u * size)
                following = stored.next_state[run, n]
                mode = np.array([update.slow[run] @ following])
                pushed = PROBLEM.leader_matrix @ (mode - theta @ following)
                answer = -(gain @ following + noise_gain @ pushed)
                after = torch.tensor(np.concatenate([following, answer, mode]))
                with torch.no_grad():
                    value = torch.func.functional_call(self.network, self.slow, (after,))[0]
                target = stored.leader_reward[run, n] + PROBLEM.leader_discount * value
                loss = loss + (self.q(stored, run, n) - target) ** 2 / MINIBATCH
            self.optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()
        for name, parameter in self.network.named_parameters():
            self.slow[name] = (1 - RATE) * self.slow[name] + RATE * parameter.detach()

    def q(self, stored: Observations, run: int, n: int) -> torch.Tensor:
        parts = (stored.state, stored.follower_action, stored.leader_action)
        row = torch.tensor(np.concatenate([part[run, n] for part in parts]))
        value: torch.Tensor = self.network(row)[0]
        return value


def make_critic(step_sizes: Floats = STEP_SIZES) -> LinearNetworkCritic:
    return LinearNetworkCritic(PROBLEM, STEPS, step_sizes, RATE, MINIBATCH)


def test_the_network_learns_as_a_literal_reading_does() -> None:
    critic, streams = make_critic(), Streams(SEEDS)
    memory = critic.start(streams)
    np.testing.assert_array_equal(memory["critic"], memory["slow_critic"])
    literal = [TorchCritic(seed, size) for seed, size in zip(SEEDS, STEP_SIZES, strict=True)]
    slow = memory["slow_critic"].copy()
    for number in range(UPDATES):
        update = Update(number)
        stored = update.batch
        slow += RATE * (memory["critic"] - slow)
        critic.learn(stored, update.theta, update.slow, update.response, memory, streams)
        np.testing.assert_allclose(memory["slow_critic"], slow, rtol=1e-12, atol=1e-15)
        values = critic.values(
            memory["critic"], stored.state, stored.follower_action, stored.leader_action
        )
        assert values.shape == (2, 40)
        for run in range(2):
            literal[run].learn(stored, run, update)
            expected = [literal[run].q(stored, run, n).item() for n in range(40)]
            np.testing.assert_allclose(values[run], expected, rtol=1e-8, atol=1e-10)


def test_values_of_many_actions_at_once_are_those_one_by_one() -> None:
    critic = make_critic()
    parameters = critic.start(Streams(SEEDS))["critic"]
    generator = np.random.default_rng(0)
    state, follower, leader = (generator.standard_normal((2, 5, 3, n)) for n in (2, 1, 1))
    values = critic.values(parameters, state, follower, leader)
    assert values.shape == (2, 5, 3)
    for i in range(3):
        part = critic.values(parameters, state[:, :, i], follower[:, :, i], leader[:, :, i])
        np.testing.assert_array_equal(part, values[:, :, i])


@pytest.mark.parametrize("run", [0, 1])
def test_bits_do_not_depend_on_the_batch(run: int) -> None:
    part = slice(run, run + 1)
    both, alone = Streams(SEEDS), Streams(SEEDS[part])
    together = make_critic()
    single = make_critic(STEP_SIZES[part])
    memory, own = together.start(both), single.start(alone)
    update = Update(1)
    follower = MaxEntropyLQR(PROBLEM, np.array([0.1, 0.5])[part])
    batch = Observations(*(a[part] for a in vars(update.batch).values() if a is not None))
    for _ in range(2):
        together.learn(update.batch, update.theta, update.slow, update.response, memory, both)
        response = follower.respond(update.theta[part])
        single.learn(batch, update.theta[part], update.slow[part], response, own, alone)
    for name, values in own.items():
        np.testing.assert_array_equal(values[0], memory[name][run], err_msg=name)
