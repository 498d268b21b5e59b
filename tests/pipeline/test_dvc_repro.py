"""dvc.lock as `pipeline.dvc_repro` writes it, against DVC's own way."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from dvc import dvcfile
from dvc.utils.serialize import modify_yaml, parse_yaml

from pipeline.dvc_repro import LockWriter
from tests.pipeline.clones import ROOT

Modify = Callable[[str], AbstractContextManager[dict[str, Any]]]
LOCK = (ROOT / "dvc.lock").read_text(encoding="utf-8")
STAGES = parse_yaml(LOCK, "dvc.lock")["stages"]
ODD = "leaders@discrete_toy_r1-exact"


def change(modify: Modify, path: Path, stages: dict[str, Any]) -> bytes:
    """As `dvc.dvcfile.Lockfile.dump_stages` does."""
    with modify(str(path)) as content:
        if not content:
            content.update({"schema": "2.0"})
        content["stages"] = content.get("stages", {})
        content["stages"].update(deepcopy(stages))
    return path.read_bytes()


def both(folder: Path, text: str | None, *changes: dict[str, Any]) -> None:
    """The same changes one after the other, by DVC and by us, leave the same bytes each time."""
    paths = [folder / name / "dvc.lock" for name in ("theirs", "ours")]
    for path in paths:
        path.parent.mkdir()
        if text is not None:
            path.write_text(text, encoding="utf-8")
    ours = LockWriter().modify
    for stages in changes:
        assert change(modify_yaml, paths[0], stages) == change(ours, paths[1], stages)


def test_stages_that_change_come_or_stay_leave_what_dvc_would_write(tmp_path: Path) -> None:
    changed = STAGES[ODD] | {"cmd": "python " + 30 * "long " + "# 'quoted': yes"}
    odd = {"params": {"params.yaml": {"a": [1.0e-10, None, True, "1e3", ["x", {"y": 2}]]}}}
    both(tmp_path, LOCK, {ODD: changed}, {"new@stage": odd}, {ODD: STAGES[ODD]}, {ODD: STAGES[ODD]})


def test_a_lock_that_does_not_exist_yet(tmp_path: Path) -> None:
    both(tmp_path, None, {ODD: STAGES[ODD]}, {"grid": STAGES["grid"]}, {ODD: STAGES["evaluate"]})


@pytest.mark.parametrize(
    "text", [f"# mine\n{LOCK}", LOCK.replace("stages:", "datasets: []\nstages:"), "schema: '2.0'\n"]
)
def test_a_lock_of_another_form_is_left_to_dvc(text: str, tmp_path: Path) -> None:
    both(tmp_path, text, {ODD: STAGES["grid"]})


def test_what_another_process_wrote_meanwhile_stays(tmp_path: Path) -> None:
    path, modify = tmp_path / "dvc.lock", LockWriter().modify
    path.write_text(LOCK, encoding="utf-8")
    change(modify, path, {ODD: STAGES["grid"]})
    change(modify_yaml, path, {"theirs": STAGES["grid"]})
    change(modify, path, {ODD: STAGES["evaluate"]})
    found = parse_yaml(path.read_text(encoding="utf-8"), "dvc.lock")["stages"]
    assert found == STAGES | {"theirs": STAGES["grid"], ODD: STAGES["evaluate"]}


def test_a_stage_that_could_not_be_saved_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "dvc.lock"
    path.write_text(LOCK, encoding="utf-8")
    writer = LockWriter()

    def fail() -> None:
        with writer.modify(str(path)) as content:
            content["stages"]["grid"] = {}
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert path.read_text(encoding="utf-8") == LOCK


def test_dvc_still_has_what_is_replaced() -> None:
    assert dvcfile.modify_yaml is modify_yaml
