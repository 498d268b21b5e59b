"""The smoke profile, computed once for all test processes."""

import fcntl
import json
import os
import shutil

import pytest

from tests.pipeline.clones import Clone, Output, copy_of, make_clone


@pytest.fixture(scope="session")
def computed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, Clone, Output]:
    """A clone, a copy of it, and what the first `dvc repro` in it printed.

    The first process that asks computes them and others wait, so that the two files of tests,
    which change one clone each, can run beside each other.
    """
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "smoke"
    shared.mkdir(exist_ok=True)
    first = Clone(shared / "clone")
    second = Clone(shared / "copy" / "clone")
    printed = shared / "output.json"
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not printed.exists():
            assert not first.folder.exists(), "another process has tried and failed"
            make_clone(first.folder)
            output = first.run("dvc", "repro")
            first.commit()
            shutil.copy2(first.store, shared)
            copy_of(first, second.folder)
            printed.write_text(json.dumps(output.text), encoding="utf-8")
    return first, second, Output(json.loads(printed.read_text(encoding="utf-8")), status=0)
