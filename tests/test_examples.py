"""Examples run as they are, and their leaders learn."""

import shutil
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "examples"


def run(name: str, folder: Path) -> dict[str, Any]:
    """What a copy of an example leaves behind; it draws beside itself."""
    copy = Path(shutil.copy(FOLDER / f"{name}.py", folder))
    names: dict[str, Any] = {"__file__": str(copy)}
    with mpl.rc_context({"backend": "Agg"}):
        exec(compile(copy.read_text(encoding="utf-8"), copy, "exec"), names)
    return names


@pytest.mark.slow
def test_fines_keep_the_follower_in_the_middle(tmp_path: Path) -> None:
    names = run("reward_design", tmp_path)
    first, last = np.mean(names["curve"][:20]), np.mean(names["curve"][-20:])
    assert last > 3.0 > 1.0 > first
    fines = names["fines"].detach().numpy()
    assert fines[names["MIDDLE"]] < 0.05 < 0.15 < fines[names["START"]]
    assert (tmp_path / "reward_design.png").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bilevelrl.NotCentredWarning")  # a belief lags at first
def test_grit_leads_the_follower_past_the_kiosk(tmp_path: Path) -> None:
    names = run("environment_design", tmp_path)
    returns = [row["leader_return_sampled"] for row in names["trainer"].history]
    assert returns[0] < 0.2 < 0.7 < np.mean(returns[-10:])
    grip = names["leader"].chances()[:, 1].detach().numpy()
    assert grip[4] < 0.6 < 0.9 < grip[names["KIOSK"]]
    assert (tmp_path / "environment_design.png").stat().st_size > 10_000


@pytest.mark.slow
def test_only_the_hypergradient_sees_the_follower_go(tmp_path: Path) -> None:
    trainers = run("acting_leader", tmp_path)["trainers"]
    ends = {
        name: np.mean([row["leader_return_sampled"] for row in trainer.history[-5:]])
        for name, trainer in trainers.items()
    }
    assert ends["BC-HG"] > 15.0 > 5.0 > ends["Naive-PGD"]
    assert (tmp_path / "acting_leader.png").stat().st_size > 10_000


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_examples_are_short_and_show_their_figure(path: Path) -> None:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(lines) < 60
    assert path.with_suffix(".png").exists()
