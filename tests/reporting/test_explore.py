"""A figure in a cell that controls draw anew; one kernel runs all cells."""

import asyncio
import base64
import struct

import nbformat
import pytest
from nbclient import NotebookClient

EXPLORE = 'explore(draw, size=(1.0, 3.0, 0.5), kind=["a", "b", "c"])'
CELLS = {
    "set up": """
from matplotlib.figure import Figure
from bilevelrl.reporting.explore import explore
drawn = []


def draw(size=1.0, kind="a"):
    if kind == "c":
        raise ValueError("no such kind")
    drawn.append((size, kind))
    return Figure(figsize=(size, 1))


def newest(kind):
    from ipywidgets.widgets.widget import _instances
    return [each for each in _instances.values() if type(each).__name__ == kind][-1]
""",
    "untouched": EXPLORE,
    "moved": EXPLORE,
    "move": "drawn.clear(); newest('FloatSlider').value = 2.0; newest('Dropdown').value = 'b'",
    "drawn": "print(drawn)",
    "failed": EXPLORE,
    "fail": "newest('Dropdown').value = 'c'",
}
BARE = {
    "set up": CELLS["set up"],
    "hide": "import sys; sys.modules['ipywidgets'] = None",
    "bare": EXPLORE,
}
Outputs = dict[str, list[nbformat.NotebookNode]]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # Jupyter's own
]


@pytest.fixture(scope="module")
def outputs() -> Outputs:
    return run(CELLS)


def run(sources: dict[str, str]) -> Outputs:
    cells = [nbformat.v4.new_code_cell(source) for source in sources.values()]
    notebook = nbformat.v4.new_notebook(cells=cells)
    asyncio.run(NotebookClient(notebook, timeout=120).async_execute())  # closes its loop
    return {name: cell.outputs for name, cell in zip(sources, notebook.cells, strict=True)}


def widths(outputs: list[nbformat.NotebookNode]) -> list[int]:
    """Pixels, from the head of every PNG."""
    pngs = [output["data"].get("image/png") for output in outputs]
    return [struct.unpack(">I", base64.b64decode(png)[16:20])[0] for png in pngs if png]


def test_controls_stand_above_the_figure_of_the_defaults(outputs: Outputs) -> None:
    above, _ = outputs["untouched"]
    assert "application/vnd.jupyter.widget-view+json" in above["data"]
    assert widths(outputs["untouched"]) == [100]


def test_a_moved_control_replaces_the_figure_once(outputs: Outputs) -> None:
    assert widths(outputs["moved"]) == [200]
    assert outputs["drawn"][0]["text"].strip() == "[(2.0, 'a'), (2.0, 'b')]"


def test_an_error_stands_where_the_figure_was(outputs: Outputs) -> None:
    assert widths(outputs["failed"]) == []
    assert outputs["failed"][1]["data"]["text/markdown"] == "ValueError: no such kind"


def test_without_ipywidgets_there_is_one_figure() -> None:
    bare = run(BARE)["bare"]
    assert "pip install ipywidgets" in bare[0]["data"]["text/markdown"]
    assert widths(bare) == [100]
