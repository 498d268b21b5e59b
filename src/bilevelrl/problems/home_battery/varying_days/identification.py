"""What a leader learns of its houses on days whose forecast it knows, by regression.

Load less solar energy is f ℓ_h - g s_h on a day with the factors f and g: ℓ and s are the least
squares of what is seen, and the noise of an hour is what they leave.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Memory
from bilevelrl.problems.home_battery.identification import HouseholdIdentification
from bilevelrl.problems.home_battery.profiles import HOURS, Profiles
from bilevelrl.problems.home_battery.rollout import Nodes
from bilevelrl.problems.home_battery.varying_days.problem import VaryingDays, on_types
from bilevelrl.problems.home_battery.varying_days.rollout import TypedHouseDays

#: Largest standard deviation of an hour's factors that is believed; beyond, loads are negative.
_MOST_NOISE = 0.57
#: Added to the normal equations, as a share of their trace.
_RIDGE = 1e-9


@dataclass(frozen=True, eq=False)
class ForecastIdentification:
    """Sums from which the houses are identified, kept in `memory`.

    Attributes:
        known: of which the demand and the efficiency are not used.
    """

    known: VaryingDays

    @property
    def _battery(self) -> HouseholdIdentification:
        return HouseholdIdentification(self.known.houses)

    def start(self, num_runs: int) -> Memory:
        """Nothing seen."""
        shape = (num_runs, self.known.houses.num_houses, HOURS)
        return {
            "factor_squares": np.zeros((num_runs, 2, 2)),
            "factor_net": np.zeros((*shape, 2)),
            "net_squares": np.zeros(shape),
            "num_days": np.zeros(num_runs),
            "battery_sums": np.zeros((num_runs, 2, 2)),
        }

    def see(self, seen: TypedHouseDays, memory: Memory) -> None:
        """Add a batch; changes `memory` in place."""
        runs, houses = seen.taken.shape[:2]
        net = (seen.energy - seen.taken).reshape(runs, houses, -1, HOURS)
        kinds, own = seen.types.reshape(runs, -1), self.known.types
        factors = np.stack([own.load[kinds], -own.solar[kinds]], axis=2)
        memory["factor_squares"] += (factors[..., :, None] * factors[..., None, :]).sum(axis=1)
        for place in range(2):
            told = factors[:, None, :, place, None] * net
            memory["factor_net"][..., place] += told.sum(axis=2)
        memory["net_squares"] += np.square(net).sum(axis=2)
        memory["num_days"] += net.shape[2]
        self._battery.see_battery(seen.charge, seen.taken, memory)

    def profiles(self, memory: Memory) -> Floats:
        """ℓ and s in kWh, at least 0, shape (R, H, 24, 2)."""
        squares = memory["factor_squares"]
        ridge = _RIDGE * np.trace(squares, axis1=1, axis2=2)[:, None, None] * np.eye(2)
        right = memory["factor_net"].reshape(len(squares), -1, 2)
        found = np.linalg.solve(squares + ridge, right.transpose(0, 2, 1)).transpose(0, 2, 1)
        both: Floats = np.maximum(found.reshape(memory["factor_net"].shape), 0.0)
        return both

    def noise(self, memory: Memory) -> Floats:
        """Standard deviation of the factors of an hour, the same in all of them, shape (R,).

        What the squares of all hours leave, over what they would leave with a deviation of 1. Two
        days tell nothing of it: it is 0 then.
        """
        found, squares = self.profiles(memory), memory["factor_squares"]
        explained = (found * (found @ squares[:, None])).sum(axis=3)
        crossed = (found * memory["factor_net"]).sum(axis=3)
        left = (memory["net_squares"] - 2.0 * crossed + explained).sum(axis=(1, 2))
        diagonal = np.stack([squares[:, 0, 0], squares[:, 1, 1]], axis=1)[:, None, None]
        whole = (np.square(found) * diagonal).sum(axis=(1, 2, 3))
        days = memory["num_days"]
        freedom = np.maximum(days - 2.0, 0.0) / days
        usable = (whole > 0.0) & (freedom > 0.0)
        scale = np.where(usable, whole * freedom, 1.0)
        variance = np.where(usable, np.maximum(left, 0.0) / scale, 0.0)
        noise: Floats = np.minimum(np.sqrt(variance), _MOST_NOISE)
        return noise

    def efficiency(self, memory: Memory) -> Floats:
        """What comes back of stored energy, shape (R,)."""
        return self._battery.efficiency(memory)

    def net_of(self, memory: Memory, types: Nodes) -> tuple[Floats, Floats]:
        """Mean of load less solar energy in kWh, and its variance, on days of types (R, N).

        Both have the shape (R, H, N, 24).
        """
        own, found = self.known.types, self.profiles(memory)[:, :, None]
        load, solar = (each[types][:, None, :, None] for each in (own.load, own.solar))
        used, made = load * found[..., 0], solar * found[..., 1]
        noise = self.noise(memory)[:, None, None, None]
        return used - made, np.square(noise) * (np.square(used) + np.square(made))

    def houses(self, memory: Memory) -> Iterator[VaryingDays]:
        """The problem that each run believes in."""
        efficiency = self.efficiency(memory)
        noise, profiles = self.noise(memory), self.profiles(memory)
        for run, (load, solar) in enumerate(np.moveaxis(profiles, 3, 1)):
            battery = replace(self.known.houses, efficiency=float(efficiency[run]))
            believed = Profiles(np.ascontiguousarray(load), np.ascontiguousarray(solar))
            yield on_types(battery, believed, self.known.types, float(noise[run]), 1.0)
