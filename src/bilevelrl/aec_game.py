"""What `bilevelrl.aec_env` makes; importing it needs PettingZoo."""

import copy
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from numpy.typing import NDArray
from pettingzoo import AECEnv

Space = gymnasium.Space[Any]

_DECLARED = ("leader_action_space", "follower_action_space", "follower_sees_action")


class LeaderFollowerEnv(AECEnv[str, Any, Any]):  # type: ignore[misc]
    """A Gymnasium environment whose action is a pair, played by a leader and then a follower.

    The environment's action is the leader's followed by the follower's. `last` gives each agent the
    reward of the round before, when its turn comes again; `infos` are the environment's, less the
    follower's reward. Until the leader moves, the follower's observation holds its last action, and
    in the first round what is nearest to zero in the leader's action space.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        """Wrap a game.

        Args:
            env: has the attributes that `bilevelrl.aec_env` asks for.

        Raises:
            ValueError: if it has not, or if its spaces do not fit together.
        """
        super().__init__()
        self._env, game = env, env.unwrapped
        name = env.spec.id if env.spec else type(game).__name__
        missing = [attribute for attribute in _DECLARED if not hasattr(game, attribute)]
        if missing:
            raise ValueError(f"{name} is no game of two players: it has no {', '.join(missing)}")
        leader, follower = (getattr(game, attribute) for attribute in _DECLARED[:2])
        if env.action_space != (pair := joint_space(leader, follower)):
            raise ValueError(f"{name}: action_space must be {pair}, got {env.action_space}")
        state = env.observation_space
        self._sees = bool(getattr(game, _DECLARED[2]))
        self.metadata = {**env.metadata, "name": name, "is_parallelizable": False}
        self.render_mode = env.render_mode
        self.possible_agents = ["leader", "follower"]
        self.action_spaces: dict[str, Space] = {"leader": leader, "follower": follower}
        seen = joint_space(state, leader) if self._sees else copy.deepcopy(state)
        self.observation_spaces: dict[str, Space] = {"leader": state, "follower": seen}

    def observation_space(self, agent: str) -> Space:
        """What the agent observes lies in this space."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Space:
        """What the agent does lies in this space."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Begin an episode of the environment, with the leader to move."""
        self._state, info = self._env.reset(seed=seed, options=options)
        self._leader_action = _nearest_to_zero(self.action_spaces["leader"])
        self.agents = [*self.possible_agents]
        self.agent_selection = "leader"
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos = {agent: dict(info) for agent in self.agents}

    def observe(self, agent: str) -> Any:
        """The state, to the follower with the leader's action if it sees that."""
        if agent == "leader" or not self._sees:
            return copy.deepcopy(self._state)
        return _joined(self._state, self._leader_action, self.observation_spaces["follower"])

    def step(self, action: Any) -> None:
        """Take the action of the agent whose turn it is; the follower's ends the round.

        Raises:
            ValueError: if the action is not in the agent's space, or not None though the episode is
                over, or if the environment says nothing of the follower's reward.
        """
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        if not (space := self.action_spaces[agent]).contains(action):
            raise ValueError(f"the {agent}'s action must be in {space}, got {action!r}")
        self._cumulative_rewards[agent] = 0.0
        self._clear_rewards()
        if agent == "leader":
            self._leader_action = np.array(action)
            self.agent_selection = "follower"
            return
        pair = _joined(self._leader_action, action, self._env.action_space)
        self._state, reward, terminated, truncated, info = self._env.step(pair)
        if "follower_reward" not in info:
            raise ValueError(
                f"{self.metadata['name']}: info must hold follower_reward, got {sorted(info)}"
            )
        self.rewards = {"leader": float(reward), "follower": float(info.pop("follower_reward"))}
        self._accumulate_rewards()
        self.terminations = dict.fromkeys(self.agents, bool(terminated))
        self.truncations = dict.fromkeys(self.agents, bool(truncated))
        self.infos = {agent: dict(info) for agent in self.agents}
        self.agent_selection = "leader"

    def render(self) -> Any:
        """What the environment renders."""
        return self._env.render()

    def close(self) -> None:
        """Close the environment."""
        self._env.close()


def joint_space(first: Space, second: Space) -> MultiDiscrete | Box:
    """The space of two values one after the other, as Stable-Baselines3 can read it.

    Raises:
        ValueError: unless both are Discrete or MultiDiscrete, or both Box with a single axis.
    """
    spaces = [first, second]
    if all(isinstance(space, Discrete | MultiDiscrete) for space in spaces):
        parts = [_bounds(space) for space in spaces]
        low, size = (np.concatenate(part) for part in zip(*parts, strict=True))
        return MultiDiscrete(size, start=low)
    if all(isinstance(space, Box) and len(space.shape) == 1 for space in spaces):
        low, high = (
            np.concatenate([getattr(space, side) for space in spaces]) for side in ("low", "high")
        )
        return Box(low, high, dtype=low.dtype.type)
    raise ValueError(
        f"state and actions must be Discrete or MultiDiscrete, or Box of one axis, all of them; "
        f"got {first} with {second}"
    )


def _bounds(space: Space) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Smallest values of a discrete space, and numbers of values."""
    if isinstance(space, Discrete):
        return np.array([space.start]), np.array([space.n])
    assert isinstance(space, MultiDiscrete)
    return space.start.ravel(), space.nvec.ravel()


def _joined(first: Any, second: Any, space: Space) -> NDArray[Any]:
    """Two values one after the other, as an element of their joint space."""
    return np.concatenate([np.ravel(first), np.ravel(second)]).astype(space.dtype)


def _nearest_to_zero(space: Space) -> NDArray[Any]:
    if isinstance(space, Box):
        low, high = space.low, space.high
    else:
        low, size = _bounds(space)
        high = low + size - 1
    nearest: NDArray[Any] = np.clip(np.zeros_like(low), low, high)
    return nearest
