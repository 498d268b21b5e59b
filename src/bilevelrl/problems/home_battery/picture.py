"""A day of one house, drawn hour by hour: prices, energy from the grid, charge of the battery."""

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.arrays import Floats
from bilevelrl.problems.home_battery.profiles import HOURS

#: Width of an hour, height of a panel, and the space around panels, in pixels.
_HOUR, _HEIGHT, _MARGIN = 14, 96, 8
#: Largest energy that is drawn whole, kWh either way.
_ENERGY = 8.0
_PAPER, _AXIS = (255, 255, 255), (120, 120, 120)
#: Colours of prices, of energy that is bought, of energy that is fed in, and of charge.
_PRICE, _BOUGHT, _FED_IN, _CHARGE = (117, 112, 179), (217, 95, 2), (27, 158, 119), (31, 120, 180)
_BLOCKS = " ▁▂▃▄▅▆▇█"


class DayPicture:
    """What happened since midnight.

    Attributes:
        theta: prices in $/kWh, shape (24,).
        capacity: of the battery, kWh.
        energy: from the grid in the hours so far, kWh.
        charge: at midnight, and after each hour so far, kWh.
    """

    def __init__(self, theta: Floats, capacity: float) -> None:
        self.theta, self.capacity = theta, capacity
        self.energy: list[float] = []
        self.charge: list[float] = [0.0]

    @property
    def last_charge(self) -> float:
        """Charge now, kWh."""
        return self.charge[-1]

    def begin(self, charge: float) -> None:
        """A new day."""
        self.energy, self.charge = [], [charge]

    def add(self, energy: float, charge: float) -> None:
        """Another hour: energy in kWh, and charge after it."""
        self.energy.append(energy)
        self.charge.append(charge)

    def text(self) -> str:
        """Three lines of 24 bars, and the numbers of the last hour; energy fed in is no bar."""
        dearest = max(float(self.theta.max()), np.finfo(np.float64).tiny)
        rows = {
            "price ": [price / dearest for price in self.theta],
            "energy": [energy / _ENERGY for energy in self.energy],
            "charge": [charge / self.capacity for charge in self.charge[1:]],
        }
        lines = [f"{name} |{_bars(shares)}|" for name, shares in rows.items()]
        if self.energy:
            hour = len(self.energy) - 1
            lines.append(
                f"{hour:2d} h: {self.theta[hour]:.2f} $/kWh, {self.energy[-1]:+.2f} kWh from the "
                f"grid, {self.last_charge:.2f} kWh charged"
            )
        return "\n".join(lines) + "\n"

    def image(self) -> NDArray[np.uint8]:
        """Panels of prices, energy and charge, one below the other, shape (320, 352, 3)."""
        panels = [_panel() for _ in range(3)]
        dearest = max(float(self.theta.max()), np.finfo(np.float64).tiny)
        for hour, price in enumerate(self.theta):
            _bar(panels[0], hour, 0.0, max(price, 0.0) / dearest, _PRICE)
        panels[1][_HEIGHT // 2] = _AXIS
        for hour, energy in enumerate(self.energy):
            level = 0.5 + 0.5 * min(max(energy / _ENERGY, -1.0), 1.0)
            _bar(panels[1], hour, 0.5, level, _BOUGHT if energy > 0.0 else _FED_IN)
        for hour, charge in enumerate(self.charge[1:]):
            _bar(panels[2], hour, 0.0, charge / self.capacity, _CHARGE)
        rows = 3 * _HEIGHT + 4 * _MARGIN
        image = np.full((rows, HOURS * _HOUR + 2 * _MARGIN, 3), _PAPER, np.uint8)
        for number, panel in enumerate(panels):
            top = _MARGIN + number * (_HEIGHT + _MARGIN)
            image[top : top + _HEIGHT, _MARGIN:-_MARGIN] = panel
        return image


def _bars(shares: list[float]) -> str:
    most = len(_BLOCKS) - 1
    levels = [int(np.clip(np.ceil(share * most), 0, most)) for share in shares]
    return "".join(_BLOCKS[level] for level in levels).ljust(HOURS)


def _panel() -> NDArray[np.uint8]:
    panel = np.full((_HEIGHT, HOURS * _HOUR, 3), _PAPER, np.uint8)
    panel[-1] = _AXIS
    return panel


def _bar(
    panel: NDArray[np.uint8], hour: int, start: float, end: float, colour: tuple[int, int, int]
) -> None:
    # Between two heights, as shares of the panel from below.
    low, high = sorted((start, end))
    top, bottom = (round((1.0 - level) * (_HEIGHT - 1)) for level in (high, low))
    panel[top:bottom, hour * _HOUR + 1 : (hour + 1) * _HOUR - 1] = colour
