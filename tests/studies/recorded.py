"""Rows of the study of estimator errors, each beside the replicates that it is made of."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.problem import Problem, RunTasks
from bilevelrl.studies.fixed_theta import Replicates, Replication
from bilevelrl.studies.gradient_errors import quality_rows

Floats = NDArray[np.float64]
KEYS = ("point", "rung", "env_steps_per_update")


def pretend(
    function: Any, tasks: Sequence[Any], **options: Any
) -> Iterator[tuple[int, Replicates]]:
    """Stands for a `RunTasks` where it only matters what is asked: all estimates are 0."""
    del function, options
    for position, task in enumerate(tasks):
        assert isinstance(task, Replication)
        zeros = np.zeros((len(task.seeds), len(task.theta)))
        yield position, Replicates(zeros, zeros, zeros, zeros, 1.0)


def recorded(
    problem: Problem[Any], best_theta: Floats, run_tasks: RunTasks
) -> list[tuple[dict[str, Any], Floats, Floats]]:
    """(row, estimates, exact) of all that is asked, in order; both arrays are (n, D)."""
    done: dict[int, Any] = {}

    def run(function: Any, tasks: Sequence[Any], **options: Any) -> Iterator[tuple[int, Any]]:
        for position, found in run_tasks(function, tasks, **options):
            done[position] = found
            yield position, found

    rows = list(quality_rows(problem, best_theta, run))
    each = len(done) // len(rows)  # parts of a task
    parts = [[done[each * place + part] for part in range(each)] for place in range(len(rows))]
    return [
        (
            row,
            np.concatenate([part.estimates for part in own]),
            np.concatenate([part.exact for part in own]),
        )
        for row, own in zip(rows, parts, strict=True)
    ]
