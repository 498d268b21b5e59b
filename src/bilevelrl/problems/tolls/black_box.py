"""Road pricing: a leader that evaluates J and nothing else."""

from typing import Any

from bilevelrl.core.cma_es import CMAES, bounded
from bilevelrl.problems.tolls.cell import Runs
from bilevelrl.problems.tolls.estimator_settings import TollsBlackBoxSetting


def cma_es(g: Runs[TollsBlackBoxSetting]) -> CMAES[Any]:
    """CMA-ES within the tolls that are allowed, in minutes."""
    return bounded(g, (0.0, g.game.roads.highest))
