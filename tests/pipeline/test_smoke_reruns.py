"""What runs again, and that it gives the same: `dvc` commands in a copy of the computed clone.

Apart from `test_smoke.py` so that two processes can share the work.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.pipeline.clones import AFTER, NAIVE, Clone, Output

pytestmark = pytest.mark.slow


@pytest.fixture
def clone(computed: tuple[Clone, Clone, Output]) -> Iterator[Clone]:
    """The copy; left as it was found, but for its MLflow store."""
    _, clone, _ = computed
    yield clone
    clone.put_back()


def test_forcing_all_stages_gives_the_same_bytes(clone: Clone) -> None:
    before = clone.hashes()
    output = clone.run("dvc", "repro", "--force")
    assert sorted(output.stages) == sorted(clone.stages())
    after = clone.hashes()
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == set()
    assert len(before) > 50


def test_another_step_size_reruns_its_cell_and_what_follows(clone: Clone) -> None:
    key = "cells.four_rooms.naive.published_100.step_size"
    before = clone.summary()
    clone.set(key, 0.1)
    output = clone.run("dvc", "repro")
    assert output.stages == [NAIVE, *AFTER]
    after = clone.summary()
    changed = before["value"].ne(after["value"]) & ~(before["value"].isna() & after["value"].isna())
    assert set(before.loc[changed, "estimator"]) == {"naive"}
    assert set(before.loc[changed, "setting"]) == {
        "env_steps_per_update=100;follower=exact;information=full;temperature=0.003"
    }
    difference = json.loads(clone.run("dvc", "metrics", "diff", "--json").text.splitlines()[-1])
    assert "results/metrics.json" in difference
    assert {name.split(".")[1] for name in difference["results/metrics.json"]} == {"naive"}
    plots = clone.run("dvc", "plots", "diff", "HEAD")
    assert (clone.folder / "dvc_plots" / "index.html").exists(), plots.text


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize(
    ("stage", "name", "damage"),
    [
        ("evaluate", "data/leaders/four_rooms/naive/curves.parquet", cut),
        ("evaluate", "data/leaders/four_rooms/exact/theta.npy", Path.unlink),
        ("followers@four_rooms", "data/environments/four_rooms/metadata.json", Path.unlink),
        ("figures", "data/evaluate/learning_curves.parquet", cut),
        ("gradients@four_rooms", "data/environments/four_rooms/best_theta.npz", cut),
    ],
    ids=lambda value: value.__name__ if callable(value) else value.rpartition("/")[2],
)
def test_a_damaged_file_stops_its_reader_with_one_line(
    clone: Clone, stage: str, name: str, damage: Callable[[Path], None]
) -> None:
    damage(clone.folder / name)
    output = clone.run("dvc", "repro", "--force", "--single-item", stage, status=255)
    assert "Traceback" not in output.text
    (line,) = output.lines_with("error: ")
    assert line.startswith(f"error: {name}: ")
    assert len(line) > len(f"error: {name}: ")


def test_a_damaged_file_is_healed_from_the_cache(clone: Clone) -> None:
    cut(clone.folder / "data/leaders/four_rooms/naive/curves.parquet")
    before = clone.hashes()
    output = clone.run("dvc", "repro")
    assert NAIVE not in output.stages
    assert clone.hashes() != before
    assert clone.run("git", "status", "--porcelain").text == ""
