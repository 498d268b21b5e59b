"""Where the time of a cold `make repro` goes: `python benchmarks/stages.py > table.csv`.

Clones the project's last commit into a temporary folder, with empty caches of runs and kernels,
runs `python -m pipeline.repro` there (or a profile) in this environment, and prints one row per
stage: wall and CPU seconds, and of the latter those of imports, of Numba's compiler and of SAC.
`ahead` are all runs, which are trained before DVC starts; what the wall clock saw beside stages is
DVC's. `benchmarks/clocks` measures.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

HERE = Path(__file__).absolute().parent
PARTS = ("cpu", "imports", "compilation", "sac")


def table(clocks: Path, wall: float) -> pd.DataFrame:
    """One row per stage, then DVC and the sum; seconds."""
    records = pd.DataFrame([json.loads(path.read_text()) for path in sorted(clocks.iterdir())])
    by_stage = records.groupby("stage")
    rows = by_stage[list(PARTS)].sum()
    rows.insert(0, "wall", by_stage["ended"].max() - by_stage["started"].min())
    rows = rows.loc[by_stage["started"].min().sort_values().index]
    last = {"dvc": {"wall": wall - rows["wall"].sum()}, "all": {**rows.sum(), "wall": wall}}
    return pd.concat([rows, pd.DataFrame(last).T]).round(1).rename_axis("stage").reset_index()


def main(profile: str | None, folder: Path) -> None:
    """Run cold in `folder`, print the table."""
    clone, clocks = folder / "clone", folder / "clocks"
    subprocess.run(["git", "clone", "--quiet", HERE.parent, clone], check=True)
    clocks.mkdir()
    environment = os.environ | {
        "STAGE_CLOCKS": str(clocks),
        "PYTHONPATH": str(HERE / "clocks"),
        "NUMBA_CACHE_DIR": str(folder / "kernels"),
        "DVC_NO_ANALYTICS": "1",
    }
    command = [sys.executable, "-m", "pipeline.repro"]
    if profile is not None:
        command = [sys.executable, "-m", "pipeline.profile", profile]
    started = time.time()
    subprocess.run(command, cwd=clone, env=environment, stdout=sys.stderr, check=True)
    table(clocks, time.time() - started).to_csv(sys.stdout, index=False, lineterminator="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", help="a file of profiles/, without it params.yaml as it is")
    parser.add_argument("--folder", type=Path, help="an empty folder, kept; else a temporary one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        main(arguments.profile, arguments.folder or Path(temporary))
