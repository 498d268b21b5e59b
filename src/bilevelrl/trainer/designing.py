"""A leader that sets rewards or shapes the dynamics of a follower's Gymnasium environment."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Space

from bilevelrl.core.arrays import AnyArray
from bilevelrl.trainer.simulation import (
    Batch,
    Follower,
    Rows,
    Spaces,
    element,
    first_seed,
    predicted,
    tensor,
)

#: Where a step's `info` holds the leader's reward.
LEADER_REWARD = "leader_reward"


class DesigningLeader:
    """φ_θ(s, b, s') of a module that is called with observation, action and next observation."""

    def __init__(self, module: torch.nn.Module, observations: Space[Any], actions: Space[Any]):
        """Of a module with at least one parameter, whose device it uses."""
        self.module, self._observations, self._actions = module, observations, actions

    def terms(
        self, observation: AnyArray, action: AnyArray, following: AnyArray
    ) -> tuple[torch.Tensor, ...]:
        """What the module returns, one or two tensors of shape (N,), with gradients.

        Raises:
            TypeError: it returns something else.
            ValueError: tensors of another shape.
        """
        like = next(self.module.parameters())
        found = self.module(
            tensor(self._observations, observation, like),
            tensor(self._actions, action, like),
            tensor(self._observations, following, like),
        )
        terms = found if isinstance(found, tuple) else (found,)
        for term in terms:
            if not isinstance(term, torch.Tensor) or len(terms) > 2:
                raise TypeError(
                    f"leader(observation, action, next_observation) returned {found!r:.80}; "
                    "expected a tensor with one number per transition, or two such tensors"
                )
            if term.shape != (len(observation),):
                raise ValueError(
                    f"leader(observation, action, next_observation) has shape {tuple(term.shape)}; "
                    f"expected {(len(observation),)}, one number per transition"
                )
        return terms


class DesignedSimulator:
    """Plays environments that read the leader themselves, as `WithIncentives` does."""

    def __init__(
        self,
        envs: Sequence[gymnasium.Env[Any, Any]],
        leader: torch.nn.Module,
        max_episode_steps: int | None,
    ) -> None:
        """Of equal environments, whose steps' `info` holds the leader's reward."""
        self._envs, self._limit = envs, max_episode_steps
        self._seen: list[Any] = [None] * len(envs)
        self._seeded = False
        first = envs[0]
        self.spaces = Spaces(
            first.observation_space, None, first.observation_space, first.action_space
        )
        self.leader = DesigningLeader(leader, first.observation_space, first.action_space)

    def play(self, follower: Follower, num_episodes: int, rng: np.random.Generator) -> Batch:
        """So many whole episodes, spread evenly over the environments.

        Raises:
            ValueError: a step's `info` has no leader's reward.
        """
        rows = Rows(len(self._envs), num_episodes, self._limit)
        for i in rows.running:
            self._reset(i, None if self._seeded else first_seed(rng))
        self._seeded = True
        while running := rows.running:
            asked = [self._seen[i] for i in running]
            answers = predicted(follower, asked, self.spaces.follower_action)
            for i, answer in zip(running, answers, strict=True):
                action = element(self.spaces.follower_action, answer)
                seen, reward, ended, cut, info = self._envs[i].step(action)
                _expect_leader_reward(info)
                following = np.array(seen)
                here = self._seen[i]
                step = (
                    here, 0, here, action, following,
                    float(info[LEADER_REWARD]), float(reward), bool(ended), bool(cut),
                )  # fmt: skip
                self._seen[i] = following
                if rows.add(i, step):
                    self._reset(i, None)
        return rows.batch()

    def _reset(self, i: int, seed: int | None) -> None:
        self._seen[i] = np.array(self._envs[i].reset(seed=seed)[0])


def _expect_leader_reward(info: dict[str, Any]) -> None:
    if LEADER_REWARD not in info:
        raise ValueError(f"info of env.step holds {sorted(info)}; expected {LEADER_REWARD!r} too")


class WithIncentives(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Adds what a leader pays to the follower's reward, and what that costs to the leader's.

    The module is called with observation, action and next observation and returns what it adds to
    the follower's reward, or a pair: what it adds to the leader's, and to the follower's.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], leader: torch.nn.Module) -> None:
        """Around an environment whose `info` holds the leader's reward."""
        super().__init__(env)
        self._leader = DesigningLeader(leader, env.observation_space, env.action_space)
        self._seen: Any = None

    @property
    def module(self) -> torch.nn.Module:
        """The leader."""
        return self._leader.module

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """A new episode."""
        seen, info = self.env.reset(seed=seed, options=options)
        self._seen = np.array(seen)
        return seen, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """One step, with the leader as it is.

        Raises:
            ValueError: `info` has no leader's reward.
        """
        following, reward, ended, cut, info = self.env.step(action)
        _expect_leader_reward(info)
        arrays = (np.asarray(each)[None] for each in (self._seen, action, following))
        with torch.no_grad():
            *own, paid = (float(term[0]) for term in self._leader.terms(*arrays))
        info = {**info, LEADER_REWARD: float(info[LEADER_REWARD]) + sum(own)}
        self._seen = np.array(following)
        return following, float(reward) + paid, ended, cut, info
