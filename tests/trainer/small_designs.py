"""The small game of three steps as a simulator of a leader that does not act."""

from typing import Any, Protocol

import numpy as np
import torch
from gymnasium.spaces import Discrete
from numpy.typing import NDArray
from torch.distributions import Categorical

from bilevelrl.trainer.simulation import Batch, Spaces
from tests.hypergradients.small_game import ACTIONS, CHOICES, HORIZON, STATES, Game

Floats = NDArray[np.float64]
SHAPE = (STATES, ACTIONS, CHOICES)
TIMES = HORIZON + 1
SPACE = Discrete((STATES + 1) * TIMES)
LEADER_DISCOUNT, FOLLOWER_DISCOUNT, TEMPERATURE = 0.9, 0.7, 0.6


def draw(seed: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def game(**changes: torch.Tensor) -> Game:
    """Of a leader whose only action is the first."""
    policy = torch.zeros(STATES, ACTIONS, dtype=torch.float64)
    policy[:, 0] = 1.0
    tables = {
        "leader_reward": draw(3, *SHAPE),
        "follower_reward": draw(4, *SHAPE),
        "policy": policy,
        "kernel": torch.softmax(draw(5, *SHAPE, STATES + 1), dim=3),
    }
    return Game(**{**tables, **changes}, leader_discount=LEADER_DISCOUNT,
                follower_discount=FOLLOWER_DISCOUNT, temperature=TEMPERATURE,
                sees=True)  # fmt: skip


class DesignedGame(Protocol):
    """A module that knows which game it makes."""

    def game(self) -> Game: ...


def state_of(observation: torch.Tensor) -> torch.Tensor:
    return torch.div(observation, TIMES, rounding_mode="floor")


class Payer(torch.nn.Module):
    """Pays θ(s, b), which costs 0.3 θ²."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = torch.nn.Parameter(0.5 * draw(6, STATES, CHOICES))

    def game(self) -> Game:
        paid = self.theta[:, None].expand(*SHAPE)
        known = game()
        return game(
            leader_reward=known.leader_reward - 0.3 * paid.square(),
            follower_reward=known.follower_reward + paid,
        )

    def forward(
        self, observation: torch.Tensor, action: torch.Tensor, following: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        del following
        paid = self.theta[state_of(observation).clamp(max=STATES - 1), action]
        return -0.3 * paid.square(), paid


class Builder(torch.nn.Module):
    """Chooses where every choice leads to."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = torch.nn.Parameter(0.5 * draw(7, STATES, CHOICES, STATES + 1))

    def game(self) -> Game:
        kernel = torch.softmax(self.theta, dim=2)
        return game(kernel=kernel[:, None].expand(*SHAPE, STATES + 1))

    def forward(
        self, observation: torch.Tensor, action: torch.Tensor, following: torch.Tensor
    ) -> torch.Tensor:
        table = torch.log_softmax(self.theta, dim=2)
        here = state_of(observation).clamp(max=STATES - 1)
        return table[here, action, state_of(following)]


class BackwardInduction:
    """The follower: it plans exactly."""

    def __init__(self, leader: DesignedGame) -> None:
        self.leader = leader
        self._rng = np.random.default_rng(1)
        self.learn(1)

    def learn(self, steps: int) -> None:
        with torch.no_grad():
            self._response = self.leader.game().solve().response[:, :, 0]

    def distribution(self, observation: Any) -> Categorical:
        states, times = np.divmod(observation, TIMES)
        return Categorical(probs=self._response[times, states])

    def predict(self, observation: Any) -> Any:
        probabilities = self.distribution(observation).probs.numpy().cumsum(axis=1)[:, :-1]
        return (self._rng.random((len(probabilities), 1)) > probabilities).sum(axis=1)


class SmallDesigns:
    """Implements `Simulator`: all episodes side by side, a row each."""

    spaces = Spaces(SPACE, None, SPACE, Discrete(CHOICES))

    def __init__(self, leader: DesignedGame) -> None:
        self.leader = leader

    def play(self, follower: Any, num_episodes: int, rng: np.random.Generator) -> Batch:
        with torch.no_grad():
            now = self.leader.game()
        kernel = now.kernel[:, 0].numpy().cumsum(axis=2)[..., :-1]
        state, running = rng.integers(STATES, size=num_episodes), np.ones(num_episodes, bool)
        rows: list[tuple[Any, ...]] = []
        for time in range(HORIZON):
            inside = np.where(running, state, 0)
            seen = inside * TIMES + time
            choice = follower.predict(seen)
            after = (rng.random((num_episodes, 1)) > kernel[inside, choice]).sum(axis=1)
            over = running & ((after == STATES) | (time == HORIZON - 1))
            rewards = (now.leader_reward, now.follower_reward)
            paid = [reward.numpy()[inside, 0, choice] for reward in rewards]
            rows.append((seen, choice, after * TIMES + time + 1, *paid, over, running.copy()))
            running &= ~over
            state = after
        seen, choice, after, leader, follower_reward, over, mask = (
            np.stack(column, axis=1) for column in zip(*rows, strict=True)
        )
        return Batch(
            seen, np.zeros_like(seen), seen, choice, after, leader, follower_reward, over,
            np.zeros_like(over), mask,
        )  # fmt: skip
