"""PettingZoo view of HomeBattery: several houses under one tariff, an agent each."""

from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from pettingzoo import ParallelEnv


def parallel_env(
    num_houses: int = 4, theta: ArrayLike | None = None, **options: Any
) -> "ParallelEnv[str, Any, Any]":
    """HomeBattery as a parallel environment with agents "house_1", "house_2", ...

    Every agent observes, does and is paid what `gym.HomeBatteryEnv` says of one house, and learns
    nothing of the others. `infos[agent]` has its "energy" from the grid and its "charge" in kWh,
    and "leader_reward", -κ (Σ_houses e)² - λ (θ_h - target)² in $, the same for all.

    Args:
        num_houses: 1 to 17, the first so many of the data.
        theta: 24 prices in $/kWh; 0.30 in every hour if omitted.
        options: `num_days`, `noise`, `solar_power` and numbers of `HomeBattery`, as those of
            `gym.HomeBatteryEnv`.

    Raises:
        ImportError: if PettingZoo is not installed.
        ValueError: if an argument is impossible.
        TypeError: if there is no such argument.
    """
    try:
        import pettingzoo  # noqa: F401
    except ModuleNotFoundError as error:
        raise ImportError(
            "parallel_env needs PettingZoo: pip install 'bilevelrl[pettingzoo]'", name="pettingzoo"
        ) from error
    from bilevelrl.core.arguments import whole
    from bilevelrl.problems.home_battery.agents import HomeBatteryParallelEnv
    from bilevelrl.problems.home_battery.gym import HomeBatteryEnv
    from bilevelrl.problems.home_battery.profiles import mean_days

    num_houses = whole("num_houses", num_houses, 0)
    mean_days(num_houses)  # refuses numbers of houses that are not known
    houses = [HomeBatteryEnv(theta, house, **options) for house in range(1, num_houses + 1)]
    return HomeBatteryParallelEnv(houses)
