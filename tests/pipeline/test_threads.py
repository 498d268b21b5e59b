"""A stage computes the same bits however many cores there are and whatever `runtime.jobs` says.

OpenBLAS factorises a matrix of 256 rows otherwise with two threads than with one.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """
import hashlib
import sys

import numpy as np

from bilevelrl.runs.runtime import Runtime
from bilevelrl.runs.execution import run_tasks


def solve(seed):
    import scipy.linalg

    generator = np.random.default_rng(seed)
    matrix, vector = generator.normal(size=(256, 256)), generator.normal(size=(256, 2))
    found = np.linalg.solve(matrix, vector), scipy.linalg.solve(matrix, vector)
    return [hashlib.sha256(each.tobytes()).hexdigest() for each in found]


runtime = Runtime(jobs=int(sys.argv[1]), threads=1, backend="loky", dask_scheduler=None)
print(sorted(run_tasks(solve, [0, 1], runtime)))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project with one more script."""
    for name in ("src", "pipeline"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for lock in ROOT.glob("requirements*"):
        shutil.copy2(lock, tmp_path)
    (tmp_path / "pipeline" / "probe.py").write_text(SCRIPT)
    return tmp_path


def computed(project: Path, jobs: int, threads: int) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.probe", str(jobs)],
        cwd=project,
        env=os.environ | {"OPENBLAS_NUM_THREADS": str(threads), "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_bits_do_not_depend_on_the_threads_that_a_machine_offers(project: Path) -> None:
    expected = computed(project, jobs=2, threads=1)
    assert expected.count("'") == 8
    assert computed(project, jobs=1, threads=2) == expected
    assert computed(project, jobs=2, threads=2) == expected
