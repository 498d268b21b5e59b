"""Training: it climbs, goes on from a file bit for bit, and tells what it does."""

import random
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from bilevelrl.hypergradients.coefficients import Agents
from bilevelrl.trainer import BilevelTrainer, Checkpoints, FollowerView, WithIncentives
from tests.trainer.games import GAME, TEMPERATURE, ExactFollower, TableLeader, TurnGame

AGENTS = Agents(GAME.leader_discount, GAME.follower_discount, TEMPERATURE)


def make(seed: int = 0, **options: Any) -> BilevelTrainer:
    leader = TableLeader()
    given = {
        "channel": "actions",
        "agents": AGENTS,
        "episodes_per_update": 4,
        "follower_steps": 7,
        "max_episode_steps": 10,
        "seed": seed,
    }
    envs = [TurnGame(), TurnGame()]
    return BilevelTrainer(leader, envs, ExactFollower(leader), **{**given, **options})


def theta(trainer: BilevelTrainer) -> Any:
    return np.concatenate([p.detach().numpy().ravel() for p in trainer.leader.parameters()])


def test_it_climbs() -> None:
    trainer = make(information="full", step_size=0.1, episodes_per_update=20)
    start = exact_return(trainer.leader)
    trainer.learn(20 * 10 * 25)
    assert exact_return(trainer.leader) > start + 1.0


def exact_return(leader: Any) -> float:
    follower = ExactFollower(leader)
    follower.learn(1)
    f = leader.probabilities()
    joint = f[:, :, None] * follower.response.policy[0]
    reward = (joint * GAME.leader_reward).sum(axis=(1, 2))
    kernel = np.einsum("sab,sabt->st", joint, GAME.transition)
    values = np.linalg.solve(np.eye(len(kernel)) - GAME.leader_discount * kernel, reward)
    return float(GAME.initial @ values)


def test_what_an_update_counts() -> None:
    trainer = make().learn(60)
    assert [row["env_steps"] for row in trainer.history] == [40.0, 80.0]
    assert [row["follower_steps"] for row in trainer.history] == [7.0, 14.0]
    assert trainer.follower.learned == 14  # type: ignore[attr-defined]
    assert trainer.num_updates == 2
    assert all(row["gradient_norm"] > 0.0 for row in trainer.history)


def test_same_seed_same_bits_whatever_is_drawn_outside() -> None:
    first = make().learn(80)
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    second = make().learn(40)
    torch.rand(3)
    second.learn(40)
    np.testing.assert_array_equal(theta(first), theta(second))
    assert first.history == second.history
    assert (theta(make(seed=1).learn(80)) != theta(first)).any()


def test_training_leaves_global_random_numbers_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002
    make(critic="network", belief="network").learn(40)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    for mine, theirs in zip(np.random.get_state(), before[2], strict=True):  # noqa: NPY002
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("kind", ["table", "random_features", "network"])
def test_a_saved_trainer_goes_on_bit_for_bit(tmp_path: Path, kind: str) -> None:
    straight = make(critic=kind, belief=kind).learn(120)
    halted = make(critic=kind, belief=kind).learn(40)
    halted.save(tmp_path / "trainer")
    resumed = BilevelTrainer.load(tmp_path / "trainer")
    assert resumed.follower.leader is resumed.leader  # type: ignore[attr-defined]
    resumed.learn(80)
    np.testing.assert_array_equal(theta(resumed), theta(straight))
    assert resumed.history == straight.history
    assert halted.num_updates == 1


def test_an_interrupted_first_answer_is_made_up_for() -> None:
    trainer = make(first_follower_steps=50)
    learn = trainer.follower.learn
    asked: list[int] = []

    def interrupted(steps: int) -> None:
        asked.append(steps)
        if len(asked) == 1:
            raise KeyboardInterrupt
        learn(steps)

    trainer.follower.learn = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        trainer.learn(40)
    trainer.learn(80)
    assert asked == [50, 50, 7]


def test_a_leader_that_was_changed_goes_on_from_there() -> None:
    trainer = make(step_size=1e-6).learn(40)
    with torch.no_grad():
        trainer.leader.logits.fill_(2.0)  # type: ignore[operator, union-attr]
    trainer.learn(40)
    np.testing.assert_allclose(theta(trainer), 2.0, atol=1e-4)


def test_naive_has_no_indirect_part() -> None:
    trainer = make(estimator="naive").learn(40)
    assert trainer.history[0]["indirect_norm"] == 0.0
    assert trainer.history[0]["direct_norm"] > 0.0


def test_callbacks_are_told_and_can_stop(tmp_path: Path) -> None:
    told: list[Any] = []

    class Told:
        def on_start(self, trainer: BilevelTrainer, total_timesteps: int) -> None:
            told.append(("start", total_timesteps))

        def on_update(self, trainer: BilevelTrainer) -> bool | None:
            told.append(trainer.num_updates)
            return None

        def on_end(self, trainer: BilevelTrainer) -> None:
            told.append("end")

    def stop(trainer: BilevelTrainer) -> bool:
        return trainer.num_updates < 3

    make().learn(1000, [Told(), stop, Checkpoints(tmp_path / "saved", every=2)])
    assert told == [("start", 1000), 1, 2, 3, "end"]
    assert BilevelTrainer.load(tmp_path / "saved").num_updates == 2


def test_a_progress_bar_shows_the_return(capsys: pytest.CaptureFixture[str]) -> None:
    make().learn(80, progress_bar=True)
    assert "80/80" in capsys.readouterr().err


def test_an_error_leaves_what_was_learned() -> None:
    trainer = make()

    def fail(trainer: BilevelTrainer) -> None:
        if trainer.num_updates == 2:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        trainer.learn(1000, fail)
    trainer.learn(40)
    np.testing.assert_array_equal(theta(trainer), theta(make().learn(120)))


def test_an_estimate_that_is_not_finite_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, other = make().learn(40), make().learn(40)
    with monkeypatch.context() as patch:
        patch.setattr("bilevelrl.trainer.estimator.gradient", lambda *_: np.full((1, 12), np.nan))
        with pytest.raises(FloatingPointError, match="the direct part of the hypergradient"):
            trainer.learn(40)
    np.testing.assert_array_equal(theta(trainer), theta(other))
    assert trainer.num_updates == 1
    trainer.learn(40)


class Corridor(gymnasium.Env[Any, Any]):
    """Left or right; the leader earns at the right end, the follower nowhere."""

    observation_space = gymnasium.spaces.Discrete(4)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[int, dict[str, Any]]:
        self._place = 1
        return self._place, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        self._place = int(np.clip(self._place + 2 * action - 1, 0, 3))
        return self._place, 0.0, False, False, {"leader_reward": float(self._place == 3)}


class Tips(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tips = torch.nn.Parameter(torch.zeros(4, 2))

    def forward(self, observation: Any, action: Any, following: Any) -> Any:
        paid = 0.2 * torch.tanh(self.tips[observation, action])
        return -paid, paid


class Planner:
    """Soft best response in the corridor, to tips that it knows."""

    def __init__(self, leader: Tips) -> None:
        self.leader = leader
        self._rng = np.random.default_rng(0)

    def learn(self, steps: int) -> None:
        paid = 0.2 * np.tanh(self.leader.tips.detach().numpy().astype(float))
        after = np.clip(np.arange(4)[:, None] + [-1, 1], 0, 3)
        value = np.zeros(4)
        for _ in range(200):
            quality = paid + 0.9 * value[after]
            value = 0.1 * np.logaddexp.reduce(quality / 0.1, axis=1)
        self.policy = np.exp((quality - value[:, None]) / 0.1)

    def predict(self, observation: Any) -> Any:
        right = self.policy[observation, 1] / self.policy[observation].sum(axis=1)
        return (self._rng.random(len(right)) < right).astype(int)


@pytest.mark.filterwarnings("ignore::bilevelrl.NotCentredWarning")  # the belief lags at first
@pytest.mark.parametrize("information", ["actions", "rewards"])
def test_a_leader_that_pays_learns_from_choices_alone(information: Any) -> None:
    leader = Tips()
    trainer = BilevelTrainer(
        leader, [WithIncentives(Corridor(), leader) for _ in range(4)], Planner(leader),
        channel="rewards", agents=Agents(0.9, 0.9, 0.1), information=information,
        episodes_per_update=16, max_episode_steps=20, step_size=0.1,
    )  # fmt: skip
    trainer.learn(16 * 20 * 25)
    returns = [row["leader_return_sampled"] for row in trainer.history]
    assert min(returns[-5:]) > 2.0 * returns[0]
    assert leader.tips[1, 1] > leader.tips[1, 0]


def test_a_follower_of_stable_baselines_learns_in_its_view() -> None:
    from stable_baselines3 import PPO

    leader = TableLeader()
    view = FollowerView(TurnGame(), leader)
    follower = PPO("MlpPolicy", view, n_steps=64, batch_size=32, n_epochs=1, device="cpu", seed=0)
    trainer = BilevelTrainer(
        leader, TurnGame(), follower, channel="actions", agents=AGENTS, information="full",
        episodes_per_update=2, follower_steps=64, max_episode_steps=10,
    )  # fmt: skip
    trainer.learn(40)
    assert follower.num_timesteps == 128
