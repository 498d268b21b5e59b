"""Where leader and follower meet: whole episodes of a user's environments, as padded arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, Space
from numpy.typing import NDArray

from bilevelrl.core.arrays import AnyArray, Floats

#: The agents' names in a PettingZoo environment.
LEADER, FOLLOWER = "leader", "follower"


class Follower(Protocol):
    """Any agent that learns and answers; those of Stable-Baselines3 are such."""

    def learn(self, total_timesteps: int) -> object:
        """Learn from so many transitions of its own, against the leader as it is."""
        ...

    def predict(self, observation: AnyArray) -> Any:
        """Answers to observations (K, ...): actions, or a tuple that starts with them."""
        ...


@dataclass(frozen=True, eq=False)
class Spaces:
    """Of one problem.

    Attributes:
        observation: what the leader sees.
        leader_action: None if it does not act.
        follower_observation: what the follower sees; the leader's action in it if it is shown.
        follower_action: its answers.
    """

    observation: Space[Any]
    leader_action: Space[Any] | None
    follower_observation: Space[Any]
    follower_action: Space[Any]


@dataclass(frozen=True, eq=False)
class Batch:
    """Whole episodes, one after the other in R rows of N transitions, with padding at rows' ends.

    Attributes:
        observation: what the leader saw, shape (R, N, ...).
        leader_action: as its policy drew it, shape (R, N, ...); zeros if it does not act.
        follower_observation: shape (R, N, ...).
        follower_action: shape (R, N, ...).
        next_observation: the leader's, at an episode's end its last one, shape (R, N, ...).
        leader_reward: shape (R, N).
        follower_reward: without a bonus for entropy, shape (R, N).
        terminated: shape (R, N).
        truncated: shape (R, N).
        mask: False at padding, shape (R, N).
    """

    observation: AnyArray
    leader_action: AnyArray
    follower_observation: AnyArray
    follower_action: AnyArray
    next_observation: AnyArray
    leader_reward: Floats
    follower_reward: Floats
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    mask: NDArray[np.bool_]

    @property
    def num_transitions(self) -> int:
        """Without padding."""
        return int(self.mask.sum())

    def valid(self, name: str) -> AnyArray:
        """An array without padding and rows, shape (n, ...)."""
        found: AnyArray = getattr(self, name)[self.mask]
        return found

    def scatter(self, values: AnyArray) -> Floats:
        """Numbers of the valid transitions (n,) at their places, zero elsewhere, shape (R, N)."""
        placed = np.zeros(self.mask.shape)
        placed[self.mask] = values
        return placed


_NUMBERS = ("leader's reward", "follower's reward")
#: Steps after which an episode is taken for one that never ends.
_LONGEST = 100_000
#: Fields of a transition in the order of `Batch`.
Transition = tuple[Any, Any, Any, Any, Any, float, float, bool, bool]


class Simulator(Protocol):
    """Plays episodes of leader and follower."""

    @property
    def spaces(self) -> Spaces:
        """Of the environment."""
        ...

    def play(self, follower: Follower, num_episodes: int, rng: np.random.Generator) -> Batch:
        """So many whole episodes, spread evenly over the environments."""
        ...


class Rows:
    """Transitions as they come, a list for each environment, until each had its episodes."""

    def __init__(self, num_envs: int, num_episodes: int, max_episode_steps: int | None) -> None:
        self._rows: list[list[Transition]] = [[] for _ in range(num_envs)]
        shares = [num_episodes // num_envs + (i < num_episodes % num_envs) for i in range(num_envs)]
        self._left, self._limit, self._steps = shares, max_episode_steps, [0] * num_envs

    @property
    def running(self) -> list[int]:
        """Environments that still have episodes to play."""
        return [i for i, left in enumerate(self._left) if left]

    def add(self, env: int, transition: Transition) -> bool:
        """Keep a transition; whether its environment has to be reset for another episode."""
        for name, value in zip(_NUMBERS, transition[5:7], strict=True):
            if not np.isfinite(value):
                raise ValueError(f"the {name} of a step is {value}; expected a finite number")
        self._steps[env] += 1
        *observed, terminated, truncated = transition
        truncated = not terminated and (truncated or self._steps[env] == self._limit)
        self._rows[env].append((*observed, terminated, truncated))
        ended = terminated or truncated
        if not ended and self._steps[env] >= _LONGEST:
            raise ValueError(
                f"an episode goes on after {_LONGEST} steps; expected one that ends, or "
                "max_episode_steps"
            )
        self._steps[env] *= not ended
        self._left[env] -= ended
        return ended and self._left[env] > 0

    def batch(self) -> Batch:
        """What came, padded by copies of a row's first transition."""
        rows = [row for row in self._rows if row]
        length = max(len(row) for row in rows)
        mask = np.array([[n < len(row) for n in range(length)] for row in rows])
        padded = [row + row[:1] * (length - len(row)) for row in rows]
        columns = zip(*(step for row in padded for step in row), strict=True)
        arrays = [np.asarray(column) for column in columns]
        shaped = [array.reshape(*mask.shape, *array.shape[1:]) for array in arrays]
        seen, acted, shown, chosen, following, *numbers = shaped
        leader_reward, follower_reward = (array.astype(np.float64) for array in numbers[:2])
        terminated, truncated = (array.astype(np.bool_) & mask for array in numbers[2:])
        return Batch(
            seen, acted, shown, chosen, following,
            leader_reward, follower_reward, terminated, truncated, mask,
        )  # fmt: skip


def tensor(space: Space[Any], elements: AnyArray, like: torch.Tensor) -> torch.Tensor:
    """Elements of a space as a leader reads them: integers, or of a `Box` numbers of its kind."""
    dtype = like.dtype if isinstance(space, Box) else torch.int64
    return torch.as_tensor(elements, dtype=dtype, device=like.device)


def predicted(follower: Follower, observations: Sequence[Any], space: Space[Any]) -> AnyArray:
    """Its answers, shape (K, ...).

    Raises:
        ValueError: not one answer per observation, or one that is none of its actions.
    """
    found = follower.predict(np.asarray(observations))
    answers = np.asarray(found[0] if isinstance(found, tuple) else found)
    shape = (len(observations), *(space.shape or ()))
    if answers.shape != shape:
        raise ValueError(
            f"follower.predict returned shape {answers.shape} for {len(observations)} "
            f"observations; expected {shape}"
        )
    for answer in answers:
        if not isinstance(space, Box) and not space.contains(answer):
            raise ValueError(f"follower.predict returned {answer!r}; expected an action in {space}")
    return answers


def element(space: Space[Any], value: Any) -> Any:
    """A value of the space's own type and range, from a policy's output."""
    if isinstance(space, Discrete):
        return np.int64(value)
    if isinstance(space, Box):
        within = np.clip(value, space.low, space.high)
        whole = np.issubdtype(space.dtype, np.integer)
        return np.asarray(np.rint(within) if whole else within, space.dtype)
    return np.asarray(value, space.dtype)


def first_seed(rng: np.random.Generator) -> int:
    """Of an environment that was never reset."""
    return int(rng.integers(2**31))
