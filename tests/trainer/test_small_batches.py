"""Estimates from few episodes: what a critic saw does not come back as an advantage."""

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete

from bilevelrl.hypergradients.coefficients import Agents
from bilevelrl.trainer import BilevelTrainer, Table, WithIncentives
from bilevelrl.trainer.functions import Transitions
from bilevelrl.trainer.spaces import Encoding, JointEncoding
from tests.trainer.test_trainer import Corridor


class Luck(Corridor):
    """The leader's reward is a throw of dice, whatever the follower does."""

    def __init__(self) -> None:
        self._dice = np.random.default_rng(0)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[int, dict[str, Any]]:
        if seed is not None:
            self._dice = np.random.default_rng(seed)
        return super().reset()

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        return 1, 0.0, True, False, {"leader_reward": float(self._dice.standard_normal())}


class Payment(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.paid = torch.nn.Parameter(torch.zeros(2))

    def forward(self, observation: Any, action: Any, following: Any) -> Any:
        return self.paid[action]


class Coin:
    """A follower that learns nothing."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(1)

    def learn(self, steps: int) -> None: ...

    def predict(self, observation: Any) -> Any:
        return self._rng.integers(2, size=len(observation))

    def distribution(self, observation: Any) -> torch.distributions.Categorical:
        return torch.distributions.Categorical(probs=torch.full((len(observation), 2), 0.5))


@pytest.mark.parametrize("information", ["full", "rewards"])
@pytest.mark.parametrize("critic", ["table", {"kind": "network", "epochs": 2}])
def test_luck_is_worth_nothing(information: Any, critic: Any) -> None:
    leader = Payment()
    trainer = BilevelTrainer(
        leader, [WithIncentives(Luck(), leader) for _ in range(16)], Coin(), channel="rewards",
        agents=Agents(0.9, 0.9, 1.0), information=information, critic=critic,
        episodes_per_update=16, step_size=1e-9,
    )  # fmt: skip
    estimates: list[float] = []

    def watch(trainer: BilevelTrainer) -> None:
        mean = trainer._progress.optimiser["mean"][0]
        before = 0.0 if not estimates else watch.mean  # type: ignore[attr-defined]
        estimates.append(float(10.0 * (mean[0] - 0.9 * before)))
        watch.mean = float(mean[0])  # type: ignore[attr-defined]

    trainer.learn(16 * 200, watch)
    # What the critics remember makes neighbours alike, so that blocks count.
    blocks = np.reshape(estimates, (10, -1)).mean(axis=1)
    assert np.std(estimates) > 0.01
    assert abs(blocks.mean()) < 4.0 * blocks.std(ddof=1) / np.sqrt(len(blocks))


def test_what_was_never_seen_is_worth_as_much_as_the_rest() -> None:
    encoding = JointEncoding([Encoding.of("state", Discrete(3))])
    table = Table(prior=1.0).make(encoding, np.random.default_rng(0))
    here, ends = np.array([0, 0, 0, 1]), np.zeros(4, dtype=np.bool_)
    for _ in range(3):
        table.evaluate(Transitions([here], [here[::-1]], np.full(4, -1.0), ends, 0.9))
    # Were the third state worth 0, whoever drew it first would seem to gain 10.
    assert table.values([np.arange(3)]) == pytest.approx(-10.0)
