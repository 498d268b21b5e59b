"""What MLflow shows of a leader: a day of one house under its prices."""

from pathlib import Path

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.problems.home_battery.exact import mean_day
from bilevelrl.problems.home_battery.picture import DayPicture
from bilevelrl.problems.home_battery.planner import ExactPlanner
from bilevelrl.problems.home_battery.problem import HomeBattery
from bilevelrl.problems.home_battery.profiles import HOURS

#: β of the house that is drawn, in $.
_TEMPERATURE = 0.05


def draw(theta: Floats, folder: Path) -> None:
    """Prices θ, shape (24,), and the mean day of the first house, as the environment renders it.

    Networks, whose θ is of another size, have prices of their own on every day: no day is drawn.
    """
    if theta.shape != (HOURS,):
        return
    from matplotlib.image import imsave

    house = HomeBattery.of_houses(1)
    answer = ExactPlanner(house, np.array([_TEMPERATURE])).best(theta[None])
    days = mean_day(house, answer.policy)
    energy, charge = days.energy[0, 0], days.charge[0, 0]
    picture = DayPicture(theta, house.capacity)
    picture.begin(float(charge[0]))
    for hour in range(HOURS):
        picture.add(float(energy[hour]), float(charge[(hour + 1) % HOURS]))
    imsave(folder / "day.png", picture.image())
