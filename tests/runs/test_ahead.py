"""What is trained ahead is what the stages would have trained."""

from pathlib import Path

import numpy as np
import pytest

from bilevelrl.runs import leaders
from bilevelrl.runs.ahead import missing_work, train_ahead
from bilevelrl.runs.chunks import Chunk
from bilevelrl.runs.execution import ResultCache
from bilevelrl.runs.forecast import Forecast
from bilevelrl.runs.leaders import SECONDS, train_cell
from bilevelrl.runs.params import Params
from tests.runs.small_cells import make_params

CELL = {"problem": "four_rooms", "kind": "four_rooms", "estimator": "bc_hg"}


def small() -> Params:
    grid = {"four_rooms-bc_hg": CELL, "four_rooms-naive": CELL | {"estimator": "naive"}}
    params = make_params(grid=grid, grid_problems={"four_rooms": {"kind": "four_rooms"}})
    assert len(params.grid) == 2
    return params


@pytest.fixture
def cache(tmp_path: Path) -> ResultCache:
    return ResultCache(tmp_path / "runs")


def test_stages_find_all_runs_and_the_same_bytes(
    cache: ResultCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = small()
    work = missing_work(params, cache, Forecast())
    assert (work.known, work.missing) == (0, 10 + 8)
    train_ahead(params, work, cache)
    again = missing_work(params, cache, Forecast())
    assert (again.known, again.missing, again.chunks) == (18, 0, ())
    run = work.chunks[0].runs[0]
    found = cache.get(run.key)
    assert found is not None
    assert found[SECONDS] > 0.0
    by_stage = train_cell(params, "four_rooms", "bc_hg", ResultCache(tmp_path / "other"))

    def refuse(chunk: Chunk) -> None:
        raise AssertionError(chunk)

    monkeypatch.setattr(leaders, "train_chunk", refuse)
    by_ahead = train_cell(params, "four_rooms", "bc_hg", cache)
    for name, cell in (("stage", by_stage), ("ahead", by_ahead)):
        cell.write(tmp_path / name)
    written = sorted(path.name for path in (tmp_path / "stage").iterdir())
    assert written
    for name in written:
        assert (tmp_path / "ahead" / name).read_bytes() == (tmp_path / "stage" / name).read_bytes()


def test_long_chunks_come_first_after_one_of_every_estimator(cache: ResultCache) -> None:
    params = small()
    names = {
        setting.follower.kind: leaders.setting_string(
            setting.conditions(params.block("four_rooms").shared())
        )
        for setting in params.settings("four_rooms", "bc_hg")
    }
    slow = Forecast({("four_rooms", "bc_hg", names["truncated"]): 7.0})
    work = missing_work(params, cache, slow)
    assert {chunk.estimator for chunk in work.chunks[:2]} == {"bc_hg", "naive"}
    rest = list(work.seconds[2:])
    assert rest == sorted(rest, reverse=True)
    assert np.isclose(max(work.seconds), 4 * 7.0 * 6)  # two settings, two seeds, six updates


def test_only_what_is_missing_is_trained(cache: ResultCache) -> None:
    params = small()
    train_cell(params, "four_rooms", "naive", cache)
    work = missing_work(params, cache, Forecast())
    assert (work.known, work.missing) == (8, 10)
    assert {chunk.estimator for chunk in work.chunks} == {"bc_hg"}


def test_runs_of_a_setting_stay_together_where_chunks_are_many(cache: ResultCache) -> None:
    def largest(jobs: int) -> int:
        params = small()
        runtime = params.runtime.model_copy(update={"jobs": jobs})
        chunks = missing_work(params.model_copy(update={"runtime": runtime}), cache, Forecast())
        return max(len(chunk.runs) for chunk in chunks.chunks)

    assert (largest(2), largest(10)) == (4, 1)
