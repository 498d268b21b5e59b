"""`make bench`: everything that it names can be measured, and it says how far it is."""

import pytest

from benchmarks import peers, training_speed
from benchmarks.training_speed import Bench, Row
from bilevelrl.core.settings import Setting
from bilevelrl.runs.params import read_params


@pytest.mark.parametrize("options", [[], ["--quick"]])
def test_every_problem_has_a_table(
    options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def row(_: Bench, problem: str, estimator: str, setting: Setting, *rest: int, **__: int) -> Row:
        assert setting.num_seeds >= 1
        assert rest[0] >= 1
        return Row(f"{problem} {estimator}", 2.0, 100.0)

    monkeypatch.setattr(Bench, "row", row)
    monkeypatch.setattr(peers, "released_sweeps", lambda *_: (2.0, 74.0))
    monkeypatch.setattr(peers, "stable_baselines", lambda *_: 3.0)
    monkeypatch.setattr("sys.argv", ["bench", *options])
    training_speed.main()
    shown = capsys.readouterr()
    titles = [line for line in shown.out.splitlines()[1:] if line and " " not in line]
    assert titles == [
        "four_rooms", "discrete_toy_r1", "discrete_toy_r2", "bilevel_lqr", "thermal_control",
        "guided_cartpole",
    ]  # fmt: skip
    (sweeps,) = (line for line in shown.out.splitlines() if "100 x 5 sweeps" in line)
    assert " 37 " in sweeps
    assert shown.out.count(training_speed.UNKNOWN) >= 5
    said = shown.err.splitlines()
    assert said[0].startswith("[1/")
    assert "s left] guided_cartpole" in said[-2]


def test_time_is_what_updates_add(monkeypatch: pytest.MonkeyPatch) -> None:
    """What starting costs, 5 s here, is no part of an update: 2 runs at 0.25 s."""
    params = read_params()
    (setting, *_) = params.settings("discrete_toy_r1", "bc_hg")

    def train(_: Bench, __: str, ___: str, setting: Setting, runs: int) -> tuple[float, int]:
        return 5.0 + 0.25 * setting.num_updates * runs, 1024

    monkeypatch.setattr(Bench, "train", train)
    row = Bench(params, 10.0).row("discrete_toy_r1", "bc_hg", setting, 2)
    assert row.ours == pytest.approx(250.0)
    assert row.mib == 1.0
