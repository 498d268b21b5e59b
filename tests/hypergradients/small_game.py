"""A game of three steps, for autograd through the follower and a sum over all of its episodes."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import torch

Tensor = torch.Tensor
STATES, ACTIONS, CHOICES, HORIZON = 2, 2, 3, 3
END = STATES  # a state that is none: the episode is over


@dataclass(frozen=True)
class Game:
    """Rewards (S, A, B), probabilities f (S, A) and p (S, A, B, S + 1), and the agents."""

    leader_reward: Tensor
    follower_reward: Tensor
    policy: Tensor
    kernel: Tensor
    leader_discount: float
    follower_discount: float
    temperature: float
    sees: bool

    def solve(self) -> "Solution":
        """Backward induction; everything is differentiable."""
        leader, follower = [torch.zeros(STATES + 1).double()], [torch.zeros(STATES + 1).double()]
        quality, response = [], []
        for _ in range(HORIZON):
            ahead = self.follower_reward + self.follower_discount * self.kernel @ follower[0]
            if not self.sees:
                ahead = torch.einsum("sa,sab->sb", self.policy, ahead)[:, None, :]
            chance = torch.softmax(ahead / self.temperature, dim=2).expand(-1, ACTIONS, -1)
            value = self.temperature * torch.logsumexp(ahead / self.temperature, dim=2)
            value = (self.policy * value.expand(-1, ACTIONS)).sum(dim=1)
            follower.insert(0, torch.cat([value, value.new_zeros(1)]))
            quality.insert(0, self.leader_reward + self.leader_discount * self.kernel @ leader[0])
            response.insert(0, chance)
            mean = torch.einsum("sa,sab,sab->s", self.policy, chance, quality[0])
            leader.insert(0, torch.cat([mean, mean.new_zeros(1)]))
        return Solution(*map(torch.stack, (leader, follower, quality, response)))


@dataclass(frozen=True)
class Solution:
    """Values V_L and V_F (T + 1, S + 1), Q_L (T, S, A, B) and the follower's π (T, S, A, B)."""

    leader_value: Tensor
    follower_value: Tensor
    leader_quality: Tensor
    response: Tensor

    @property
    def leader_return(self) -> Tensor:
        """J for both first states alike."""
        return self.leader_value[0, :STATES].mean()


@dataclass(frozen=True)
class Transitions:
    """Of every episode there is, one after the other, each (N,).

    `weight` is an episode's probability at each of its steps, `time` the step.
    """

    state: Tensor
    action: Tensor
    choice: Tensor
    next_state: Tensor
    time: Tensor
    terminated: Tensor
    weight: Tensor


def all_episodes(game: Game) -> Transitions:
    """Every episode with its probability."""
    response = game.solve().response.tolist()
    policy, kernel = game.policy.tolist(), game.kernel.tolist()
    rows: list[tuple[int, int, int, int, int, bool, float]] = []
    for first in range(STATES):
        for steps in _paths(first):
            chance = 1.0 / STATES
            for time, (s, a, b, after) in enumerate(steps):
                chance *= policy[s][a] * response[time][s][a][b] * kernel[s][a][b][after]
            last = len(steps) - 1
            rows += [(*step, time, time == last, chance) for time, step in enumerate(steps)]
    *columns, weight = zip(*rows, strict=True)
    return Transitions(*map(torch.tensor, columns), torch.tensor(weight, dtype=torch.float64))


def _paths(state: int, time: int = 0) -> Iterator[list[tuple[int, int, int, int]]]:
    for a, b, after in itertools.product(range(ACTIONS), range(CHOICES), range(STATES + 1)):
        step = (state, a, b, after)
        if after == END or time == HORIZON - 1:
            yield [step]
        else:
            yield from ([step, *rest] for rest in _paths(after, time + 1))
