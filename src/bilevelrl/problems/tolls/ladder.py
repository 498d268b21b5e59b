"""Which estimators are compared with the exact hypergradient of road pricing, and where."""

from collections.abc import Sequence

from bilevelrl.core.arrays import Floats
from bilevelrl.core.cell import Group
from bilevelrl.core.ladder import Rung
from bilevelrl.core.problem import Problem
from bilevelrl.core.validation import Content
from bilevelrl.problems.tolls import cell
from bilevelrl.problems.tolls.estimator_settings import TollsSetting
from bilevelrl.problems.tolls.settings import TollsBlock

#: Replicates of a worker's batch.
TOGETHER = 10
#: Batches that an estimator with a memory sees before the one that counts, and how it forgets.
_BATCHES, _FORGETTING = 10, 0.95
LADDER = (
    Rung("bc_hg", "corrected", "none"),
    Rung("bc_hg", "improved", "none", "newest trips", entry={"forgetting_factor": 0.0}),
    Rung("bc_hg", "improved", "none", entry={"forgetting_factor": _FORGETTING}, warm_up=_BATCHES),
    Rung("covariance", "corrected", "none"),
    Rung("covariance", "improved", "none", entry={"forgetting_factor": _FORGETTING},
         warm_up=_BATCHES),
    Rung("perturbed", "corrected", "none", entry={"epsilon": 0.1, "two_sided": False}),
    Rung("perturbed", "corrected", "none", "two-sided", entry={"epsilon": 0.1, "two_sided": True}),
    Rung("zero_order", "corrected", "none", samples=False),
)  # fmt: skip


def shared(problem: Problem[TollsBlock], budget: int) -> Content:
    """What the whole study gives to estimators: which J, and how many trips."""
    study = problem.block.gradients
    own: Content = {"objective": "tstt", "tollable": study.tollable, "radius": study.radius}
    return own | ({"trips_per_update": budget} if budget else {})


def group(
    problem: Problem[TollsBlock], settings: Sequence[TollsSetting]
) -> cell.Runs[TollsSetting]:
    """Replicates that are computed together."""
    game = cell.make_game(settings, problem.block.constants, problem.followers)
    return Group(settings, game)


def points(problem: Problem[TollsBlock], best_theta: Floats) -> dict[str, Floats]:
    """Tolls at which to compare estimators, by name: shares of the best known ones."""
    return {
        "no toll" if share == 0.0 else f"{share:g} of the best tolls": share * best_theta
        for share in problem.block.gradients.best_fractions
    }
