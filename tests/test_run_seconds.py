"""What one run costs: whose, and what is measured again."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import run_seconds
from benchmarks.run_seconds import COLUMNS, Entry, entries, main, measure
from bilevelrl.core.settings import Setting
from bilevelrl.runs.execution import ResultCache
from bilevelrl.runs.leaders import SECONDS, list_runs
from bilevelrl.runs.params import Params, read_params

ROOT = Path(__file__).parents[1]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Entry]:
    """Entries that are measured, at 1.23456 seconds each."""
    asked: list[Entry] = []

    def note(_: Params, entry: Entry, __: Setting, ___: ResultCache) -> float:
        asked.append(entry)
        return 1.23456

    monkeypatch.setattr(run_seconds, "measure", note)
    return asked


def test_every_leader_that_is_shown_has_an_entry() -> None:
    shown = pd.read_csv(ROOT / "results" / "model_knowledge.csv")
    group = ["problem", "estimator", "variant", "setting"]
    found = set(entries(read_params()))
    assert {tuple(row) for row in shown[group].to_numpy()} <= found
    # Nobody knows the best J of the cart-pole, where Naive-PGD identifies its model too.
    others = [entry[:2] for entry in found if entry[0] not in set(shown["problem"])]
    assert sorted(others) == 2 * [("guided_cartpole", "bc_hg")] + 2 * [("guided_cartpole", "naive")]
    assert {entry[1] for entry in found if entry[0] in set(shown["problem"])} == {"bc_hg", "exact"}


def test_what_is_known_is_not_measured_again(measured: list[Entry], tmp_path: Path) -> None:
    path = tmp_path / "run_seconds.csv"
    main(["discrete_toy_r1", "exact", "corrected"], path)
    assert [entry[:3] for entry in measured] == [("discrete_toy_r1", "exact", "corrected")]
    table = pd.read_csv(path)
    assert tuple(table) == COLUMNS
    assert table["cpu_seconds"].tolist() == [1.23]
    assert table[["updates", "runs"]].to_numpy().tolist() == [[500, 5]]
    main(["discrete_toy_r1", "exact"], path)
    assert [entry[2] for entry in measured] == ["corrected", "published"]
    # In the order of params.yaml, whatever was measured first.
    assert pd.read_csv(path)["variant"].tolist() == ["published", "corrected"]
    main(["discrete_toy_r1", "exact"], path)
    assert len(measured) == 2
    main(["discrete_toy_r1", "exact", "--again"], path)
    assert len(measured) == 4


def test_rows_of_another_training_are_measured_again(measured: list[Entry], tmp_path: Path) -> None:
    path = tmp_path / "run_seconds.csv"
    main(["discrete_toy_r1", "exact"], path)
    table = pd.read_csv(path)
    table.loc[0, "updates"] = 7
    gone = table.iloc[[1]].assign(setting="temperature=9")
    pd.concat([table, gone]).to_csv(path, index=False)
    main(["discrete_toy_r1", "exact"], path)
    assert len(measured) == 3
    assert pd.read_csv(path)["updates"].tolist() == [500, 500]


def test_seconds_are_those_of_one_run(tmp_path: Path) -> None:
    params = read_params()
    (entry, setting), *_ = (
        (entry, setting)
        for entry, setting in entries(params).items()
        if entry[:3] == ("bilevel_lqr", "exact", "published")
    )
    short = setting.model_copy(update={"num_updates": 5})
    assert 0.0 < measure(params, entry, short, ResultCache(tmp_path)) < 10.0


def test_a_long_training_that_is_known_is_not_repeated(tmp_path: Path) -> None:
    params, cache = read_params(), ResultCache(tmp_path)
    entry, setting = next(iter(entries(params).items()))
    runs = list_runs(params, *entry[:2], [setting])
    for place, run in enumerate(runs):
        cache.put(run.key, {SECONDS: np.array(run_seconds.BRIEF + place)})
    expected = run_seconds.BRIEF + (len(runs) - 1) / 2.0
    assert measure(params, entry, setting, cache) == expected
