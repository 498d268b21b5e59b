"""Gymnasium view of HomeBattery: one house under a tariff."""

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bilevelrl.core.arguments import numbers_of, real, reals, whole
from bilevelrl.core.arrays import Floats
from bilevelrl.problems.home_battery.demand import SOLAR_POWER, noise_values
from bilevelrl.problems.home_battery.picture import DayPicture
from bilevelrl.problems.home_battery.problem import FLAT, HomeBattery
from bilevelrl.problems.home_battery.profiles import HOURS, mean_days


class HomeBatteryEnv(gymnasium.Env[Floats, Floats]):
    """One house of HomeBattery with the utility's tariff frozen.

    ## Description
    A house has a roof that yields solar energy, a load, and a battery of 6.4 kWh. It buys what it
    lacks at the price of the hour, and is paid nothing for what it feeds in. The charge is a real
    number here; the game on the grid of `HomeBattery` rounds it to a node.

    ## Action Space
    `Box(-5, 5, (1,), float64)`: kWh to charge in the next hour (positive) or to discharge, on the
    grid's side. What the battery cannot take or give is cut.

    ## Observation Space
    `Box([-1, -1, 0], [1, 1, 1], (3,), float64)`: cosine and sine of the hour's angle (midnight 0,
    6 o'clock a right one), and the share of the battery that is charged.

    ## Starting State
    Midnight, with an empty battery.

    ## Transitions
    Charging by a stores √0.9 a, discharging by a takes a / √0.9. Load and solar energy are those of
    the mean day, times noise that is drawn anew in every hour and not seen before acting.

    ## Rewards
    -price · max(energy from the grid, 0) in $. `info` has `leader_reward` (of this house alone),
    `energy` in kWh, and `charge` in kWh after the step; after a reset only the last.

    ## Episode End
    Never by termination. Truncation: after `num_days` days.

    ## Arguments
    `theta`: 24 prices in $/kWh; 0.30 in every hour if omitted.
    `house`: 1 to 17.
    `num_days`: days of an episode, 7 if omitted.
    `noise`: standard deviation of the factors of load and solar energy.
    `solar_power`: kW of the roof.
    `render_mode`: "rgb_array" draws the prices, the energy and the charge of the day so far,
    "ansi" writes them.
    All other keywords are numbers of `HomeBattery`. `gymnasium.make` keeps `max_episode_steps` for
    itself.

    ## Version History
    v0: houses and batteries of the CityLearn 2022 challenge.
    """

    # Not a ClassVar, because Gymnasium does not declare it as one.
    metadata: dict[str, Any] = {"render_modes": ["ansi", "rgb_array"], "render_fps": 4}  # noqa: RUF012

    def __init__(
        self,
        theta: ArrayLike | None = None,
        house: int = 1,
        num_days: int = 7,
        noise: float = 0.0,
        solar_power: float = SOLAR_POWER,
        render_mode: str | None = None,
        **options: object,
    ) -> None:
        """See the class for the arguments.

        Raises:
            ValueError: if an argument is impossible.
            TypeError: if there is no such field.
        """
        house, num_days = whole("house", house), whole("num_days", num_days)
        noise, solar_power = real("noise", noise), real("solar_power", solar_power)
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(
                f"render_mode must be None or one of {self.metadata['render_modes']}, "
                f"got {render_mode!r}"
            )
        self.problem = HomeBattery.of_houses(
            house, noise=noise, solar_power=solar_power, **numbers_of(HomeBattery, options)
        )
        self.theta = _checked(theta)
        self.num_days, self.render_mode = num_days, render_mode
        profiles, self._noise = mean_days(house), noise_values(noise)
        self._load, self._solar = profiles.load[-1], solar_power * profiles.solar[-1]
        self._picture = DayPicture(self.theta, self.problem.capacity)
        low, high = np.array([-1.0, -1.0, 0.0]), np.ones(3)
        self.observation_space = gymnasium.spaces.Box(low, high, (3,), np.float64)
        power = self.problem.power
        self.action_space = gymnasium.spaces.Box(-power, power, (1,), np.float64)
        self._charge, self._time, self._running = 0.0, 0, False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Floats, dict[str, float]]:
        """Midnight, with an empty battery; there are no options."""
        super().reset(seed=seed, options=options)
        self._charge, self._time, self._running = 0.0, 0, True
        self._picture.begin(self._charge)
        return self._observation(), {"charge": self._charge}

    def _observation(self) -> Floats:
        angle = 2.0 * np.pi * (self._time % HOURS) / HOURS
        return np.array([np.cos(angle), np.sin(angle), self._charge / self.problem.capacity])

    def step(self, action: Floats) -> tuple[Floats, float, bool, bool, dict[str, float]]:
        """Charge or discharge for an hour.

        Raises:
            ResetNeeded: if the episode has ended or never began.
            ValueError: if the action is not one finite number.
        """
        if not self._running:
            raise gymnasium.error.ResetNeeded("call reset() before the first step of an episode")
        if np.shape(action) != (1,) or not np.isfinite(action).all():
            raise ValueError(f"action must be one finite number, got {action!r}")
        problem, h = self.problem, self._time % HOURS
        one_way = np.sqrt(problem.efficiency)
        asked = float(np.clip(action[0], -problem.power, problem.power))
        room = (problem.capacity - self._charge) / one_way
        taken = min(max(asked, -self._charge * one_way), room)
        stored = taken * one_way if taken > 0.0 else taken / one_way
        values, probability = self._noise
        used, made = self.np_random.choice(values, 2, p=probability)
        energy = float(self._load[h] * used - self._solar[h] * made + taken)
        reward = -self.theta[h] * max(energy, 0.0)
        pull = problem.tariff_weight * (self.theta[h] - problem.target) ** 2
        leader = -problem.peak_weight * energy**2 - pull
        self._charge = float(np.clip(self._charge + stored, 0.0, problem.capacity))
        if h == 0:
            self._picture.begin(self._picture.last_charge)
        self._picture.add(energy, self._charge)
        self._time += 1
        truncated = self._time >= HOURS * self.num_days
        self._running = not truncated
        info = {"leader_reward": float(leader), "energy": energy, "charge": self._charge}
        return self._observation(), float(reward), False, truncated, info

    def render(self) -> str | NDArray[np.uint8] | None:
        """The day so far, as text or as an image."""
        if self.render_mode == "ansi":
            return self._picture.text()
        if self.render_mode == "rgb_array":
            return self._picture.image()
        gymnasium.logger.warn('render() needs render_mode="ansi" or "rgb_array" at construction')
        return None


def _checked(theta: ArrayLike | None) -> Floats:
    prices = np.full(HOURS, FLAT) if theta is None else reals("theta", theta, "24 prices")
    if prices.shape != (HOURS,) or not np.isfinite(prices).all():
        raise ValueError(f"theta must be 24 finite prices, got {theta!r}")
    return prices
