"""Followers that learned, against real SQLite stores."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from bilevelrl.runs.records import LEARNING_COLUMNS
from bilevelrl.tracking.sync import sync_cell, sync_followers
from bilevelrl.tracking.tracker import Counts
from tests.tracking.stores import make_cell, make_tracker, search

#: MLflow's own use of SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


LEARNED = "followers"


def make_learning(problem: str, seeds: Sequence[int], scale: float = 1.0) -> pd.DataFrame:
    rows = [
        (problem, "soft_q", "corrected", temperature, seed, steps, gap, 0.1 * gap, 0.5 * gap)
        for temperature in (0.003, 0.005)
        for seed in seeds
        for steps in (100, 1000)
        for gap in [scale * (1 + seed) * 100.0 / steps]
    ]
    return pd.DataFrame(rows, columns=list(LEARNING_COLUMNS))


def learned(uri: str) -> list[tuple[str, float, int]]:
    """Problem, temperature and seed of every follower that is shown."""
    return sorted(
        (run.data.params["problem"], float(run.data.params["temperature"]),
         int(run.data.params["seed"]))
        for run in search(uri, "tags.current = 'true'", LEARNED)
    )  # fmt: skip


def test_a_follower_shows_its_curve_against_its_transitions(uri: str) -> None:
    tracker = make_tracker(uri)
    assert sync_followers(tracker, "four_rooms", make_learning("four_rooms", [7])) == Counts(
        logged=2
    )
    (run,) = [
        run for run in search(uri, "", LEARNED) if float(run.data.params["temperature"]) == 0.003
    ]
    assert run.info.status == "FINISHED"
    assert run.data.params == {
        "problem": "four_rooms", "follower": "soft_q", "variant": "corrected",
        "temperature": "0.003", "seed": "7",
    }  # fmt: skip
    expected = {
        "slot": "workspace/four_rooms/soft_q/corrected/0.003/7",
        "current": "true",
        "workspace": "workspace",
        "problem": "four_rooms",
        "dvc_stage": "followers@four_rooms",
        "mlflow.source.git.commit": "c0ffee",
        "params_digest": "d1",
    }
    assert expected.items() <= run.data.tags.items()
    history = {
        name: [
            (point.step, point.value)
            for point in MlflowClient(uri).get_metric_history(run.info.run_id, name)
        ]
        for name in ("value_gap", "relative_gap", "kl")
    }
    assert history == {
        "value_gap": [(100, 8.0), (1000, pytest.approx(0.8))],
        "relative_gap": [(100, pytest.approx(0.8)), (1000, pytest.approx(0.08))],
        "kl": [(100, 4.0), (1000, pytest.approx(0.4))],
    }
    assert run.info.run_name == "four_rooms soft_q seed=7"


def test_followers_are_logged_once_and_superseded_by_their_curves(uri: str) -> None:
    def sync(learning: pd.DataFrame) -> Counts:
        return sync_followers(make_tracker(uri), "four_rooms", learning)

    old = make_learning("four_rooms", [0, 1])
    new = pd.concat([old[old["seed"] == 0], make_learning("four_rooms", [1], scale=2.0)])
    assert sync(old) == Counts(logged=4)
    assert sync(old) == Counts(unchanged=4)
    assert sync(old.iloc[::-1].sort_values("steps")) == Counts(unchanged=4)
    assert len(search(uri, "", LEARNED)) == 4
    assert sync(new) == Counts(logged=2, unchanged=2)
    assert len(search(uri, "tags.current = 'false'", LEARNED)) == 2
    assert sync(old) == Counts(unchanged=2, revived=2)
    assert len(search(uri, "", LEARNED)) == 6
    assert len(learned(uri)) == 4


def test_followers_that_are_gone_are_retired_and_those_of_others_are_not(uri: str) -> None:
    both = {name: make_learning(name, [0, 1]) for name in ("discrete_toy_r1", "four_rooms")}
    for problem, learning in both.items():
        assert sync_followers(make_tracker(uri), problem, learning) == Counts(logged=4)
    mine = make_tracker(uri, "tame-hare")
    assert sync_followers(mine, "four_rooms", both["four_rooms"]) == Counts(logged=4)

    fewer = make_learning("four_rooms", [1])
    assert sync_followers(make_tracker(uri), "four_rooms", fewer) == Counts(unchanged=2, retired=2)
    assert len(learned(uri)) == 4 + 2 + 4
    assert sync_followers(make_tracker(uri), "four_rooms", fewer.iloc[:0]) == Counts(retired=2)
    assert [who[0] for who in learned(uri)] == ["discrete_toy_r1"] * 4 + ["four_rooms"] * 4
    assert sync_followers(make_tracker(uri), "four_rooms", fewer) == Counts(revived=2)


def test_followers_are_no_cells_and_cells_no_followers(uri: str) -> None:
    sync_cell(make_tracker(uri), make_cell([0]))
    sync_followers(make_tracker(uri), "four_rooms", make_learning("four_rooms", [0]))
    assert make_tracker(uri).current_cells() == {"four_rooms/bc_hg", "followers/four_rooms"}
    assert sync_cell(make_tracker(uri), make_cell([0])) == Counts(unchanged=1)
    assert len(learned(uri)) == 2


def test_followers_survive_a_store_that_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = make_tracker(f"sqlite:///{tmp_path / 'missing' / 'mlflow.db'}")
    found = sync_followers(tracker, "four_rooms", make_learning("four_rooms", [0, 1]))
    assert found == Counts(failed=4)
    assert tracker.failed
    lines = [each for each in caplog.records if each.name.startswith("bilevelrl")]
    assert len(lines) == 1
