"""What a trainer refuses before anything is played, in one line that names the argument."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from torch.distributions import Categorical, Normal

from bilevelrl.hypergradients.coefficients import Agents
from bilevelrl.trainer import BilevelTrainer, FollowerView, WithIncentives
from tests.trainer.games import ExactFollower, TableLeader, TurnGame

AGENTS = Agents(0.9, 0.9, 0.1)
GAME = TurnGame()


def dropped(values: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.dropout(values, 0.5)


def make(**changes: Any) -> BilevelTrainer:
    changes = dict(changes)
    leader = changes.pop("leader", TableLeader())
    given = {
        "env": TurnGame(),
        "follower": ExactFollower(TableLeader()),
        "channel": "actions",
        "agents": AGENTS,
    }
    return BilevelTrainer(leader, **{**given, **changes})


class Frozen(TableLeader):
    def __init__(self) -> None:
        super().__init__()
        self.logits.requires_grad_(False)


class Broken(TableLeader):
    def __init__(self) -> None:
        super().__init__()
        self.logits.data[0, 0] = torch.nan


class Returns(TableLeader):
    def __init__(self, what: Any) -> None:
        super().__init__()
        self.what = what

    def forward(self, *observed: Any) -> Any:
        return self.what(self.logits, *observed)


class Line(gymnasium.Env[Any, Any]):
    observation_space = gymnasium.spaces.Discrete(4)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[int, dict[str, Any]]:
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        return 0, 0.0, True, False, {"follower": 1}


def design(what: Any) -> dict[str, Any]:
    return {"leader": Returns(what), "env": Line(), "channel": "rewards"}


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"leader": object()}, TypeError, "leader is a object; expected a torch.nn.Module"),
        ({"leader": Frozen()}, ValueError, "leader has 1 parameters and none with requires_grad"),
        ({"leader": Broken()}, ValueError, "leader's parameter logits is not finite"),
        ({"follower": object()}, TypeError, r"follower is a object without learn\(\)"),
        ({"env": Line()}, ValueError, r"env has the agents \[\]; expected a PettingZoo AEC"),
        ({"env": []}, ValueError, "env is empty"),
        ({"env": SimpleNamespace(possible_agents=["a", "b"])}, ValueError, r"agents \['a', 'b'\]"),
        ({"channel": "prices"}, ValueError, "channel is 'prices'; expected one of actions, rew"),
        ({"estimator": "bchg"}, ValueError, "estimator is 'bchg'; expected one of bc_hg, naive"),
        ({"information": "all"}, ValueError, "information is 'all'; expected one of full"),
        ({"information": "actions"}, ValueError, "hides the follower's rewards"),
        (
            {"information": "full", "belief": "table"},
            ValueError,
            "belief is 'table' with information",
        ),
        ({"agents": 3}, TypeError, "agents is a int; expected bilevelrl.Agents"),
        ({"critic": "tables"}, ValueError, "critic is of kind 'tables'; expected one of table, ra"),
        ({"critic": {"kind": "table", "steps": 1}}, ValueError, "of kind table has no 'steps'"),
        ({"critic": {"kind": "table", "prior": 0}}, ValueError, "prior is 0; expected .* above 0"),
        ({"critic": 3}, TypeError, "critic is 3; expected a kind"),
        ({"belief": {"kind": "network", "units": [0]}}, ValueError, "units is 0; expected"),
        ({"episodes_per_update": 0}, ValueError, "episodes_per_update is 0; expected"),
        ({"episodes_per_update": 1.5}, TypeError, "episodes_per_update is 1.5; expected an integ"),
        ({"step_size": float("nan")}, ValueError, "step_size is nan; expected"),
        ({"step_size": "fast"}, TypeError, "step_size is 'fast'; expected a number"),
        ({"advantage_decay": 1.1}, ValueError, "advantage_decay is 1.1; expected"),
        ({"max_episode_steps": 0}, ValueError, "max_episode_steps is 0; expected"),
        (
            {"leader": Returns(lambda logits, s: logits[s])},
            TypeError,
            r"leader\(observation\) returned a Tensor; expected a distribution",
        ),
        (
            {"leader": Returns(lambda logits, s: Categorical(logits=logits))},
            ValueError,
            r"batch shape \(4,\) and event shape \(\); expected \(3,\) and \(\)",
        ),
        (
            {"leader": Returns(lambda logits, s: Categorical(logits=logits[s].detach()))},
            ValueError,
            "does not depend on the leader's parameters",
        ),
        (
            {"leader": Returns(lambda logits, s: Normal(logits[s], 1.0))},
            ValueError,
            r"expected \(3,\) and \(\)",
        ),
        (design(lambda logits, *_: logits), ValueError, r"has shape \(4, 3\); expected \(3,\)"),
        (design(lambda logits, *_: "much"), TypeError, "returned 'much'; expected a tensor"),
        (
            {**design(lambda logits, *_: (logits[:3, 0],) * 2), "channel": "transitions"},
            TypeError,
            "returned two tensors; expected log p",
        ),
        (
            {**design(lambda logits, *_: logits[:3, 0]), "env": TurnGame()},
            TypeError,
            r"env\[0\] is a TurnGame; expected a gymnasium.Env",
        ),
    ],
)
def test_one_line_says_what_is_expected(
    changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as raised:
        make(**changes)
    assert "\n" not in str(raised.value)


class Silent:
    def learn(self, steps: int) -> None: ...

    def predict(self, observation: Any) -> Any:
        return np.zeros(len(observation), dtype=int)


def test_a_follower_that_tells_no_policy() -> None:
    with pytest.raises(ValueError, match="information='full' reads the follower's policy, and Sil"):
        make(information="full", follower=Silent())


def test_environments_that_differ() -> None:
    class Longer(TurnGame):
        def action_space(self, agent: str) -> Any:
            return gymnasium.spaces.Discrete(9)

    with pytest.raises(ValueError, match=r"env\[1\] has the leader's action_space Discrete\(9\)"):
        make(env=[TurnGame(), Longer()])


def test_an_environment_that_does_not_say_what_the_leader_earns() -> None:
    changes = design(lambda logits, *_: logits[:, 0].sum() * torch.ones(len(_[0])))
    trainer = make(**changes, follower=Silent())
    with pytest.raises(ValueError, match=r"info of env.step holds \['follower'\]; expected 'lead"):
        trainer.learn(1)
    assert trainer.num_updates == 0


def test_agents_that_do_not_move_in_turn() -> None:
    game = TurnGame()
    trainer = make(env=game)
    game.reset = lambda seed=None, options=None: None  # type: ignore[method-assign]
    game.agent_selection = "follower"
    with pytest.raises(ValueError, match="agent_selection is 'follower'; expected 'leader'"):
        trainer.learn(1)


@pytest.mark.parametrize("steps", [0, -1, 1.5, True])
def test_a_number_of_transitions_that_is_none(steps: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="total_timesteps is"):
        make().learn(steps)


def test_a_callback_that_is_none() -> None:
    with pytest.raises(TypeError, match="callback is 3; expected a function"):
        make().learn(1, 3)  # type: ignore[arg-type]


def test_a_file_that_holds_no_trainer(tmp_path: Any) -> None:
    (tmp_path / "file").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="file holds no BilevelTrainer"):
        BilevelTrainer.load(tmp_path / "file")
    with pytest.raises(FileNotFoundError):
        BilevelTrainer.load(tmp_path / "none")


def test_a_part_that_cannot_be_saved(tmp_path: Any) -> None:
    trainer = make()
    trainer.leader.lock = (line for line in "generators cannot be pickled")  # type: ignore[assignment]
    with pytest.raises(TypeError, match="was not written: a part cannot be pickled"):
        trainer.save(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_wrappers_look_at_their_arguments() -> None:
    with pytest.raises(ValueError, match="env has the agents"):
        FollowerView(Line(), TableLeader())
    wrapped = WithIncentives(Line(), Returns(lambda logits, *_: logits))
    wrapped.reset()
    with pytest.raises(ValueError, match=r"info of env.step holds \['follower'\]; expected"):
        wrapped.step(0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"env": [GAME, GAME]}, "env holds the same environment twice"),
        (
            {"leader": Returns(lambda logits, s: Categorical(logits=dropped(logits[s])))},
            "gives other numbers in another batch",
        ),
        (
            {**design(lambda logits, s, *_: logits[s, 0]), "estimator": "naive"},
            "returned one tensor with estimator='naive'",
        ),
        ({"estimator": "naive", "belief": "nonsense"}, "belief is of kind 'nonsense'"),
        ({"seed": 2**70}, "seed is"),
    ],
)
def test_what_would_go_wrong_in_silence(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**changes)


class Nan(TurnGame):
    def step(self, action: Any) -> None:
        super().step(action)
        self.rewards["leader"] = np.nan


def test_a_reward_that_is_none_is_named_before_anything_learns() -> None:
    healthy, game = make(), Nan()
    trainer = make(env=game)
    with pytest.raises(ValueError, match="the leader's reward of a step is nan"):
        trainer.learn(1)
    game.__class__ = TurnGame
    trainer.learn(1)
    assert trainer.num_updates == 1
    assert healthy.num_updates == 0


def test_answers_that_are_no_actions() -> None:
    class Far(Silent):
        def predict(self, observation: Any) -> Any:
            return np.full(len(observation), 9)

    class Scalar(Silent):
        def predict(self, observation: Any) -> Any:
            return 0

    with pytest.raises(ValueError, match=r"follower.predict returned .*9.*; expected an action in"):
        make(follower=Far()).learn(1)
    with pytest.raises(ValueError, match=r"follower.predict returned shape \(\) for 1 observation"):
        make(follower=Scalar()).learn(1)


def test_an_episode_that_never_ends_after_one_that_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bilevelrl.trainer.simulation._LONGEST", 200)
    game = TurnGame()

    def watch(trainer: BilevelTrainer) -> None:
        game.game = replace(game.game, max_episode_steps=10**6)

    with pytest.raises(ValueError, match="an episode goes on after 200 steps; expected one that"):
        make(env=game, episodes_per_update=1).learn(1000, watch)
