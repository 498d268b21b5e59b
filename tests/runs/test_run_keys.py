"""Keys of runs, and which runs train together."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba
import pytest

from bilevelrl.core.settings import ExactFollower, Setting, group_key
from bilevelrl.runs import leaders
from bilevelrl.runs.leaders import list_runs, make_chunks
from bilevelrl.runs.params import read_params
from tests.runs.small_cells import keys, make_params


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = numba.get_num_threads()
    yield
    numba.set_num_threads(before)  # run_tasks sets it in this process


@pytest.mark.parametrize(
    "changes",
    [
        {"problems__four_rooms__constants__incentive_cost": 4.0},
        {"followers__tolerance": 1e-9},
        {"followers__sweeps": 4},
        {"problems__four_rooms__training__num_updates": 7},
        {"problems__four_rooms__training__max_rows": 2},
        {"problems__four_rooms__training__max_gradient_norm": 2.0},
        {"problems__four_rooms__training__initial_spread": 0.02},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_keys_cover_what_determines_a_result(changes: dict[str, Any]) -> None:
    assert set(keys(make_params())).isdisjoint(keys(make_params(**changes)))


@pytest.mark.parametrize(
    "changes",
    [
        {"runtime__jobs": 7},
        {"runtime__threads": 2},
        {"evaluate__confidence": 0.5},
        {"problems__four_rooms__search__random_starts": 1},
        {"problems__four_rooms__cells__naive": {}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_keys_cover_nothing_else(changes: dict[str, Any]) -> None:
    if "problems__four_rooms__cells__naive" in changes:
        grid = make_params().model_dump()["grid"]
        changes = {**changes, "grid": {k: v for k, v in grid.items() if "naive" not in k}}
    assert keys(make_params(**changes)) == keys(make_params())


def test_keys_cover_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys(make_params())
    monkeypatch.setattr(leaders, "cell_digest", lambda *which: f"{which} edited")
    assert set(before).isdisjoint(keys(make_params()))


def test_chunks_hold_runs_that_can_share_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaders, "CHUNK", 3)
    params = make_params(problems__four_rooms__seeds__num_seeds=5)
    runs = list_runs(params, "four_rooms", "bc_hg", params.settings("four_rooms", "bc_hg"))
    chunks = make_chunks(params, {("four_rooms", "bc_hg"): runs})
    assert sorted(run.key for chunk in chunks for run in chunk.runs) == sorted(
        run.key for run in runs
    )
    for chunk in chunks:
        assert 1 <= len(chunk.runs) <= 3
        assert len({group_key(run.setting) for run in chunk.runs}) == 1
    # Two temperatures share a batch, so that ten runs of the larger budget fill four chunks.
    assert sum(chunk.runs[0].setting.env_steps_per_update == 200 for chunk in chunks) == 4


def follower_of(setting: Setting) -> str:
    """The kind of follower; estimators that know the exact one alone do not name it."""
    return str(getattr(setting, "follower", ExactFollower()).kind)


def test_agents_of_stable_baselines_train_alone() -> None:
    params = read_params(Path(__file__).parents[2] / "params.yaml")
    settings = [
        setting
        for setting in params.settings("bilevel_lqr", "bc_hg")
        if follower_of(setting) == "sac"
    ]
    runs = list_runs(params, "bilevel_lqr", "bc_hg", settings)
    chunks = make_chunks(params, {("bilevel_lqr", "bc_hg"): runs})
    assert [chunk.runs for chunk in chunks] == [(run,) for run in runs]
    assert len(runs) > params.runtime.jobs


@pytest.mark.parametrize("problem", ["bilevel_lqr", "thermal_control"])
def test_agents_of_stable_baselines_start_first(problem: str) -> None:
    params = read_params(Path(__file__).parents[2] / "params.yaml")
    runs = list_runs(params, problem, "bc_hg", params.settings(problem, "bc_hg"))
    followers = [
        follower_of(chunk.runs[0].setting)
        for chunk in make_chunks(params, {(problem, "bc_hg"): runs})
    ]
    agents = followers.count("sac")
    assert 0 < agents < len(followers)
    assert followers[:agents] == ["sac"] * agents
