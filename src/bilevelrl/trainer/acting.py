"""A leader that acts, in a PettingZoo environment with the agents "leader" and "follower"."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Space
from torch.distributions import Categorical, Distribution, Independent

from bilevelrl.core.arrays import AnyArray
from bilevelrl.trainer.checks import check_equal
from bilevelrl.trainer.simulation import (
    FOLLOWER,
    LEADER,
    Batch,
    Follower,
    Rows,
    Spaces,
    element,
    first_seed,
    predicted,
    tensor,
)
from bilevelrl.trainer.spaces import start_of


class LeaderPolicy:
    """f_θ(a | s) of a module that maps observations to a distribution over actions."""

    def __init__(self, module: torch.nn.Module, observations: Space[Any], actions: Space[Any]):
        """Of a module with at least one parameter, whose device it uses."""
        self.module, self._observations, self._actions = module, observations, actions

    def distribution(self, observation: AnyArray) -> Distribution:
        """At observations (N, ...), over single actions.

        Raises:
            TypeError: the module returns no distribution.
            ValueError: not one distribution per observation, of the shape of an action.
        """
        like = next(self.module.parameters())
        found: object = self.module(tensor(self._observations, observation, like))
        if not isinstance(found, Distribution):
            raise TypeError(
                f"leader(observation) returned a {type(found).__name__}; expected a distribution "
                "of torch.distributions over the leader's actions"
            )
        shape = tuple(self._actions.shape or ())
        if not found.event_shape and shape and found.batch_shape[1:] == shape:
            found = Independent(found, len(shape))
        if found.batch_shape != (len(observation),) or tuple(found.event_shape) != shape:
            raise ValueError(
                f"leader(observation) has batch shape {tuple(found.batch_shape)} and event shape "
                f"{tuple(found.event_shape)}; expected {(len(observation),)} and {shape}"
            )
        return found

    def log_prob(self, observation: AnyArray, action: AnyArray) -> torch.Tensor:
        """Log f_θ(a | s), shape (N,), with gradients."""
        distribution, like = self.distribution(observation), next(self.module.parameters())
        base = distribution.base_dist if isinstance(distribution, Independent) else distribution
        dtype = torch.int64 if isinstance(base, Categorical) else like.dtype
        chosen = action - start_of(self._actions)
        return distribution.log_prob(torch.as_tensor(chosen, dtype=dtype, device=like.device))

    def draw(self, observation: AnyArray) -> AnyArray:
        """Actions (N, ...), of a Box perhaps beyond its bounds."""
        with torch.no_grad():
            drawn: AnyArray = self.distribution(observation).sample().cpu().numpy()
        found: AnyArray = drawn + start_of(self._actions)
        return found


class ActingSimulator:
    """Plays environments in which a round is the leader's move, then the follower's."""

    def __init__(
        self, envs: Sequence[Any], leader: torch.nn.Module, max_episode_steps: int | None
    ) -> None:
        """Of equal environments.

        Raises:
            ValueError: one has not the two agents, or not the spaces of the first.
        """
        self._envs, self._limit = envs, max_episode_steps
        self._seeded = False
        for env in envs:
            _check_agents(env)
        for name in (LEADER, FOLLOWER):
            for what in ("observation_space", "action_space"):
                spaces = [getattr(env, what)(name) for env in envs]
                check_equal(envs, f"the {name}'s {what}", spaces)
        first = envs[0]
        actions = first.action_space(LEADER)
        self.spaces = Spaces(
            first.observation_space(LEADER),
            actions,
            first.observation_space(FOLLOWER),
            first.action_space(FOLLOWER),
        )
        self.policy = LeaderPolicy(leader, self.spaces.observation, actions)

    def play(self, follower: Follower, num_episodes: int, rng: np.random.Generator) -> Batch:
        """So many whole episodes, spread evenly over the environments."""
        rows = Rows(len(self._envs), num_episodes, self._limit)
        for i in rows.running:
            self._reset(i, None if self._seeded else first_seed(rng))
        self._seeded = True
        while running := rows.running:
            envs = [self._envs[i] for i in running]
            seen = [np.array(env.observe(LEADER)) for env in envs]
            drawn = self.policy.draw(np.asarray(seen))
            space = self.spaces.leader_action
            assert space is not None
            paid = [
                _move(env, LEADER, element(space, action))
                for env, action in zip(envs, drawn, strict=True)
            ]
            shown = [np.array(env.observe(FOLLOWER)) for env in envs]
            answers = predicted(follower, shown, self.spaces.follower_action)
            for k, (i, env) in enumerate(zip(running, envs, strict=True)):
                _expect_running(env)
                later = _move(env, FOLLOWER, element(self.spaces.follower_action, answers[k]))
                rewards = {agent: paid[k][agent] + later[agent] for agent in later}
                step = (
                    seen[k], drawn[k], shown[k], answers[k], np.array(env.observe(LEADER)),
                    rewards[LEADER], rewards[FOLLOWER],
                    bool(env.terminations[LEADER]), bool(env.truncations[LEADER]),
                )  # fmt: skip
                if rows.add(i, step):
                    self._reset(i, None)
        return rows.batch()

    def _reset(self, i: int, seed: int | None) -> None:
        self._envs[i].reset(seed=seed)


def _move(env: Any, agent: str, action: Any) -> dict[str, float]:
    if env.agent_selection != agent:
        raise ValueError(
            f"agent_selection is {env.agent_selection!r}; expected {agent!r}: leader and follower "
            "move in turn, the leader first"
        )
    env.step(action)
    return {name: float(env.rewards[name]) for name in (LEADER, FOLLOWER)}


def _expect_running(env: Any) -> None:
    if env.terminations[LEADER] or env.truncations[LEADER]:
        raise ValueError("an episode ended after the leader's move; expected after the follower's")


def _check_agents(env: Any) -> None:
    agents = sorted(getattr(env, "possible_agents", ()))
    if agents != sorted((LEADER, FOLLOWER)):
        raise ValueError(
            f"env has the agents {agents}; expected a PettingZoo AEC environment with {LEADER!r} "
            f"and {FOLLOWER!r}"
        )


class FollowerView(gymnasium.Env[Any, Any]):
    """A follower's single-agent environment: its opponent is the leader, as it is at every step."""

    def __init__(self, env: Any, leader: torch.nn.Module) -> None:
        """The view of a PettingZoo AEC environment with the agents "leader" and "follower".

        Args:
            env: of the follower alone; the trainer plays in others.
            leader: maps observations to a distribution; read at every step.

        Raises:
            ValueError: the environment has not these two agents.
        """
        _check_agents(env)
        self._env = env
        self._actions = env.action_space(LEADER)
        self._policy = LeaderPolicy(leader, env.observation_space(LEADER), self._actions)
        self.observation_space = env.observation_space(FOLLOWER)
        self.action_space = env.action_space(FOLLOWER)
        self._numbers: torch.Tensor | None = None  # of the leader's draws, once seeded
        self._paid = 0.0

    @property
    def module(self) -> torch.nn.Module:
        """The leader."""
        return self._policy.module

    def _lead(self) -> None:
        with torch.random.fork_rng(devices=[], enabled=self._numbers is not None):
            if self._numbers is not None:
                torch.set_rng_state(self._numbers)
            drawn = self._policy.draw(np.array(self._env.observe(LEADER))[None])[0]
            if self._numbers is not None:
                self._numbers = torch.get_rng_state()
        self._paid = _move(self._env, LEADER, element(self._actions, drawn))[FOLLOWER]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """A new episode, after the leader's first move; a seed is for the leader's draws too."""
        super().reset(seed=seed)
        if seed is not None:
            self._numbers = torch.Generator().manual_seed(seed).get_state()
        self._env.reset(seed=seed, options=options)
        self._lead()
        return self._env.observe(FOLLOWER), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """The follower's move; its reward is that of the round, the leader's move included."""
        reward = self._paid + _move(self._env, FOLLOWER, action)[FOLLOWER]
        ended = bool(self._env.terminations[FOLLOWER])
        cut = bool(self._env.truncations[FOLLOWER])
        if not (ended or cut):
            self._lead()
        return self._env.observe(FOLLOWER), reward, ended, cut, {}
