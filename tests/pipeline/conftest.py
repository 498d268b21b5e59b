"""The smoke profile, computed once for all test processes."""

import fcntl
import json
import os
import shutil
from typing import NamedTuple

import pytest

from tests.pipeline.clones import Clone, Output, copy_of, make_clone


class Computed(NamedTuple):
    """Equal clones, one for each file of tests, and what the first `dvc repro` printed."""

    first: Clone
    forced: Clone
    dry: Clone
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
    copies = [Clone(shared / name / "clone") for name in ("forced", "dry")]
    printed = shared / "output.json"
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not printed.exists():
            assert not first.folder.exists(), "another process has tried and failed"
            make_clone(first.folder)
            output = first.run("dvc", "repro")
            first.commit()
            shutil.copy2(first.store, shared)
            for copy in copies:
                copy_of(first, copy.folder)
            printed.write_text(json.dumps(output.text), encoding="utf-8")
    output = Output(json.loads(printed.read_text(encoding="utf-8")), status=0)
    return Computed(first, *copies, output)
