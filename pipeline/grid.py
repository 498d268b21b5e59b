"""DVC stage `grid`: check all of params.yaml before anything expensive starts, and list the cells.

Reads:  params.yaml (everything).
Writes: data/grid.json, the only cells that later stages may read, and which J every problem
        reports. What the folders of cells and
        problems hold that left the grid is removed, and their runs in MLflow are retired.
"""

import shutil
from pathlib import Path

from bilevelrl.runs.params import read_params
from bilevelrl.runs.table_files import write_json
from bilevelrl.tracking.finished_runs import FOLLOWERS, cell_name
from bilevelrl.tracking.tracker import Tracker
from pipeline.stage import run_stage


def main(data: Path = Path("data")) -> None:
    """Validate, list, clean."""
    params = read_params()
    cells = [item.model_dump() for item in params.grid.values()]
    kept = {(cell["problem"], cell["estimator"]) for cell in cells}
    left = []
    for folder in sorted((data / "leaders").glob("*/*")):
        if (folder.parent.name, folder.name) not in kept:
            shutil.rmtree(folder)
            left.append(cell_name(folder.parent.name, folder.name))
    for kind in ("environments", "followers", "gradients"):
        for folder in sorted((data / kind).glob("*")):
            if folder.name not in params.grid_problems:
                shutil.rmtree(folder)
                left += [cell_name(FOLLOWERS, folder.name)] if kind == "followers" else []
    for drawn in ("figures/png", "figures/pdf", "results/tables"):
        for folder in sorted((data.parent / drawn).glob("*")):
            if folder.name not in {*params.grid_problems, "comparison"}:
                shutil.rmtree(folder)
    write_json(data / "grid.json", {"cells": cells, "returns": params.returns})
    tracker = Tracker.here(Path.cwd())
    for cell in left:  # now that no sync beside us shows them again
        with tracker.showing(cell):
            tracker.retire(cell)


if __name__ == "__main__":
    run_stage(main)
