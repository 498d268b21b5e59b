"""What houses use and what their roofs yield, on a mean day."""

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bilevelrl.core.arrays import Floats

_TABLE = Path(__file__).parent / "data" / "home_battery_profiles.csv"
#: SHA-256 of the table. It stands in the code so that results are known by what they came from.
_DIGEST = "faaa262226222c7b53441145b312580aa1fb0cfd9ebf1db0681010f3701822af"
HOURS = 24


@dataclass(frozen=True, eq=False)
class Profiles:
    """Hourly needs of H houses, and their sunshine.

    Attributes:
        load: what the house uses, kWh in every hour of the day, shape (H, 24).
        solar: kWh in every hour per kW of solar power, shape (H, 24).

    Raises:
        ValueError: if a shape is another, or a number is negative or not finite.
    """

    load: Floats
    solar: Floats

    def __post_init__(self) -> None:
        for name in ("load", "solar"):
            array = getattr(self, name)
            if array.shape != (len(self.load), HOURS) or not len(array):
                raise ValueError(f"{name} must have the shape (houses, 24), got {array.shape}")
            if not (np.isfinite(array) & (array >= 0.0)).all():
                raise ValueError(f"{name} must be finite, not negative, got {array.tolist()}")


def mean_days(num_houses: int) -> Profiles:
    """The mean days of the first `num_houses` of 17 houses; data/README.md says of which.

    Raises:
        ValueError: if there are not so many houses, or if the table is not the one that this
            version was made with.
    """
    columns = _read()
    load, solar = (
        columns[name].reshape(-1, HOURS)[:num_houses] for name in ("load_kwh", "pv_kwh_per_kw")
    )
    known = len(columns["house"]) // HOURS
    if not 1 <= num_houses <= known:
        raise ValueError(f"num_houses = {num_houses}: 1 to {known} are known")
    return Profiles(load, solar)


def _read() -> dict[str, Floats]:
    text = _TABLE.read_text(encoding="utf-8")
    found = hashlib.sha256(text.encode()).hexdigest()
    if found != _DIGEST:
        raise ValueError(f"{_TABLE.name} has SHA-256 {found}: {_DIGEST} is needed")
    names, *rows = csv.reader(text.splitlines())
    columns = np.array(rows, dtype=np.float64).T
    return dict(zip(names, np.ascontiguousarray(columns), strict=True))
