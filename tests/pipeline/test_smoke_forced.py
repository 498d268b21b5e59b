"""Stages computed twice, in a copy of the computed clone.

Apart from `test_smoke.py` so that two processes can share the work: this takes as long as all that
stands there after the first run.
"""

from pathlib import Path

import pytest

from tests.pipeline.conftest import Computed

pytestmark = pytest.mark.slow


def test_forcing_stages_gives_the_same_bytes(computed: Computed, tmp_path: Path) -> None:
    # Every stage but most leaders and figures, which take the way of those that are here.
    clone = computed.forced
    before = clone.hashes()
    chosen = [
        stage
        for stage in clone.stages()
        if not stage.startswith(("leaders@", "figures@"))
        or stage.endswith(("-bc_hg", "-zero_order", "@four_rooms"))
    ]
    # No finished run to serve, and no MLflow: its imports are a third of this test.
    output = clone.run(
        "dvc", "repro", "--force", "--single-item", *chosen,
        BILEVELRL_WORK=str(tmp_path), MLFLOW_TRACKING_URI="sqlite:////proc/no.db",
    )  # fmt: skip
    assert sorted(output.stages) == sorted(chosen)
    assert len(chosen) > 20
    assert any((tmp_path / "runs").rglob("*.npz"))
    after = clone.hashes()
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == set()
    assert len(before) > 50
