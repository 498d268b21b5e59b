"""What one run costs stands beside results, where it was measured."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bilevelrl.reporting.sources import Sources

SETTING = "follower=exact;temperature=0.1"
KNOWLEDGE = f"""problem,leader,estimator,variant,setting
toy,published,bc_hg,published,{SETTING}
toy,corrected,bc_hg,corrected,{SETTING}
"""
SECONDS = f"""problem,estimator,variant,setting,updates,runs,cpu_seconds,commit
toy,bc_hg,corrected,{SETTING},10,5,2.5,abc
toy,naive,published,{SETTING},10,5,0.5,abc
"""


@pytest.fixture
def measured(project: Path) -> Path:
    (project / "results" / "model_knowledge.csv").write_text(KNOWLEDGE)
    (project / "benchmarks" / "results").mkdir(parents=True)
    (project / "benchmarks" / "results" / "run_seconds.csv").write_text(SECONDS)
    return project


def seconds(view: pd.DataFrame) -> dict[tuple[str, str], float]:
    keys = zip(view["estimator"], view["variant"], strict=True)
    return dict(zip(keys, view["cpu_seconds"], strict=True))


def test_seconds_are_those_of_the_same_setting_and_variant(measured: Path) -> None:
    known = seconds(Sources(measured).view("model_knowledge"))
    assert known["bc_hg", "corrected"] == 2.5
    assert np.isnan(known["bc_hg", "published"])
    known = seconds(Sources(measured).view("summary"))
    assert known["naive", "published"] == 0.5
    assert np.isnan(known["bc_hg", "published"])


def test_they_are_unknown_where_nobody_measured(measured: Path) -> None:
    (measured / "benchmarks" / "results" / "run_seconds.csv").unlink()
    for name in ("model_knowledge", "summary"):
        assert Sources(measured).view(name)["cpu_seconds"].isna().all()


def test_they_are_not_of_results_that_lie_elsewhere(measured: Path) -> None:
    (measured / "results").rename(measured / "paper")
    (measured / "results").mkdir()
    (measured / "paper").rename(measured / "results" / "paper")
    view = Sources(measured).view("paper/model_knowledge")
    assert view["cpu_seconds"].isna().all()
