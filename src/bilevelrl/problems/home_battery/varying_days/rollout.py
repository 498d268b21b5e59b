"""Days of several types as houses live them, for all runs at once, on the grid of `problem`."""

from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import parallel_kernel
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.home_battery.profiles import HOURS
from bilevelrl.problems.home_battery.rollout import Nodes, drawn
from bilevelrl.problems.home_battery.varying_days.exact import typed_days
from bilevelrl.problems.home_battery.varying_days.problem import VaryingDays


@parallel_kernel
def _live(  # type: ignore[no-untyped-def]
    policy, midnight, lower, share, energies, net, outcomes, likely, uniforms, types, charge, taken,
    energy,
):  # fmt: skip
    num_runs, num_houses, num_days, num_steps = taken.shape
    for r in numba.prange(num_runs):
        for d in range(num_days):
            for day in range(types.shape[2]):
                types[r, d, day] = drawn(likely, uniforms[r, num_houses, d, day, 0])
        for i in range(num_houses):
            for d in range(num_days):
                c = drawn(midnight[r, i], uniforms[r, i, d, num_steps, 0])
                for t in range(num_steps):
                    h, m = t % HOURS, types[r, d, t // HOURS]
                    draw = uniforms[r, i, d, t]
                    a = drawn(policy[r, i, m, h, c], draw[0])
                    charge[r, i, d, t] = c
                    taken[r, i, d, t] = energies[c, a]
                    energy[r, i, d, t] = net[i, m, h, drawn(outcomes, draw[1])] + energies[c, a]
                    c = lower[c, a] + (draw[2] < share[c, a])
                charge[r, i, d, num_steps] = c


@dataclass(frozen=True, eq=False)
class TypedHouseDays:
    """N sequences of T hours from midnight on, of H houses in R runs.

    Attributes:
        types: of every day of a sequence, that of all houses, shape (R, N, T / 24).
        charge: node before every hour, and after the last one, shape (R, H, N, T + 1).
        taken: what the battery took, kWh, below 0 where it gave, shape (R, H, N, T).
        energy: e from the grid, kWh, shape (R, H, N, T).
    """

    types: Nodes
    charge: Nodes
    taken: Floats
    energy: Floats

    @cached_property
    def hour(self) -> NDArray[np.int64]:
        """Of the day, shape (T,)."""
        return np.arange(self.taken.shape[3]) % HOURS

    @cached_property
    def type_of_hour(self) -> NDArray[np.int64]:
        """Type of the day that an hour belongs to, shape (R, N, T)."""
        return np.repeat(self.types.astype(np.int64), HOURS, axis=2)

    @cached_property
    def bought(self) -> Floats:
        """-∂r_F/∂p of its type and hour: max(e, 0), kWh, shape (R, H, N, T)."""
        return np.maximum(self.energy, 0.0)

    def sampled_return(self, problem: VaryingDays, prices: Floats) -> Floats:
        """Mean of J over first days, in $ per day, shape (R,), under prices (R, K, 24)."""
        houses = problem.houses
        together = np.square(self.energy[..., :HOURS].sum(axis=1)) * houses.day_weights
        peaks = houses.peak_weight * together.sum(axis=(1, 2)) / together.shape[1]
        sampled: Floats = -peaks - problem.tariff_cost(prices)
        return sampled


@dataclass(frozen=True, eq=False)
class VaryingRollout:
    """Draws fresh days at every call.

    A sequence begins at a midnight that the battery saw, see `VaryingDays`. J is the mean over
    first days; the day that follows shows what an hour leads to.

    Attributes:
        problem: the houses and their days.
        num_days: N sequences of each run.

    Raises:
        ValueError: if `num_days` is less than 1.
    """

    problem: VaryingDays
    num_days: int

    def __post_init__(self) -> None:
        if self.num_days < 1:
            raise ValueError(f"num_days must be at least 1, got {self.num_days}")

    @property
    def num_steps(self) -> int:
        """T, hours of a sequence."""
        return 2 * HOURS

    @property
    def env_steps(self) -> int:
        """Transitions per batch and run: hours of all houses."""
        return self.problem.houses.num_houses * self.num_days * self.num_steps

    def sample(self, policy: Floats, streams: Streams) -> TypedHouseDays:
        """Live under `policy` π(a | m, h, c), shape (R, H, K, 24, C, A).

        Raises:
            NotConverged: see `typed_days`.
        """
        problem, grid = self.problem, self.problem.houses.grid
        uniforms = streams.uniforms(
            "rollout", (policy.shape[1] + 1, self.num_days, self.num_steps + 1, 3)
        )
        shape = (*policy.shape[:2], self.num_days, self.num_steps)
        midnight = typed_days(problem, policy).occupancy[:, :, :, 0].sum(axis=2)
        types = np.empty((shape[0], self.num_days, self.num_steps // HOURS), np.int16)
        charge = np.empty((*shape[:3], shape[3] + 1), np.int16)
        taken, energy = np.empty((2, *shape))
        _live(
            policy, midnight, grid.lower, grid.share, grid.energy, problem.outcomes,
            problem.demands[0].probability, problem.types.probability, uniforms, types, charge,
            taken, energy,
        )  # fmt: skip
        return TypedHouseDays(types, charge, taken, energy)
