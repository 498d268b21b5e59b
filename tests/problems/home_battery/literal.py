"""The game of one house written out, day after day from an empty battery: slow, and independent."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
KAPPA, CAPACITY, ONE_WAY = 0.05, 6.4, np.sqrt(0.9)
#: The first day of house 1: load in kWh, and solar energy in kWh per kW.
FIRST_LOAD = np.array(
    [2.2758, 0.8512, 0.8346, 0.8382, 1.4784, 1.2562, 1.8695, 0.8088, 0.6160, 0.6272, 0.6181, 0.6451,
     0.7644, 1.4323, 1.9018, 1.7300, 1.3914, 1.0301, 1.3838, 1.0319, 3.6040, 5.0085, 3.8962, 3.5571]
)  # fmt: skip
FIRST_SOLAR = np.array(
    [0, 0, 0, 0, 0, 0, 0.0145, 0.1115, 0.2765, 0.4530, 0.6070, 0.7128, 0.7598, 0.7513, 0.6897,
     0.5813, 0.4224, 0.2426, 0.0822, 0.0062, 0, 0, 0, 0]
)  # fmt: skip
FLAT = np.full(24, 0.30)
#: The data set's own tariff.
TIME_OF_USE = np.where((np.arange(24) >= 16) & (np.arange(24) <= 20), 0.54, 0.22)


class House:
    """Plans `days` days backwards with γ, and lives them forwards, its battery empty at first."""

    def __init__(
        self, net: Floats, temperature: float, *, days: int, charges: int = 33, actions: int = 41,
        discount: float = 0.99, refuse: bool = True,
    ) -> None:  # fmt: skip
        self.net, self.temperature, self.days, self.discount = net, temperature, days, discount
        charge = np.linspace(0.0, CAPACITY, charges)[:, None]
        action = np.linspace(-5.0, 5.0, actions)[None]
        self.energy = np.clip(action, -charge * ONE_WAY, (CAPACITY - charge) / ONE_WAY)
        after = charge + np.where(self.energy > 0.0, self.energy * ONE_WAY, self.energy / ONE_WAY)
        place = np.clip(after / CAPACITY * (charges - 1), 0.0, charges - 1)
        self.move = np.maximum(0.0, 1.0 - np.abs(place[:, :, None] - np.arange(charges)))
        refused = refuse & (np.abs(self.energy - action) > 1e-9)
        self.penalty = np.where(refused, -np.inf, 0.0)

    def policies(self, theta: Floats, pay: float = 0.0) -> list[Floats]:
        """π of every hour of every day; the house is paid `pay` times the leader's reward."""
        value = np.zeros(len(self.energy))
        backwards = []
        for t in range(24 * self.days - 1, -1, -1):
            e = self.net[t % 24] + self.energy
            reward = -theta[t % 24] * np.maximum(e, 0.0) - pay * KAPPA * e**2 + self.penalty
            score = (reward + self.discount * self.move @ value) / self.temperature
            top = score.max(axis=1, keepdims=True)
            total = np.exp(score - top).sum(axis=1, keepdims=True)
            value = (self.temperature * (top + np.log(total)))[:, 0]
            backwards.append(np.exp(score - top) / total)
        return backwards[::-1]

    def lived(self, policies: list[Floats]) -> list[Floats]:
        """Probabilities of charge and action in every hour of every day."""
        at = np.zeros(len(self.energy))
        at[0] = 1.0
        found = []
        for policy in policies:
            played = at[:, None] * policy
            found.append(played)
            at = np.einsum("ca,cak->k", played, self.move)
        return found

    def outcome(self, theta: Floats, pay: float = 0.0) -> tuple[float, Floats]:
        """Discounted return of the leader, and minus the discounted energy bought per hour."""
        total, bought = 0.0, np.zeros(24)
        for t, played in enumerate(self.lived(self.policies(theta, pay))):
            e = self.net[t % 24] + self.energy
            total -= self.discount**t * KAPPA * (played * e**2).sum()
            bought[t % 24] -= self.discount**t * (played * np.maximum(e, 0.0)).sum()
        return total, bought

    def last_day(self, theta: Floats, lived_days: int) -> tuple[float, Floats]:
        """Undiscounted J and mean energies of the last of `lived_days` days, planned as day one."""
        first = self.policies(theta)[:24]
        days = self.lived(first * lived_days)[-24:]
        energies = [self.net[h] + self.energy for h in range(24)]
        j = -KAPPA * sum((p * e**2).sum() for p, e in zip(days, energies, strict=True))
        return j, np.array([(p * e).sum() for p, e in zip(days, energies, strict=True)])
