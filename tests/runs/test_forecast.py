"""How long it may take, and how far it has come."""

from pathlib import Path

import pytest

from bilevelrl.runs import progress
from bilevelrl.runs.forecast import DURATION_COLUMNS, Forecast, in_words
from bilevelrl.runs.params import read_params
from pipeline.repro import DURATIONS, stages

ROWS = [
    "lake,bc_hg,budget=1,100,50.0", "lake,bc_hg,budget=2,100,150.0", "lake,naive,budget=1,10,30.0",
    "grid,,,,2.0", "environments@lake,,,,4.0",
]  # fmt: skip


@pytest.fixture
def forecast(tmp_path: Path) -> Forecast:
    path = tmp_path / "durations.csv"
    path.write_text("\n".join([",".join(DURATION_COLUMNS), *ROWS]) + "\n", encoding="utf-8")
    return Forecast.read(path)


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        (("lake", "bc_hg", "budget=1", 200), 100.0),
        (("lake", "bc_hg", "budget=3", 100), 100.0),  # as the mean of its estimator's
        (("lake", "exact", "", 1), (0.5 + 1.5 + 3.0) / 3.0),  # of its problem's
        (("river", "bc_hg", "", 1000), 1.0),
    ],
)
def test_a_run_takes_what_it_or_others_like_it_took(
    forecast: Forecast, asked: tuple[str, str, str, int], seconds: float
) -> None:
    assert forecast.run(*asked) == pytest.approx(seconds)


def test_stages_that_nobody_measured_count_nothing(forecast: Forecast) -> None:
    assert forecast.remaining(["grid", "environments@lake", "evaluate"]) == 6.0


def test_without_a_table_nothing_is_known(tmp_path: Path) -> None:
    assert Forecast.read(tmp_path / "none.csv") == Forecast()


def test_the_shipped_table_is_of_stages_and_cells_that_exist() -> None:
    shipped, params = Forecast.read(DURATIONS), read_params()
    assert set(shipped.stages) <= set(stages(params))
    assert {f"{problem}-{estimator}" for problem, estimator, _ in shipped.runs} <= set(params.grid)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(3.0, "less than a minute"), (50.0, "1 min"), (95.0, "1.5 min"), (1725.0, "29 min")],
)
def test_times_are_said_roughly(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_without_a_terminal_a_line_a_minute_says_how_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter([0.0, 30.0, 70.0, 100.0, 140.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    with progress.progress(100, "runs") as advance:
        for units in (10, 10, 20, 60):
            advance(units)
    assert capsys.readouterr().err.splitlines() == ["runs: 20 % done, 4.5 min left"]
