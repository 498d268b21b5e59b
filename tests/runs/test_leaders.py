"""A cell computes what is missing and nothing else, and looks as if computed at once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pandas as pd
import pytest

from bilevelrl.core.follower import FollowerDiverged
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.four_rooms import cell as four_rooms
from bilevelrl.runs import leaders
from bilevelrl.runs.chunks import FAILURE, Chunk, train_chunk
from bilevelrl.runs.execution import ResultCache
from bilevelrl.runs.leaders import list_runs, make_chunks, train_cell
from bilevelrl.runs.params import Params
from bilevelrl.runs.records import CURVE_COLUMNS, Cell
from tests.runs.small_cells import (
    NUM_ROWS,
    NUM_SEEDS,
    NUM_SETTINGS,
    NUM_UPDATES,
    make_params,
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = numba.get_num_threads()
    yield
    numba.set_num_threads(before)  # run_tasks sets it in this process


@pytest.fixture
def cache(tmp_path: Path) -> ResultCache:
    return ResultCache(tmp_path / "runs")


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """(conditions, seed) of every run that is really trained."""
    seen: list[tuple[str, int]] = []

    def note(chunk: Chunk) -> Any:
        for run in chunk.runs:
            s = run.setting
            start = getattr(s.follower, "start", None)
            seen.append((f"{s.env_steps_per_update} {s.temperature} {start}", run.seed))
        return train_chunk(chunk)

    monkeypatch.setattr(leaders, "train_chunk", note)
    return seen


def cell_of(params: Params, cache: ResultCache) -> Cell:
    return train_cell(params, "four_rooms", "bc_hg", cache)


def files(cell: Cell, folder: Path) -> dict[str, bytes]:
    cell.write(folder)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_cell_has_every_run_once_with_the_promised_columns(cache: ResultCache) -> None:
    cell = cell_of(make_params(), cache)
    assert len(cell.runs) == NUM_SETTINGS * NUM_SEEDS
    assert list(cell.curves.columns) == list(CURVE_COLUMNS)
    assert {n: str(kind) for n, kind in cell.curves.dtypes.items()} == CURVE_COLUMNS
    assert len(cell.curves) == len(cell.runs) * NUM_ROWS
    assert cell.theta.shape == (len(cell.runs), 105)
    assert np.isfinite(cell.theta).all()
    keys = ["problem", "estimator", "variant", "setting", "seed"]
    in_order = cell.curves.drop_duplicates(keys)[keys].to_dict("records")
    assert in_order == [{key: getattr(run, key) for key in keys} for run in cell.runs]
    assert set(cell.curves["update"]) == {1, 3, 5}
    assert not cell.curves.drop(columns=keys).isna().any(axis=None)
    assert len({run.run_key for run in cell.runs}) == len(cell.runs)


def test_runs_tell_their_conditions_and_all_their_hyperparameters(cache: ResultCache) -> None:
    cell = cell_of(make_params(), cache)
    reset = next(run for run in cell.runs if "start=reset" in run.setting)
    assert reset.setting == (
        "env_steps_per_update=100;follower=truncated;information=full;policy_iterations=2;"
        "start=reset;temperature=0.003"
    )
    assert reset.hyperparameters == {
        "temperature": 0.003, "env_steps_per_update": 100, "num_envs": 1, "step_size": 0.05,
        "critic": "sarsa", "critic_step_size": 0.5, "follower": "truncated",
        "follower_policy_iterations": 2, "follower_start": "reset", "num_updates": NUM_UPDATES,
        "initial_spread": 0.01,
    }  # fmt: skip


def test_a_second_time_nothing_is_computed(
    cache: ResultCache, computed: list[tuple[str, int]], tmp_path: Path
) -> None:
    first = files(cell_of(make_params(), cache), tmp_path / "first")
    assert len(computed) == NUM_SETTINGS * NUM_SEEDS
    computed.clear()
    assert files(cell_of(make_params(), cache), tmp_path / "second") == first
    assert computed == []


def test_adding_seeds_computes_only_the_new_ones(
    cache: ResultCache, computed: list[tuple[str, int]], tmp_path: Path
) -> None:
    cell_of(make_params(), cache)
    computed.clear()
    more = make_params(problems__four_rooms__seeds__num_seeds=4)
    grown = files(cell_of(more, cache), tmp_path / "grown")
    assert len(computed) == NUM_SETTINGS * 2
    assert {seed for _, seed in computed} == {2, 3}
    at_once = files(cell_of(more, ResultCache(tmp_path / "other")), tmp_path / "at once")
    assert grown == at_once
    computed.clear()
    assert len(cell_of(make_params(), cache).runs) == NUM_SETTINGS * NUM_SEEDS  # and fewer again
    assert computed == []


def test_another_step_size_computes_only_its_setting(
    cache: ResultCache, computed: list[tuple[str, int]]
) -> None:
    before = cell_of(make_params(), cache)
    computed.clear()
    changes: dict[str, Any] = {"problems__four_rooms__cells__bc_hg__published_100__step_size": 0.1}
    after = cell_of(make_params(**changes), cache)
    assert computed == [("100 0.003 None", 0), ("100 0.003 None", 1)]
    changed = [a.run_key != b.run_key for a, b in zip(after.runs, before.runs, strict=True)]
    assert changed == [True] * 2 + [False] * 8
    moved = (before.theta != after.theta).any(axis=1)
    assert moved.tolist() == changed


@pytest.mark.parametrize("finished", [0, 1, 3])
def test_a_killed_cell_keeps_its_finished_chunks_and_ends_the_same(
    finished: int, cache: ResultCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaders, "CHUNK", 2)
    trained: list[int] = []

    def die(chunk: Chunk) -> Any:
        if len(trained) == finished:
            raise KeyboardInterrupt
        trained.append(len(chunk.runs))
        return train_chunk(chunk)

    with monkeypatch.context() as patch:
        patch.setattr(leaders, "train_chunk", die)
        with pytest.raises(KeyboardInterrupt):
            cell_of(make_params(), cache)
    assert len(trained) == finished
    assert len(list(tmp_path.rglob("*.npz"))) == sum(trained)

    def count(chunk: Chunk) -> Any:
        trained.append(len(chunk.runs))
        return train_chunk(chunk)

    monkeypatch.setattr(leaders, "train_chunk", count)
    resumed = files(cell_of(make_params(), cache), tmp_path / "resumed")
    assert sum(trained) == NUM_SETTINGS * NUM_SEEDS  # each run once, in both attempts together
    uninterrupted = cell_of(make_params(), ResultCache(tmp_path / "other"))
    assert files(uninterrupted, tmp_path / "uninterrupted") == resumed


def test_a_damaged_piece_is_computed_again(
    cache: ResultCache, computed: list[tuple[str, int]], tmp_path: Path
) -> None:
    first = files(cell_of(make_params(), cache), tmp_path / "first")
    computed.clear()
    piece = sorted((tmp_path / "runs").rglob("*.npz"))[0]
    piece.write_bytes(piece.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="damaged"):
        again = cell_of(make_params(), cache)
    assert len(computed) == 1
    assert files(again, tmp_path / "again") == first


BAD_SEED = 1


class Exploding:
    """A game in which the follower of one run diverges at its third answer."""

    def __init__(self, game: Any, settings: Sequence[Any]) -> None:
        self._game, self._settings, self._answers = game, settings, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._game, name)

    def respond(self, theta: Any, memory: Any, streams: Streams) -> Any:
        self._answers += 1
        for setting, seed in zip(self._settings, streams.seeds, strict=True):
            main = setting.env_steps_per_update == 100 and setting.follower.kind == "exact"
            if main and seed == BAD_SEED and self._answers == 3:
                raise FollowerDiverged(f"loss 1e30 of seed {seed}")
        return self._game.respond(theta, memory, streams)


def explode(monkeypatch: pytest.MonkeyPatch) -> None:
    build = four_rooms.build

    def build_exploding(make: Callable[[Any], Any], settings: Sequence[Any], context: Any) -> Any:
        built = build(make, settings, context)
        return replace(built, game=Exploding(built.game, settings))

    monkeypatch.setattr(four_rooms, "build", build_exploding)


def test_a_follower_that_diverges_costs_its_own_run_and_no_bit_of_others(
    cache: ResultCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = make_params(problems__four_rooms__seeds__num_seeds=3)
    before = cell_of(params, cache)
    explode(monkeypatch)
    other = ResultCache(tmp_path / "other")
    cell = cell_of(params, other)

    failed = np.array([run.failure != "" for run in cell.runs])
    (place,) = np.nonzero(failed)[0]
    who = cell.runs[place]
    assert who.seed == BAD_SEED
    assert who.failure == f"loss 1e30 of seed {BAD_SEED}"
    assert cell.failures == {
        f"four_rooms bc_hg published {who.setting} seed {BAD_SEED}": who.failure
    }
    assert before.failures == {}
    assert [run.run_key for run in cell.runs] == [run.run_key for run in before.runs]

    assert np.isnan(cell.theta[failed]).all()
    np.testing.assert_array_equal(cell.theta[~failed], before.theta[~failed])
    own = (cell.curves["setting"] == who.setting) & (cell.curves["seed"] == BAD_SEED)
    assert own.sum() == NUM_ROWS
    pd.testing.assert_frame_equal(cell.curves[~own], before.curves[~own])
    assert cell.curves.loc[own, "update"].tolist() == [1, 3, 5]
    measured = [name for name, kind in CURVE_COLUMNS.items() if kind == "float64"]
    assert cell.curves.loc[own, measured].isna().all(axis=None)
    steps = ["env_steps", "oracle_steps", "follower_steps"]
    assert (cell.curves.loc[own, steps] == 0).all(axis=None)

    # It is a result like any other: kept, and the same after a round trip.
    first = files(cell, tmp_path / "first")
    monkeypatch.setattr(leaders, "train_chunk", lambda chunk: pytest.fail(f"trained {chunk}"))
    assert files(cell_of(params, other), tmp_path / "second") == first
    assert Cell.read(tmp_path / "first").failures == cell.failures


def test_a_run_that_fails_alone_has_no_more_than_its_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    params = make_params()
    settings = params.settings("four_rooms", "bc_hg")
    runs = [
        run
        for run in list_runs(params, "four_rooms", "bc_hg", settings)
        if run.setting.env_steps_per_update == 100 and run.setting.follower.kind == "exact"
    ]
    (chunk,) = make_chunks(params, {("four_rooms", "bc_hg"): runs})
    expected = train_chunk(chunk)[0]
    explode(monkeypatch)
    found, failed = train_chunk(chunk)
    assert str(failed[FAILURE]) == f"loss 1e30 of seed {BAD_SEED}"
    assert failed["theta"].shape == (105,)
    assert "leader_return" not in failed
    assert found.keys() == expected.keys()
    assert FAILURE not in found
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_the_number_of_runs_per_chunk_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for size in (1, 3, 20):
        monkeypatch.setattr(leaders, "CHUNK", size)
        cache = ResultCache(tmp_path / f"runs {size}")
        found.append(files(cell_of(make_params(), cache), tmp_path / f"cell {size}"))
    assert found[0] == found[1] == found[2]


def test_the_rows_of_a_run_are_what_training_it_alone_gives(cache: ResultCache) -> None:
    params = make_params()
    cell = cell_of(params, cache)
    runs = list_runs(params, "four_rooms", "bc_hg", params.settings("four_rooms", "bc_hg"))
    for position in (0, 3, 9):
        who = cell.runs[position]
        assert who.run_key == runs[position].key
        (chunk,) = make_chunks(params, {("four_rooms", "bc_hg"): [runs[position]]})
        (alone,) = train_chunk(chunk)
        np.testing.assert_array_equal(cell.theta[position], alone.pop("theta"))
        own = (cell.curves["setting"] == who.setting) & (cell.curves["seed"] == who.seed)
        for name, values in alone.items():
            np.testing.assert_array_equal(cell.curves.loc[own, name], values, err_msg=name)
