"""Days of H houses under their policies, for all runs at once, on the grid of `problem`."""

from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import kernel, parallel_kernel
from bilevelrl.core.seeding import Consumer, Streams
from bilevelrl.problems.home_battery.exact import mean_day
from bilevelrl.problems.home_battery.problem import HomeBattery
from bilevelrl.problems.home_battery.profiles import HOURS

Nodes = NDArray[np.int16]


@kernel
def drawn(probability, uniform):  # type: ignore[no-untyped-def]
    """The outcome in whose share of [0, 1) the uniform number lies; never one of probability 0."""
    left, last = uniform * probability.sum(), 0
    for k in range(len(probability)):
        if probability[k] > 0.0:
            last = k
            left -= probability[k]
            if left < 0.0:
                return k
    return last


@parallel_kernel
def _live(  # type: ignore[no-untyped-def]
    policy, midnight, lower, share, energies, net, outcomes, uniforms, charge, action, taken, energy
):
    num_runs, num_houses, num_days, num_steps = action.shape
    for r in numba.prange(num_runs):
        for i in range(num_houses):
            for d in range(num_days):
                c = drawn(midnight[r, i], uniforms[r, i, d, num_steps, 0])
                for t in range(num_steps):
                    h = t % HOURS
                    draw = uniforms[r, i, d, t]
                    a = drawn(policy[r, i, h, c], draw[0])
                    charge[r, i, d, t], action[r, i, d, t] = c, a
                    taken[r, i, d, t] = energies[c, a]
                    energy[r, i, d, t] = net[i, h, drawn(outcomes, draw[1])] + energies[c, a]
                    c = lower[c, a] + (draw[2] < share[c, a])
                charge[r, i, d, num_steps] = c


@dataclass(frozen=True, eq=False)
class HouseDays:
    """N sequences of T hours from midnight on, of H houses in R runs.

    Attributes:
        charge: node before every hour, and after the last one, shape (R, H, N, T + 1).
        action: place of what was chosen, shape (R, H, N, T).
        taken: what the battery took of it, kWh, below 0 where it gave, shape (R, H, N, T).
        energy: e from the grid, kWh, shape (R, H, N, T).
    """

    charge: Nodes
    action: Nodes
    taken: Floats
    energy: Floats

    @property
    def num_steps(self) -> int:
        """T."""
        return int(self.action.shape[3])

    @cached_property
    def others(self) -> Floats:
        """Mean energy of all other houses in every hour of the first day, kWh, shape (R, H, 24)."""
        mean = self.energy[..., :HOURS].sum(axis=2) / self.energy.shape[2]
        others: Floats = mean.sum(axis=1, keepdims=True) - mean
        return others

    def house_rewards(self, problem: HomeBattery) -> Floats:
        """-κ (e² + 2 e M) in $, M being `others`, shape (R, H, N, T).

        A house changes J as if these were the leader's rewards. Houses are independent, and so are
        e and the estimate of M: means are as if M was known.
        """
        others = self.others[:, :, None, self.hour]
        reward: Floats = -problem.peak_weight * self.energy * (self.energy + 2.0 * others)
        return reward

    @cached_property
    def hour(self) -> NDArray[np.int64]:
        """Of the day, shape (T,)."""
        return np.arange(self.num_steps) % HOURS

    @cached_property
    def bought(self) -> Floats:
        """-∂r_F/∂θ of its hour: max(e, 0), kWh, shape (R, H, N, T)."""
        return np.maximum(self.energy, 0.0)

    def leader_reward(self, problem: HomeBattery, theta: Floats) -> Floats:
        """r_L in $, shape (R, N, T), under θ, shape (R, 24)."""
        together = self.energy.sum(axis=1)
        pull = problem.tariff_weight * np.square(theta - problem.target)
        reward: Floats = -problem.peak_weight * np.square(together) - pull[:, None, self.hour]
        return reward

    def follower_reward(self, theta: Floats) -> Floats:
        """r_F in $ of every house, shape (R, H, N, T), under θ, shape (R, 24)."""
        reward: Floats = -theta[:, None, None, self.hour] * self.bought
        return reward


@dataclass(frozen=True, eq=False)
class DayRollout:
    """Draws fresh days at every call.

    A sequence begins at a midnight that the battery saw, empty n midnights ago, n geometric; the
    houses live the days before unwatched. J is the mean over first days; the `closing_days` that
    follow show what an hour leads to.

    Attributes:
        problem: the houses.
        num_days: N sequences of each run.
        closing_days: watched after the first one.
        consumer: whose random numbers.

    Raises:
        ValueError: if `num_days` is less than 1, or `closing_days` less than 0.
    """

    problem: HomeBattery
    num_days: int
    closing_days: int = 1
    consumer: Consumer = "rollout"

    def __post_init__(self) -> None:
        if self.num_days < 1 or self.closing_days < 0:
            raise ValueError(
                f"num_days = {self.num_days}, closing_days = {self.closing_days}: "
                "at least 1 and 0 are needed"
            )

    @property
    def num_steps(self) -> int:
        """T, hours of a sequence."""
        return HOURS * (1 + self.closing_days)

    @property
    def env_steps(self) -> int:
        """Transitions per batch and run: hours of all houses."""
        return self.problem.num_houses * self.num_days * self.num_steps

    def sample(self, policy: Floats, streams: Streams) -> HouseDays:
        """Live under `policy` π(a | h, c), shape (R, H, 24, C, A).

        Raises:
            NotConverged: see `mean_day`.
        """
        return self.live(policy, self.draw(streams))

    def draw(self, streams: Streams) -> Floats:
        """The random numbers of a batch, which hold until the next draw."""
        shape = (self.problem.num_houses, self.num_days, self.num_steps + 1, 3)
        return streams.uniforms(self.consumer, shape)

    def live(self, policy: Floats, uniforms: Floats) -> HouseDays:
        """Live with given random numbers; policies that share them differ by what they do alone.

        Raises:
            NotConverged: see `mean_day`.
        """
        grid, demand = self.problem.grid, self.problem.demand
        shape = (*policy.shape[:2], self.num_days, self.num_steps)
        midnight = mean_day(self.problem, policy).occupancy[:, :, 0]
        charge = np.empty((*shape[:3], shape[3] + 1), np.int16)
        action, (taken, energy) = np.empty(shape, np.int16), np.empty((2, *shape))
        _live(
            policy, midnight, grid.lower, grid.share, grid.energy, demand.net,
            demand.probability, uniforms, charge, action, taken, energy,
        )  # fmt: skip
        return HouseDays(charge, action, taken, energy)


def sampled_return(problem: HomeBattery, theta: Floats, seen: HouseDays) -> Floats:
    """Mean of J over the first days, in $ per day, shape (R,)."""
    first = seen.leader_reward(problem, theta)[:, :, :HOURS] * problem.day_weights
    total: Floats = first.sum(axis=(1, 2)) / first.shape[1]
    return total
