"""Estimators that read the model, for every problem whose game can be solved or differentiated."""

from typing import Any

from bilevelrl.core.cell import Group, per_run
from bilevelrl.core.exact import Exact
from bilevelrl.core.zero_order import ZeroOrder


def exact(group: Group[Any, Any]) -> Exact[Any]:
    """The exact hypergradient."""
    return Exact(group.game)


def zero_order(group: Group[Any, Any]) -> ZeroOrder[Any]:
    """One random finite difference of J."""
    return ZeroOrder(group.game, per_run(group.settings, "radius"))
