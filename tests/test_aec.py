"""Games of two players in PettingZoo: its own tests, and the same trajectories as in Gymnasium."""

import pickle
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete
from pettingzoo.test import api_test, seed_test

from bilevelrl import aec_env
from bilevelrl.problems import registry

NAMES = [f"bilevelrl/{name}-v0" for name in registry.ENVIRONMENTS.values() if name]
GAMES = [
    name
    for name in NAMES
    if hasattr(gymnasium.make(f"bilevelrl:{name}").unwrapped, "follower_sees_action")
]
#: What PettingZoo advises against, and these games are: unbounded, and of two unlike players.
ADVICE = [
    "Agent's .*space value is ",
    "Agents have different observation space sizes",
    "Observation is not a NumPy array",
    "Observation numpy array is all zeros",
    "Observation space for each agent probably should be",
    "Observations are different shapes",
    "Observations between agents are different classes",
    "Observations have different number of dimensions",
    "The class of observation spaces is different",
    "We recommend agents to be named",
]


class Guess(gymnasium.Env[np.int64, Any]):
    """The follower guesses what the leader chose, once; seen or not."""

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, *, follower_sees_action: bool = True, **attributes: Any) -> None:
        self.observation_space = Discrete(2, start=5)
        self.leader_action_space: gymnasium.Space[Any] = Discrete(3, start=-1)
        self.follower_action_space: gymnasium.Space[Any] = Discrete(3, start=-1)
        self.action_space: gymnasium.Space[Any] = MultiDiscrete([3, 3], start=[-1, -1])
        self.follower_sees_action = follower_sees_action
        self.closed = False
        for name, value in attributes.items():
            setattr(self, name, value)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.int64, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        return np.int64(5 + (options or {}).get("state", 0)), {"told": "at reset"}

    def step(self, action: Any) -> tuple[np.int64, float, bool, bool, dict[str, Any]]:
        guessed = bool(action[0] == action[1])
        info = {} if action[0] == 1 else {"follower_reward": float(guessed), "told": "at the end"}
        return np.int64(5), -float(guessed), True, False, info

    def close(self) -> None:
        self.closed = True


gymnasium.register("tests/Guess-v0", lambda **options: Guess(**options), disable_env_checker=True)


def test_every_problem_whose_leader_acts_is_a_game() -> None:
    assert {name[10:-3] for name in GAMES} >= {"DiscreteToy", "BilevelLQR", "GuidedCartPole"}


@pytest.mark.filterwarnings(*(f"ignore:{advice}:UserWarning" for advice in ADVICE))
@pytest.mark.parametrize("name", GAMES)
def test_pettingzoo_s_own_tests_pass(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    api_test(aec_env(name), num_cycles=500)
    assert capsys.readouterr().out.endswith("Passed API test\n")
    seed_test(lambda: aec_env(name), num_cycles=500)


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_round_is_a_step_of_the_gymnasium_environment(name: str, seed: int) -> None:
    options = {"max_episode_steps": 40}
    game, env = gymnasium.make(name, **options), aec_env(name, **options)
    players: Any = game.unwrapped
    for space in (players.leader_action_space, players.follower_action_space):
        space.seed(seed)
    for first in (seed, None):  # the second episode goes on with the generator of the first
        state, _ = game.reset(seed=first)
        env.reset(seed=first)
        rewards = {"leader": 0.0, "follower": 0.0}
        over = False
        while not over:
            leader = players.leader_action_space.sample()
            follower = players.follower_action_space.sample()
            for agent, action in (("leader", leader), ("follower", follower)):
                assert env.agent_selection == agent
                seen, reward, terminated, truncated, _ = env.last()
                assert (reward, terminated, truncated) == (rewards[agent], False, False)
                parts = [np.ravel(state), np.ravel(leader)][: 1 + (agent == "follower")]
                np.testing.assert_array_equal(np.ravel(seen), np.concatenate(parts))
                assert env.observation_space(agent).contains(seen)
                env.step(action)
            pair = np.concatenate([np.ravel(leader), np.ravel(follower)])
            state, reward, terminated, truncated, info = game.step(pair)
            rewards = {"leader": reward, "follower": info["follower_reward"]}
            over = terminated or truncated
        for agent in ("leader", "follower"):
            assert env.agent_selection == agent
            seen, *last, info = env.last()
            assert last == [rewards[agent], terminated, truncated]
            assert "follower_reward" not in info
            np.testing.assert_array_equal(np.ravel(seen)[: np.size(state)], np.ravel(state))
            env.step(None)
        assert env.agents == []


def test_rewards_come_when_the_follower_has_moved() -> None:
    env = aec_env("tests/Guess-v0")
    env.reset()
    assert env.infos["leader"] == {"told": "at reset"}
    env.step(0)
    assert env.rewards == {"leader": 0.0, "follower": 0.0}
    env.step(np.array(0))
    assert env.rewards == {"leader": -1.0, "follower": 1.0}
    assert env.infos == {agent: {"told": "at the end"} for agent in ("leader", "follower")}
    assert env.terminations == {"leader": True, "follower": True}
    with pytest.raises(ValueError, match="None"):
        env.step(0)


def test_the_follower_sees_the_leader_s_action_if_the_game_says_so() -> None:
    seen, unseen = (aec_env("tests/Guess-v0", follower_sees_action=sees) for sees in (True, False))
    assert seen.observation_space("follower") == MultiDiscrete([2, 3], start=[5, -1])
    assert unseen.observation_space("follower") == Discrete(2, start=5)
    for env in (seen, unseen):
        env.reset(options={"state": 1})
    assert (list(seen.observe("follower")), unseen.observe("follower")) == ([6, 0], 6)
    for env in (seen, unseen):
        env.step(-1)
        assert env.observation_space("follower").contains(env.observe("follower"))
    assert (list(seen.observe("follower")), unseen.observe("follower")) == ([6, -1], 6)


def test_stable_baselines_reads_what_the_players_see() -> None:
    from stable_baselines3.common.preprocessing import get_flattened_obs_dim

    sizes = {}
    for name in GAMES:
        env = aec_env(name)
        for agent in env.possible_agents:
            sizes[name[10:-3], agent] = get_flattened_obs_dim(env.observation_space(agent))
    assert sizes.items() >= {
        ("DiscreteToy", "leader"): 3, ("DiscreteToy", "follower"): 5,
        ("BilevelLQR", "leader"): 2, ("BilevelLQR", "follower"): 3,
        ("GuidedCartPole", "leader"): 4, ("GuidedCartPole", "follower"): 5,
    }.items()  # fmt: skip


@pytest.mark.parametrize("agent", ["leader", "follower"])
def test_an_impossible_action_is_refused_when_it_is_taken(agent: str) -> None:
    env = aec_env("bilevelrl/GuidedCartPole-v0")
    env.reset(seed=0)
    if agent == "follower":
        env.step(np.zeros(1))
    for action in (np.array([2.0]), np.array([np.nan]), np.zeros(2)):
        with pytest.raises(ValueError, match=f"the {agent}'s action must be in Box"):
            env.step(action)
    env.step(np.zeros(1, np.float32))  # as Stable-Baselines3 has them


def test_options_render_and_close_are_the_environment_s() -> None:
    env = aec_env("bilevelrl/DiscreteToy-v0", render_mode="ansi", revisit_reward=2.0)
    env.reset()
    assert env.render() == "[S] A B\n"
    assert (env.render_mode, env.metadata["render_modes"]) == ("ansi", ["ansi"])
    assert str(env) == "bilevelrl/DiscreteToy-v0"
    for action in (0, 1, 0, 2):
        env.step(action)
    assert env.rewards == {"leader": 0.0, "follower": 2.0}
    env = aec_env("tests/Guess-v0")
    env.close()
    assert env.unwrapped._env.unwrapped.closed  # type: ignore[attr-defined]


def test_what_a_caller_does_to_an_observation_stays_with_the_caller() -> None:
    env = aec_env("bilevelrl/BilevelLQR-v0")
    env.reset()
    env.observe("leader")[:] = 100.0
    action = np.ones(1)
    env.step(action)
    action[:] = 50.0
    np.testing.assert_array_equal(env.observe("follower"), [1.0, 0.0, 1.0])


def test_a_pickled_copy_continues_alike() -> None:
    env = aec_env("bilevelrl/GuidedCartPole-v0")
    env.reset(seed=3)
    env.step(np.ones(1))
    twin = pickle.loads(pickle.dumps(env))
    for one in (env, twin):
        one.step(np.ones(1))
    np.testing.assert_array_equal(env.observe("leader"), twin.observe("leader"))


@pytest.mark.parametrize(
    ("name", "options", "complaint"),
    [
        (
            "bilevelrl/FourRooms-v0",
            {},
            "FourRooms-v0 is no game of two players: it has no leader_action_space, "
            "follower_action_space, follower_sees_action",
        ),
        (
            "tests/Guess-v0",
            {"action_space": Discrete(9)},
            r"action_space must be MultiDiscrete\(\[3 3\].*, got Discrete\(9\)",
        ),
        ("tests/Guess-v0", {"leader_action_space": Box(0.0, 1.0, (1,))}, "all of them; got Box"),
        ("tests/Guess-v0", {"leader_action_space": Dict()}, "all of them; got Dict"),
    ],
)
def test_what_is_no_such_game_is_refused(
    name: str, options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        aec_env(name, **options)


def test_a_game_that_hides_the_follower_s_reward_is_refused() -> None:
    env = aec_env("tests/Guess-v0")
    env.reset()
    env.step(1)
    with pytest.raises(ValueError, match=r"Guess-v0: info must hold follower_reward, got \[\]"):
        env.step(1)


def test_without_pettingzoo_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pettingzoo", None)
    with pytest.raises(ImportError, match=r"pip install 'bilevelrl\[pettingzoo\]'"):
        aec_env("bilevelrl/DiscreteToy-v0")
