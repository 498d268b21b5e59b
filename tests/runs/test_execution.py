"""Tasks on the processes of this machine; test_cluster.py has those of others."""

import math
import os

import joblib
import pytest

from bilevelrl.runs.execution import run_tasks
from bilevelrl.runs.runtime import Runtime


def runtime(jobs: int = 1) -> Runtime:
    content = {"jobs": jobs, "threads": 1, "backend": "loky", "dask_scheduler": None}
    return Runtime.model_validate(content)


def process_of(_: int) -> int:
    return os.getpid()


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_in_a_task_reaches_the_caller(jobs: int) -> None:
    with pytest.raises(ValueError, match=r"math domain error|nonnegative"):
        list(run_tasks(math.sqrt, [4.0, -1.0, 9.0], runtime(jobs)))


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_with_the_position_of_their_task(jobs: int) -> None:
    assert dict(run_tasks(math.sqrt, [1.0, 4.0, 9.0], runtime(jobs))) == {0: 1.0, 1: 2.0, 2: 3.0}
    assert list(run_tasks(math.sqrt, [], runtime(jobs))) == []


def test_a_single_task_needs_no_second_process() -> None:
    assert dict(run_tasks(process_of, [0], runtime(jobs=2))) == {0: os.getpid()}


def test_finished_tasks_are_handed_over_before_the_last_one_ends() -> None:
    done: list[int] = []

    def note(number: int) -> int:
        done.append(number)
        return number

    for position, _ in run_tasks(note, range(3), runtime(jobs=1)):
        assert done == list(range(position + 1))


def test_no_progress_bar_disturbs_what_is_not_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    list(run_tasks(math.sqrt, [1.0, 4.0], runtime(jobs=1), weights=[5, 5], description="cell"))
    assert capsys.readouterr() == ("", "")


def test_there_are_no_more_processes_than_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Parallel(joblib.Parallel):  # type: ignore[misc]
        def __init__(self, n_jobs: int, **options: str) -> None:
            asked.append(n_jobs)
            super().__init__(n_jobs=n_jobs, **options)

    monkeypatch.setattr("bilevelrl.runs.execution.joblib.Parallel", Parallel)
    assert sorted(run_tasks(abs, [-1, -2], runtime(jobs=1000))) == [(0, 1), (1, 2)]
    assert asked == [2]
