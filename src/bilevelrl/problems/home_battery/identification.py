"""What a leader learns of its houses from watching them, by regression.

Mean and variance of load less solar energy are those of what is seen in every hour; what comes back
of stored energy is the ratio of two slopes: of the charge on what was charged, and on what was
discharged.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Memory
from bilevelrl.problems.home_battery.demand import Demand
from bilevelrl.problems.home_battery.problem import HomeBattery
from bilevelrl.problems.home_battery.profiles import HOURS
from bilevelrl.problems.home_battery.rollout import HouseDays, Nodes

#: What is believed to come back of stored energy, at least.
_LEAST_EFFICIENCY = 0.1


@dataclass(frozen=True, eq=False)
class HouseholdIdentification:
    """Sums from which the houses are identified, kept in `memory`.

    Attributes:
        known: of which the demand and the efficiency are not used.
    """

    known: HomeBattery

    def start(self, num_runs: int) -> Memory:
        """Nothing seen."""
        houses = self.known.num_houses
        return {
            "net_sums": np.zeros((num_runs, houses, HOURS, 2)),
            "net_days": np.zeros(num_runs),
            "battery_sums": np.zeros((num_runs, 2, 2)),
        }

    def see(self, seen: HouseDays, memory: Memory) -> None:
        """Add a batch; changes `memory` in place."""
        runs, houses, number, steps = seen.taken.shape
        net = (seen.energy - seen.taken).reshape(runs, houses, -1, HOURS)
        memory["net_days"] += number * (steps // HOURS)
        memory["net_sums"][..., 0] += net.sum(axis=2)
        memory["net_sums"][..., 1] += np.square(net).sum(axis=2)
        self.see_battery(seen.charge, seen.taken, memory)

    def see_battery(self, charge: Nodes, taken: Floats, memory: Memory) -> None:
        """Add what batteries did to `battery_sums` alone; changes `memory` in place.

        Nodes of the charge have the shape (R, H, N, T + 1), and what was taken in kWh (R, H, N, T).
        """
        runs = len(taken)
        moved = (self.known.grid.charge[1] * np.diff(charge.astype(np.float64))).reshape(runs, -1)
        every = taken.reshape(runs, -1)
        for place, part in enumerate((np.maximum(every, 0.0), np.minimum(every, 0.0))):
            memory["battery_sums"][:, place, 0] += (part * moved).sum(axis=1)
            memory["battery_sums"][:, place, 1] += (part * part).sum(axis=1)

    def efficiency(self, memory: Memory) -> Floats:
        """What comes back of stored energy, shape (R,); 1 where the battery was not seen at work.

        Charging by a stores η a, discharging by a takes a / η: the ratio of the slopes is η².
        """
        products, squares = np.moveaxis(memory["battery_sums"], 2, 0)
        works = ((products > 0.0) & (squares > 0.0)).all(axis=1)[:, None]
        slope = np.where(works, products, 1.0) / np.where(works, squares, 1.0)
        ratio = slope[:, 0] / slope[:, 1]
        found: Floats = np.clip(ratio, _LEAST_EFFICIENCY, 1.0)
        return found

    def net(self, memory: Memory) -> tuple[Floats, Floats]:
        """Mean of load less solar energy in kWh, and its variance, both (R, H, 24)."""
        days = memory["net_days"][:, None, None]
        mean = memory["net_sums"][..., 0] / days
        return mean, np.maximum(memory["net_sums"][..., 1] / days - np.square(mean), 0.0)

    def demand(self, memory: Memory) -> Iterator[Demand]:
        """Three outcomes in every hour, with the mean and variance that were seen, of each run."""
        mean, variance = self.net(memory)
        step = np.sqrt(3.0 * variance)
        net = np.stack([mean - step, mean, mean + step], axis=-1)
        for run in range(len(net)):
            yield Demand(net[run], np.array([1.0, 4.0, 1.0]) / 6.0)

    def houses(self, memory: Memory) -> Iterator[HomeBattery]:
        """The problem that each run believes in."""
        efficiency = self.efficiency(memory)
        for run, demand in enumerate(self.demand(memory)):
            yield replace(self.known, demand=demand, efficiency=float(efficiency[run]))
