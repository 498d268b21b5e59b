"""Home batteries: a leader that evaluates J and nothing else."""

from typing import Any

from bilevelrl.core.cma_es import CMAES, bounded
from bilevelrl.problems.home_battery.cell import Runs
from bilevelrl.problems.home_battery.estimator_settings import HomeBatteryBlackBoxSetting


def cma_es(g: Runs[HomeBatteryBlackBoxSetting]) -> CMAES[Any]:
    """CMA-ES within the prices that are allowed, in $/kWh."""
    return bounded(g, (0.0, 1.0))
