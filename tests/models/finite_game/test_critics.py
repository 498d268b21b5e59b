"""Critics of a finite game: the released network step by step, and tables that converge."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bilevelrl.core.observations import Observations
from bilevelrl.core.seeding import Streams
from bilevelrl.models.finite_game.critics import (
    Bootstrap,
    ExactGameCritic,
    ExpectedBackup,
    Memory,
    NetworkCritic,
)
from bilevelrl.models.finite_game.markov_game import MarkovGame
from bilevelrl.models.finite_game.rollout import GameRollout
from bilevelrl.problems.discrete_toy.problem import discrete_toy
from tests.games import random_game, random_policies
from tests.models.finite_game.action_values import leader_action_values

Floats = NDArray[np.float64]
SEEDS = [3, 4, 5]
STEP_SIZES = np.array([1e-3, 0.05, 1e-2])
GAME = random_game()
UPDATES, STEPS, MINIBATCH, RATE = 3, 4, 16, 0.3


class Policies:
    """f, its slow copy and π of every update; ties in half of the states."""

    def __init__(self, update: int) -> None:
        self.leader = random_policies(3, 4, 3, seed=10 + update)
        self.slow = random_policies(3, 4, 3, seed=20 + update)
        self.follower = random_policies(3, 4, 3, 2, seed=30 + update)
        self.slow[:, 1] = (0.2, 0.4, 0.4)
        self.slow[:, 2] = 1.0 / 3.0
        self.follower[:, ::2, 1:] = 0.5


def make_batches() -> list[Observations]:
    rollout, streams = GameRollout(GAME, 2), Streams(SEEDS)
    return [
        rollout.sample(each.leader, each.follower, streams)
        for each in map(Policies, range(UPDATES))
    ]


class TorchCritic:
    """One run in PyTorch: Q(s, b)[a], learning to bootstrap from modes."""

    def __init__(self, seed: int, step_size: float) -> None:
        self.draws = Streams([seed])
        torch_linear = torch.nn.Linear
        layers = [torch_linear(n, m, dtype=torch.float64) for n, m in ((6, 64), (64, 64), (64, 3))]
        numbers = self.draws.normals("critic", (6 * 64 + 64 + 64 * 64 + 64 + 64 * 3 + 3,))[0]
        start = 0
        for layer in layers:
            m, n = layer.weight.shape
            xavier = np.sqrt(2.0 / (m + n)) * numbers[start : start + m * n].reshape(n, m)
            layer.weight.data = torch.tensor(xavier.T.copy())
            layer.bias.data.zero_()
            start += m * n + m
        relu = torch.nn.ReLU()
        self.network = torch.nn.Sequential(layers[0], relu, layers[1], relu, layers[2])
        self.slow = [parameter.detach().clone() for parameter in self.network.parameters()]
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=step_size)

    def q(self, state: int, follower_action: int) -> torch.Tensor:
        row = torch.zeros(6, dtype=torch.float64)
        row[state] = row[4 + follower_action] = 1.0
        values: torch.Tensor = self.network(row)
        return values

    def slow_q(self, state: int, follower_action: int) -> torch.Tensor:
        names = [name for name, _ in self.network.named_parameters()]
        row = torch.zeros(6, dtype=torch.float64)
        row[state] = row[4 + follower_action] = 1.0
        given = dict(zip(names, self.slow, strict=True))
        values: torch.Tensor = torch.func.functional_call(self.network, given, (row,))
        return values

    def bootstrap(self, following: int, run: int, policies: Policies, kind: str) -> torch.Tensor:
        answer = [int(np.argmax(policies.follower[run, following, a])) for a in range(3)]
        if kind == "stackelberg":
            return max(self.slow_q(following, answer[a])[a] for a in range(3))
        mode = int(np.argmax(policies.slow[run, following]))
        return self.slow_q(following, answer[mode])[mode]

    def learn(self, stored: list[tuple[Any, ...]], run: int, policies: Policies, kind: str) -> None:
        for _ in range(STEPS):
            uniforms = self.draws.uniforms("critic", (MINIBATCH,))[0]
            loss = torch.zeros((), dtype=torch.float64)
            for u in uniforms:
                s, a, b, following, reward = stored[int(u * len(stored))]
                with torch.no_grad():
                    value = self.bootstrap(following, run, policies, kind)
                target = reward + GAME.leader_discount * value
                loss = loss + (self.q(s, b)[a] - target) ** 2 / MINIBATCH
            self.optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()

    def update_slow(self) -> None:
        parameters = [parameter.detach() for parameter in self.network.parameters()]
        self.slow = [
            (1 - RATE) * old + RATE * new for old, new in zip(self.slow, parameters, strict=True)
        ]

    def table(self) -> Floats:
        with torch.no_grad():
            rows = [[self.q(s, b) for b in range(2)] for s in range(4)]
            table: Floats = torch.stack([torch.stack(row) for row in rows]).numpy()
        return table.swapaxes(1, 2)


def rows_of(batch: Observations, run: int) -> list[tuple[Any, ...]]:
    fields = (batch.state, batch.leader_action, batch.follower_action, batch.next_state)
    return [
        (*(int(field[run, n]) for field in fields), float(batch.leader_reward[run, n]))
        for n in range(batch.leader_reward.shape[1])
    ]


def joined(batches: list[Observations]) -> Observations:
    names = ("state", "leader_action", "follower_action", "next_state", "leader_reward")
    return Observations(*(np.concatenate([getattr(b, n) for b in batches], axis=1) for n in names))


def make_network_critic(bootstrap: Bootstrap = "modes") -> NetworkCritic:
    return NetworkCritic(GAME, STEPS, STEP_SIZES, RATE, MINIBATCH, bootstrap)


@pytest.mark.parametrize("bootstrap", ["modes", "stackelberg"])
def test_the_network_learns_as_a_literal_reading_does(bootstrap: Bootstrap) -> None:
    critic, batches, streams = make_network_critic(bootstrap), make_batches(), Streams(SEEDS)
    memory = critic.start(streams)
    literal = [TorchCritic(seed, size) for seed, size in zip(SEEDS, STEP_SIZES, strict=True)]
    for update in range(UPDATES):
        policies = Policies(update)
        stored = joined(batches[: update + 1])  # off-policy: everything is kept
        critic.learn(
            stored, batches[update], (policies.leader, policies.slow), policies.follower, memory,
            streams,
        )  # fmt: skip
        values = critic.action_values(memory)
        assert values.shape == (3, 1, 4, 3, 2)
        for run in range(3):
            literal[run].learn(rows_of(stored, run), run, policies, bootstrap)
            literal[run].update_slow()  # once per update, after it
            np.testing.assert_allclose(values[run, 0], literal[run].table(), atol=1e-10)


def test_the_slow_copy_moves_once_per_update() -> None:
    critic, batches, streams = make_network_critic(), make_batches(), Streams(SEEDS)
    memory = critic.start(streams)
    np.testing.assert_array_equal(memory["critic"], memory["slow_critic"])
    slow = memory["slow_critic"].copy()
    for update in range(UPDATES):
        policies = Policies(update)
        before = memory["critic"].copy()
        critic.learn(
            batches[update], batches[update], (policies.leader, policies.slow), policies.follower,
            memory, streams,
        )  # fmt: skip
        slow = 0.7 * slow + 0.3 * before
        np.testing.assert_allclose(memory["slow_critic"], slow, rtol=1e-12, atol=1e-15)
        assert (memory["critic"] != before).any(axis=1).all()


def learned(game: MarkovGame, critic: Any, batches: list[Observations], at: int) -> Floats:
    """Q_L (R, T, S, A, B) after all batches, under the policies number `at`."""
    streams = Streams(SEEDS)
    memory: Memory = critic.start(streams)
    leader = random_policies(3, *game.leader_reward.shape[:2], seed=10 + at)
    follower = random_policies(3, *game.leader_reward.shape, seed=30 + at)
    for batch in batches:
        critic.learn(batch, batch, (leader, leader), follower, memory, streams)
    values: Floats = critic.action_values(memory)
    return values


def test_the_exact_critic_is_the_finite_horizon_q() -> None:
    leader = random_policies(3, 4, 3, seed=10)
    follower = random_policies(3, 4, 3, 2, seed=30)
    expected = leader_action_values(
        GAME, leader, follower, discount=GAME.leader_discount, horizon=GAME.max_episode_steps
    )
    found = learned(GAME, ExactGameCritic(GAME), make_batches()[:1], 0)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_expected_backups_are_exact_once_every_triple_has_been_seen() -> None:
    game = discrete_toy(1.0, max_episode_steps=30)  # moves are deterministic
    uniform = np.full((3, 3, 2), 1.0 / 2.0), np.full((3, 3, 2, 3), 1.0 / 3.0)
    batch = GameRollout(game, 10).sample(*uniform, Streams(SEEDS))
    for run in range(3):
        assert len({row[:3] for row in rows_of(batch, run)}) == 18
    # The data are another policy's: what is evaluated are the policies of now.
    found = learned(game, ExpectedBackup(game), [batch], 7)
    expected = learned(game, ExactGameCritic(game), [batch], 7)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    assert np.abs(expected).max() > 1.0


def test_expected_backups_evaluate_the_empirical_model() -> None:
    # Two batches of a game with random moves; means over what was seen, nothing beyond it.
    critic, batches = ExpectedBackup(GAME), make_batches()[:2]
    found = learned(GAME, critic, batches, 7)
    leader, follower = random_policies(3, 4, 3, seed=17), random_policies(3, 4, 3, 2, seed=37)
    unseen = 0
    for run in range(3):
        rows = rows_of(batches[0], run) + rows_of(batches[1], run)
        value = np.zeros(4)
        for t in reversed(range(GAME.max_episode_steps)):
            table = np.zeros((4, 3, 2))
            for s, a, b in np.ndindex(4, 3, 2):
                seen = [(row[3], row[4]) for row in rows if row[:3] == (s, a, b)]
                unseen += not seen and t == 0
                if seen:
                    table[s, a, b] = np.mean(
                        [r + GAME.leader_discount * value[following] for following, r in seen]
                    )
            np.testing.assert_allclose(found[run, t], table, rtol=1e-12, atol=1e-12)
            for s in range(4):
                value[s] = sum(
                    leader[run, s, a] * follower[run, s, a, b] * table[s, a, b]
                    for a, b in np.ndindex(3, 2)
                )
    assert unseen > 0  # they are worth nothing


@pytest.mark.parametrize(
    "make",
    [make_network_critic, lambda: ExpectedBackup(GAME), lambda: ExactGameCritic(GAME)],
    ids=["network", "expected", "exact"],
)
def test_bits_do_not_depend_on_the_batch(make: Any) -> None:
    batches, policies = make_batches()[:2], Policies(0)

    def run(part: slice) -> tuple[Memory, Floats]:
        critic: Any = make()
        if isinstance(critic, NetworkCritic):
            critic = NetworkCritic(GAME, STEPS, STEP_SIZES[part], RATE, MINIBATCH)
        streams = Streams(SEEDS[part])
        memory: Memory = critic.start(streams)
        for batch in batches:
            index = np.tile(np.arange(batch.leader_reward.shape[1]), (3, 1))
            own = Observations(
                *(a[part] for a in vars(batch.take(index)).values() if a is not None)
            )
            leader = policies.leader[part], policies.slow[part]
            critic.learn(own, own, leader, policies.follower[part], memory, streams)
        return memory, critic.action_values(memory)

    together, alone = run(slice(0, 3)), run(slice(1, 2))
    np.testing.assert_array_equal(alone[1][0], together[1][1])
    for name, values in alone[0].items():
        np.testing.assert_array_equal(values[0], together[0][name][1], err_msg=name)
