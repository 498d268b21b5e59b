"""Small problems for the trainer, with followers that answer exactly."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Discrete, MultiDiscrete
from numpy.typing import NDArray
from torch.distributions import Categorical

from bilevelrl.models.finite_game.exact import game_hypergradient
from bilevelrl.models.finite_game.markov_game import MarkovGame
from bilevelrl.models.finite_game.policies import TabularPolicy
from bilevelrl.models.finite_game.soft_q_iteration import SoftQIteration
from tests.games import random_game

Floats = NDArray[np.float64]
TEMPERATURE = 0.3
GAME = replace(random_game(0), max_episode_steps=100)


class TurnGame:
    """A finite game with the interface of a PettingZoo AEC environment."""

    possible_agents = ("leader", "follower")

    def __init__(self, game: MarkovGame = GAME) -> None:
        self.game = game
        states, leader, follower = game.leader_reward.shape
        self._spaces = {
            "leader": (Discrete(states), Discrete(leader)),
            "follower": (MultiDiscrete([states, leader]), Discrete(follower)),
        }
        self._rng = np.random.default_rng(0)
        self.reset()

    def observation_space(self, agent: str) -> Any:
        return self._spaces[agent][0]

    def action_space(self, agent: str) -> Any:
        return self._spaces[agent][1]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        self.agent_selection = "leader"
        self._state, self._action, self._time = self._draw(self.game.initial), 0, 0
        self.rewards = {"leader": 0.0, "follower": 0.0}
        self.terminations = {"leader": False, "follower": False}
        self.truncations = {"leader": False, "follower": False}

    def observe(self, agent: str) -> Any:
        return self._state if agent == "leader" else np.array([self._state, self._action])

    def step(self, action: Any) -> None:
        self.rewards = {"leader": 0.0, "follower": 0.0}
        if self.agent_selection == "leader":
            self._action, self.agent_selection = int(action), "follower"
            return
        at = (self._state, self._action, int(action))
        self.rewards = {
            "leader": float(self.game.leader_reward[at]),
            "follower": float(self.game.follower_reward[at]),
        }
        self._state = self._draw(self.game.transition[at])
        self._time += 1
        over = self._time == self.game.max_episode_steps
        self.truncations = {"leader": over, "follower": over}
        self.agent_selection = "leader"

    def _draw(self, probabilities: Floats) -> int:
        return int((self._rng.random() > probabilities.cumsum()[:-1]).sum())


class TableLeader(torch.nn.Module):
    """Softmax of one logit per state and action."""

    def __init__(self, game: MarkovGame = GAME, seed: int = 0) -> None:
        super().__init__()
        shape = game.leader_reward.shape[:2]
        logits = 0.7 * np.random.default_rng(seed).standard_normal(shape)
        self.logits = torch.nn.Parameter(torch.as_tensor(logits, dtype=torch.float32))

    def forward(self, observation: torch.Tensor) -> Categorical:
        return Categorical(logits=self.logits[observation])

    def probabilities(self) -> Floats:
        return torch.softmax(self.logits.detach().double(), dim=1).numpy()


class ExactFollower:
    """Answers with the soft best response to the leader as it is."""

    def __init__(self, leader: TableLeader, game: MarkovGame = GAME) -> None:
        self.leader, self.game = leader, game
        self._rng = np.random.default_rng(5)
        self.learned = 0

    def learn(self, steps: int) -> None:
        self.learned += steps
        self.response = self._solve()

    def _solve(self) -> Any:
        solver = SoftQIteration(self.game, np.array([TEMPERATURE]), 1e-9, 200)
        return solver.respond(self.leader.probabilities()[None], solver.start(1))

    def distribution(self, observation: Any) -> Categorical:
        state, action = np.asarray(observation).T
        return Categorical(probs=torch.as_tensor(self.response.policy[0][state, action]))

    def predict(self, observation: Any) -> tuple[Any, None]:
        probabilities = self.distribution(observation).probs.numpy().cumsum(axis=1)[:, :-1]
        return (self._rng.random((len(probabilities), 1)) > probabilities).sum(axis=1), None


def exact_hypergradient(leader: TableLeader, game: MarkovGame = GAME) -> tuple[Floats, Floats]:
    """Direct and indirect part, each of shape (D,)."""
    follower = ExactFollower(leader, game)
    follower.learn(1)
    f, beta = leader.probabilities()[None], np.array([TEMPERATURE])
    direct, indirect, _ = game_hypergradient(
        game, f, follower.response, beta, discount=game.leader_discount,
        horizon=game.max_episode_steps, order="correct", influence="episode",
    )  # fmt: skip
    policy = TabularPolicy(game.num_states, game.num_leader_actions)
    theta = leader.logits.detach().double().numpy().reshape(1, -1)
    return policy.pull_back(theta, direct * f)[0], policy.pull_back(theta, indirect * f)[0]
