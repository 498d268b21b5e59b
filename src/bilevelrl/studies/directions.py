"""What the published step rule of thermal control makes of an estimate."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from bilevelrl.core.arrays import Floats
from bilevelrl.core.ladder import Change
from bilevelrl.core.problem import AnyProblem, RunTasks
from bilevelrl.problems import registry
from bilevelrl.runs.records import DIRECTION_COLUMNS
from bilevelrl.studies.fixed_theta import Replicates, replicate_all
from bilevelrl.studies.gradient_errors import replication


def directions(problem: AnyProblem, run_tasks: RunTasks) -> pd.DataFrame:
    """Columns `DIRECTION_COLUMNS`: antithetic pairs of estimates at θ = 0.

    No rows for problems whose ladder says nothing of directions.
    """
    ladder = registry.part(problem.block.kind, "ladder")
    rungs, study = getattr(ladder, "DIRECTIONS", ()), problem.block.gradients
    if not rungs:
        return pd.DataFrame(columns=list(DIRECTION_COLUMNS))
    number, budget = study.drift_replicates, study.drift_budget
    seeds = range(study.first_seed, study.first_seed + number)
    theta = np.zeros(ladder.num_parameters(problem))
    tasks = []
    for rung in rungs:
        task = replication(problem, rung, "start", theta, budget, seeds)
        tasks += [task, replace(task, change=partial(_both, task.change, ladder.mirrored))]
    described = f"directions of {problem.name}"
    found = list(replicate_all(tasks, run_tasks, ladder.TOGETHER, described))
    rows = []
    for place, rung in enumerate(rungs):
        pair = found[2 * place], found[2 * place + 1]
        for name, own in ladder.groups(problem).items():
            known = {"estimator": rung.estimator, "variant": rung.variant, "critic": rung.critic}
            known |= {"group": name, "env_steps_per_update": budget, "pairs": number}
            rows.append(known | _direction(pair, own))
    return pd.DataFrame(rows, columns=list(DIRECTION_COLUMNS))


def _both(first: Change, second: Change, estimator: object, game: object) -> object:
    return second(first(estimator, game), game)


def _direction(pair: tuple[Replicates, Replicates], own: slice) -> dict[str, float]:
    size = own.stop - own.start
    exact = pair[0].exact_direct[0], pair[0].exact_indirect[0]
    parts = [(one.direct[:, own], one.indirect[:, own]) for one in pair]
    totals = [direct + indirect for direct, indirect in parts]
    units = [total / np.linalg.norm(total, axis=1, keepdims=True) for total in totals]
    drift = 0.5 * (units[0] + units[1]).sum(axis=1) / np.sqrt(size)
    indirect = 0.5 * (parts[0][1] + parts[1][1]).mean(axis=1)
    root = np.sqrt(len(drift))
    norm = np.linalg.norm(totals[0], axis=1)
    truth = {"total": np.add(*exact)[own], "direct": exact[0][own], "indirect": exact[1][own]}
    cosines: dict[str, float] = {}
    for name, direction in truth.items():
        each = 0.5 * (units[0] + units[1]) @ direction / np.linalg.norm(direction)
        cosines[f"cosine_{name}"] = float(each.mean())
        cosines[f"cosine_{name}_error"] = float(each.std(ddof=1) / root)
    return {
        "drift": float(drift.mean()),
        "drift_error": float(drift.std(ddof=1) / root),
        "direct_sd": _spread(parts[0][0]),
        "indirect_sd": _spread(parts[0][1]),
        "indirect_mean": float(indirect.mean()),
        "indirect_mean_error": float(indirect.std(ddof=1) / root),
        "estimate_norm": float(np.median(norm)),
        "estimate_norm_mean": float(norm.mean()),
        "estimate_norm_max": float(norm.max()),
    } | cosines


def _spread(estimates: Floats) -> float:
    """Root mean square over components of the standard deviation."""
    return float(np.sqrt(estimates.var(axis=0, ddof=1).mean()))
