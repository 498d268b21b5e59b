"""The notebooks run from top to bottom, on the results that are committed and on others."""

import asyncio
import os
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))
#: Those that show results of a family of problems.
OF_PROBLEMS = [path for path in PATHS if "Results.of(" in path.read_text()]
#: What puts a figure into the outputs.
DRAWS = ('.figure("', "explore(", "plt.show()")


def sources(path: Path) -> list[str]:
    cells = nbformat.read(path, as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == "code"]


def executed(path: Path) -> nbformat.NotebookNode:
    """From its own folder, as Jupyter does; with one thread, as all tests.

    `client.execute` would leave the event loop of its thread open.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": path.parent}})
    one = {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    asyncio.run(client.async_execute(env=os.environ | one))
    return notebook


@pytest.fixture(scope="module")
def notebooks() -> dict[Path, Future[nbformat.NotebookNode]]:
    """All of them, in two kernels at a time: their start and their imports are half of the time."""
    with ThreadPoolExecutor(2) as pool:
        return {path: pool.submit(executed, path) for path in PATHS}


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("default")  # Jupyter's own
def test_executes_without_errors_and_shows_every_figure(
    path: Path, notebooks: dict[Path, Future[nbformat.NotebookNode]]
) -> None:
    cells = [cell for cell in notebooks[path].result().cells if cell.cell_type == "code"]
    for cell in cells:
        drawn = [output for output in cell.outputs if "image/png" in output.get("data", {})]
        repeated = 2 if cell.source.startswith("for results in toys") else 1
        assert len(drawn) == repeated * sum(cell.source.count(call) for call in DRAWS)
        assert [o for o in cell.outputs if o.get("name") == "stderr"] == []
        assert "Not in this grid" not in "".join(str(output) for output in cell.outputs)


@pytest.mark.slow
@pytest.mark.parametrize("path", OF_PROBLEMS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore")  # of pandas about columns that are all empty
def test_says_what_another_grid_lacks(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cells run here, outside of Jupyter, where `display` prints; what is computed is left out."""
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "results").mkdir()
    conditions = pd.read_csv(ROOT / "results" / "conditions.csv", dtype=str, keep_default_na=False)
    conditions.to_csv(tmp_path / "results" / "conditions.csv", index=False)
    summary = pd.read_csv(ROOT / "results" / "summary.csv")
    summary[summary["estimator"] == "bc_hg"].to_csv(tmp_path / "results/summary.csv", index=False)
    monkeypatch.chdir(tmp_path)
    shown: list[object] = []
    space: dict[str, object] = {"display": lambda *objects: shown.extend(objects)}
    for source in sources(path):
        if "explore(" not in source:
            exec(source, space)
    said = " ".join(
        str(each._repr_markdown_()) for each in shown if hasattr(each, "_repr_markdown_")
    )
    assert "Not in this grid: the figure `learning_curves" in said
    assert "Not in this grid." in said  # of tables
    assert "BC-HG" in said


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_is_short_and_committed_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)
    assert len(notebook.cells) < 12
