"""The leader's advantage: exact, or of a table that SARSA learns; `regressed` has another."""

from dataclasses import dataclass

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import parallel_kernel
from bilevelrl.core.estimator import Memory
from bilevelrl.core.frequencies import frequencies
from bilevelrl.core.observations import Information
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.home_battery.exact import leader_advantages, leader_rewards, mean_day
from bilevelrl.problems.home_battery.planner import HouseholdResponse
from bilevelrl.problems.home_battery.problem import HomeBattery
from bilevelrl.problems.home_battery.profiles import HOURS
from bilevelrl.problems.home_battery.rollout import HouseDays


@dataclass(frozen=True, eq=False)
class ExactAdvantage:
    """A_L of the game itself, for tests and studies."""

    problem: HomeBattery

    def start(self, streams: Streams) -> Memory:
        """Nothing is remembered."""
        del streams
        return {}

    def of(
        self, theta: Floats, response: HouseholdResponse, seen: HouseDays, memory: Memory,
        streams: Streams,
    ) -> Floats:  # fmt: skip
        """Solve for it, shape (R, H, N, 24)."""
        del theta, memory, streams
        policy = response.policy
        reward = leader_rewards(self.problem, mean_day(self.problem, policy).others)
        return _chosen(leader_advantages(self.problem, policy, reward), seen)


def _chosen(table: Floats, seen: HouseDays) -> Floats:
    # Entries of a table (R, H, 24, C, A) in the hours of first days, shape (R, H, N, 24).
    runs, houses = (
        np.arange(n).reshape(-1, *[1] * k) for n, k in zip(table.shape[:2], (3, 2), strict=True)
    )
    first = slice(0, HOURS)
    hour = np.arange(HOURS)
    chosen: Floats = table[runs, houses, hour, seen.charge[..., first], seen.action[..., first]]
    return chosen


@dataclass(frozen=True, eq=False)
class SarsaAdvantage:
    """A table Q_L(h, c, a) of every house, learned by SARSA and centred under the policy.

    One pass over each batch in random order, as in the released code's tabular critics. With
    information "full" the leader reads the policy; otherwise it takes the frequencies of actions in
    the batch, and in hours and charges that it did not see, uniform ones.

    Attributes:
        problem: the houses.
        step_size: α of each run, shape (R,).
        information: what the leader may see.
        smoothing: share of uniform actions in frequencies.
    """

    problem: HomeBattery
    step_size: Floats
    information: Information = "full"
    smoothing: float = 0.0

    def start(self, streams: Streams) -> Memory:
        """Q_L = 0, shape (R, H, 24, C, A)."""
        problem = self.problem
        shape = (HOURS, *problem.grid.energy.shape)
        return {"critic": np.zeros((len(streams.seeds), problem.num_houses, *shape))}

    def of(
        self, theta: Floats, response: HouseholdResponse, seen: HouseDays, memory: Memory,
        streams: Streams,
    ) -> Floats:  # fmt: skip
        """Let the table learn from the batch, and read it; updates `memory` in place."""
        del theta
        table, policy = memory["critic"], response.policy
        if self.information != "full":
            policy = self._played(seen)
        uniforms = streams.uniforms("critic", (*seen.action.shape[1:],))
        _sarsa(
            seen.charge, seen.action, seen.house_rewards(self.problem), policy,
            uniforms.reshape(*uniforms.shape[:2], -1), self.step_size,
            self.problem.leader_discount, table,
        )  # fmt: skip
        mean = (policy * table).sum(axis=4, keepdims=True)
        return _chosen(table - mean, seen)

    def _played(self, seen: HouseDays) -> Floats:
        grid = self.problem.grid
        counts = np.zeros((*seen.action.shape[:2], HOURS, *grid.energy.shape))
        _count(seen.charge, seen.action, counts)
        return frequencies(counts, self.smoothing)


@parallel_kernel
def _count(charge, action, counts):  # type: ignore[no-untyped-def]
    num_runs, num_houses, num_days, num_steps = action.shape
    for r in numba.prange(num_runs):
        for i in range(num_houses):
            for d in range(num_days):
                for t in range(num_steps):
                    counts[r, i, t % HOURS, charge[r, i, d, t], action[r, i, d, t]] += 1.0


@parallel_kernel
def _sarsa(charge, action, reward, policy, uniforms, step_size, discount, table):  # type: ignore[no-untyped-def]
    num_runs, num_houses, num_days, num_steps = action.shape
    size = num_days * num_steps
    for r in numba.prange(num_runs):
        for i in range(num_houses):
            order = np.arange(size)
            for j in range(size - 1, -1, -1):
                k = int(uniforms[r, i, j] * (j + 1))
                place = order[k]
                order[k] = order[j]
                d, t = place // num_steps, place % num_steps
                h, following = t % HOURS, (t + 1) % HOURS
                c, a, after = charge[r, i, d, t], action[r, i, d, t], charge[r, i, d, t + 1]
                ahead = 0.0
                if t + 1 < num_steps:
                    ahead = table[r, i, following, after, action[r, i, d, t + 1]]
                else:
                    for b in range(policy.shape[4]):
                        ahead += (
                            policy[r, i, following, after, b] * table[r, i, following, after, b]
                        )
                error = reward[r, i, d, t] + discount * ahead - table[r, i, h, c, a]
                table[r, i, h, c, a] += step_size[r] * error
