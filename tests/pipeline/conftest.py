"""The smoke profile, computed once for all test processes."""

import fcntl
import json
import os
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

from bilevelrl.runs.evaluate_block import EvaluateParams
from bilevelrl.runs.params import Params, read_params
from pipeline import evaluate
from tests.pipeline.clones import Clone, Output, copy_of, make_clone
from tests.pipeline.made_up import (
    ROOT,
    write_project,
)


class Computed(NamedTuple):
    """Equal clones, one for each file of tests, and what the first `make repro` printed."""

    first: Clone
    forced: Clone
    dry: Clone
    tried: Clone
    output: Output


@pytest.fixture(scope="session")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Computed:
    """The computed clones.

    The first process that asks computes them and others wait, so that the files of tests, which
    change one clone each, can run beside each other.
    """
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "smoke"
    shared.mkdir(exist_ok=True)
    first = Clone(shared / "clone")
    copies = [Clone(shared / name / "clone") for name in ("forced", "dry", "tried")]
    printed = shared / "output.json"
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not printed.exists():
            assert not first.folder.exists(), "another process has tried and failed"
            make_clone(first.folder)
            # What `make repro` does; the tests go on with DVC's own commands.
            output = first.run(sys.executable, "-m", "pipeline.repro")
            first.commit()
            shutil.copy2(first.store, shared)
            for copy in copies:
                copy_of(first, copy.folder)
            printed.write_text(json.dumps(output.text), encoding="utf-8")
    output = Output(json.loads(printed.read_text(encoding="utf-8")), status=0)
    return Computed(first, *copies, output)


@pytest.fixture(scope="module")
def params() -> Params:
    options = EvaluateParams(
        confidence=0.95,
        power=0.8,
        thresholds=(0.5, 0.9),
        return_thresholds={},
        published_updates=(),
        stuck_radius=0.05,
        final_fraction=0.1,
    )
    return read_params(ROOT / "params.yaml").model_copy(update={"evaluate": options})


@pytest.fixture(scope="module")
def evaluated(params: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    write_project(root)
    evaluate.main(params, root)
    return root


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_project(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def summary(evaluated: Path) -> pd.DataFrame:
    return pd.read_csv(evaluated / "results" / "summary.csv")
