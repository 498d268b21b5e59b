"""How fast estimates approach the exact hypergradient, by what the leader sees of its follower.

BC-HG without quirks, at one θ per problem, from ever more transitions. Everything starts with
nothing at every size: belief, critic and control variate. The transitions come in equal batches;
the last is the estimate's, and those before teach critic and control variate. Beliefs forget and
smooth nothing, because either would leave an error that no number of samples removes.

So does a SARSA critic with a constant step size, the one of the FourRooms cells ("learned"). Beside
it stands there one that averages returns ("returns").
"""

import numpy as np
import pandas as pd

from bilevelrl.core.arrays import Floats
from bilevelrl.core.blocks import InformedStudyParams
from bilevelrl.core.ladder import Level
from bilevelrl.core.problem import AnyProblem, RunTasks
from bilevelrl.problems import registry
from bilevelrl.runs.records import INFORMATION_COLUMNS
from bilevelrl.studies.fixed_theta import Replicates, Replication, replicate_all, shared_entry

ESTIMATOR = "bc_hg"
_TOGETHER = 10  # replicates of a worker's batch


def errors(problem: AnyProblem, best_theta: Floats, run_tasks: RunTasks) -> pd.DataFrame:
    """Columns `INFORMATION_COLUMNS`: a row per level, size and replicate.

    No two sizes share a seed; levels do, so that they can be compared at equal samples. No rows
    where the problem's study does not ask for them.
    """
    study = problem.block.gradients
    if not isinstance(study, InformedStudyParams):
        return pd.DataFrame(columns=list(INFORMATION_COLUMNS))
    ladder, own = registry.part(problem.block.kind, "ladder"), study.information
    point, theta = ladder.information_point(problem, best_theta)
    asked = [
        (level, size, _replication(problem, level, (point, theta), size // own.batches, seeds))
        for size, seeds in reversed(list(own.seeds(study.first_seed)))
        for level in ladder.LEVELS
    ]
    found = replicate_all(
        [task for _, _, task in asked], run_tasks, _TOGETHER, f"information in {problem.name}"
    )
    rows = [
        (problem.name, point, level.information, level.name, level.critic, size, seed, error)
        for (level, size, task), replicates in zip(asked, found, strict=True)
        for seed, error in zip(task.seeds, _relative_errors(replicates), strict=True)
    ]
    return pd.DataFrame(rows, columns=list(INFORMATION_COLUMNS))


def _replication(
    problem: AnyProblem, level: Level, place: tuple[str, Floats], budget: int, seeds: range
) -> Replication:
    entry = registry.part(problem.block.kind, "ladder").INFORMATION
    belief = {"belief": level.belief}
    entry = shared_entry(problem, ESTIMATOR, entry["variant"], budget, belief) | entry
    batches = problem.block.gradients.information.batches
    return Replication(problem, *place, ESTIMATOR, entry, level.change, batches, seeds)


def _relative_errors(replicates: Replicates) -> Floats:
    error: Floats = np.linalg.norm(replicates.estimates - replicates.exact, axis=1)
    error /= np.linalg.norm(replicates.exact, axis=1)
    return error
