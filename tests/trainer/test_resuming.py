"""Kept in a file, a trainer goes on with a follower of Stable-Baselines3 as it would have."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO, SAC

from bilevelrl import aec_env
from bilevelrl.trainer import Agents, BilevelTrainer, FollowerView
from bilevelrl.trainer.parameters import read
from tests.trainer.games import TEMPERATURE, TableLeader, TurnGame

AGENTS = Agents(0.9, 0.9, TEMPERATURE)


class Blower(torch.nn.Module):
    """A wind with a mean that is linear in the cart-pole's state."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.mean = torch.nn.Linear(4, 1, dtype=torch.float64)

    def forward(self, state: torch.Tensor) -> torch.distributions.Normal:
        return torch.distributions.Normal(self.mean(state), 0.1)


def test_it_goes_on_bit_for_bit_with_a_follower_of_stable_baselines(tmp_path: Path) -> None:
    def trainer() -> BilevelTrainer:
        leader = TableLeader()
        follower = PPO(
            "MlpPolicy", FollowerView(TurnGame(), leader), n_steps=64, batch_size=32, n_epochs=1,
            device="cpu", seed=0, verbose=1,
        )  # fmt: skip
        return BilevelTrainer(
            leader, TurnGame(), follower, channel="actions", agents=AGENTS,
            episodes_per_update=2, follower_steps=64, max_episode_steps=10,
        )  # fmt: skip

    straight, halted = trainer().learn(60), trainer().learn(20)
    halted.save(tmp_path / "trainer")
    resumed = BilevelTrainer.load(tmp_path / "trainer").learn(40)
    np.testing.assert_array_equal(read(resumed.leader), read(straight.leader))


def test_it_goes_on_bit_for_bit_with_continuous_players_and_a_replay_buffer(
    tmp_path: Path,
) -> None:
    def game() -> Any:
        return aec_env("bilevelrl/GuidedCartPole-v0", goal=(-0.02, 0.02))  # where beginners are

    def trainer() -> BilevelTrainer:
        leader = Blower()
        view = FollowerView(game(), leader)
        follower = SAC(
            "MlpPolicy", view, ent_coef=0.2, learning_starts=10, batch_size=8, buffer_size=100,
            policy_kwargs={"net_arch": [8]}, device="cpu", seed=0,
        )  # fmt: skip
        return BilevelTrainer(
            leader, game(), follower, channel="actions",
            agents=Agents(0.99, 0.99, 0.2), critic={"kind": "random_features", "number": 10},
            episodes_per_update=2, follower_steps=20, max_episode_steps=20,
        )  # fmt: skip

    def until(made: BilevelTrainer, updates: int) -> BilevelTrainer:
        return made.learn(10**6, lambda trainer: trainer.num_updates < updates)

    straight, halted = until(trainer(), 4), until(trainer(), 2)
    halted.save(tmp_path / "trainer")
    resumed = until(BilevelTrainer.load(tmp_path / "trainer"), 4)
    np.testing.assert_array_equal(read(resumed.leader), read(straight.leader))
    assert (read(straight.leader) != read(trainer().leader)).all()
