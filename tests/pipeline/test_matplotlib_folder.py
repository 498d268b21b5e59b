"""Stages draw with styles and fonts of their own clone, whatever the user has elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = """
import pipeline, matplotlib, matplotlib.font_manager
print(matplotlib.get_configdir(), matplotlib.get_cachedir(), matplotlib.rcParams["lines.linewidth"])
"""


def test_figures_do_not_depend_on_what_other_environments_leave(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 77")
    (tmp_path / "fontlist-v0.json").write_text("{}")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        env=os.environ | {"MPLCONFIGDIR": str(tmp_path), "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    folder = str((ROOT / ".work" / "matplotlib").resolve())
    assert done.stdout.split() == [folder, folder, "1.5"]
    assert any(Path(folder).glob("fontlist-*.json"))
