"""How far every estimator is from the exact hypergradient, at fixed θ.

The rungs of a problem's ladder change one thing about an estimator each, and what that does to bias
and variance is measured rather than argued.
"""

from collections.abc import Iterator
from typing import Any

from bilevelrl.core.arrays import Floats
from bilevelrl.core.entries import overlay
from bilevelrl.core.ladder import Rung
from bilevelrl.core.problem import AnyProblem, RunTasks
from bilevelrl.evaluation.gradient_quality import gradient_row
from bilevelrl.problems import registry
from bilevelrl.studies.fixed_theta import Replication, replicate_all, shared_entry


def replication(
    problem: AnyProblem, rung: Rung, point: str, theta: Floats, budget: int, seeds: range
) -> Replication:
    """What a rung is asked at the θ called `point`, from `budget` transitions; 0 where none."""
    study, warm_up = problem.block.gradients, rung.warm_up
    estimator, variant = rung.settings_of or (rung.estimator, rung.variant)
    own = {"variant": variant}
    entry = overlay(shared_entry(problem, estimator, variant, budget, own), rung.entry)
    if warm_up is None:
        warm_up = -(-study.warm_up_steps // budget)
    return Replication(problem, point, theta, estimator, entry, rung.change, warm_up + 1, seeds)


def _everywhere(
    problem: AnyProblem, rung: Rung, budget: int, points: dict[str, Floats]
) -> dict[str, Floats]:
    del problem, rung, budget
    return points


def quality_rows(
    problem: AnyProblem, best_theta: Floats, run_tasks: RunTasks
) -> Iterator[dict[str, Any]]:
    """A row of `runs.records.GRADIENT_COLUMNS` per rung, budget and θ, the largest budgets first.

    For a problem with a module `ladder`, at the best known θ, shape (D,), among others. A ladder
    with a function `asked_at` says itself at which θ each of its rungs is asked.
    """
    ladder = registry.part(problem.block.kind, "ladder")
    study = problem.block.gradients
    seeds = range(study.first_seed, study.first_seed + study.replicates)
    asked = [
        (rung, budget)
        for budget in sorted(study.budgets, reverse=True)
        for rung in ladder.LADDER
        if rung.samples
    ]
    asked += [(rung, 0) for rung in ladder.LADDER if not rung.samples]
    points = ladder.points(problem, best_theta)
    asked_at = getattr(ladder, "asked_at", _everywhere)
    tasks = [
        (rung, budget, replication(problem, rung, point, theta, budget, seeds))
        for rung, budget in asked
        for point, theta in asked_at(problem, rung, budget, points).items()
    ]
    found = replicate_all(
        [task for _, _, task in tasks], run_tasks, ladder.TOGETHER, f"gradients of {problem.name}"
    )
    for (rung, budget, task), own in zip(tasks, found, strict=True):
        yield gradient_row(
            own.estimates,
            own.exact[0],
            problem=problem.name,
            point=task.point,
            rung=rung.id,
            estimator=rung.estimator,
            variant=rung.variant,
            critic=rung.critic,
            note=rung.note,
            env_steps_per_update=budget,
        )
