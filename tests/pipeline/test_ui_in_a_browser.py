"""What a reader sees of `make ui`: charts by estimator, bands, the filter, a run's files."""

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

from bilevelrl.runs.records import Cell
from bilevelrl.runs.table_files import concatenate, write_json
from tests.browser import browser, script, wait_for
from tests.pipeline.clones import Clone
from tests.tracking.stores import make_cell

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy"),
]
ROOT = Path(__file__).parents[2]
#: Of every chart of Plotly: its title, and how many curves and how large bands it has.
CHARTS = """
const cards = document.querySelectorAll('[data-testid="experiment-view-compare-runs-card"]');
return [...cards].map(card => ({
    title: card.querySelector('h4, h3')?.textContent ?? card.textContent,
    lines: card.querySelectorAll('.js-plotly-plot .scatterlayer path.js-line').length,
    points: card.querySelectorAll('.js-plotly-plot .scatterlayer path.point').length,
    bands: [...card.querySelectorAll('.js-plotly-plot .fills path')].map(path => {
        const box = path.getBoundingClientRect();
        return Math.min(box.width, box.height);
    }),
}))
"""
BOX = "document.querySelector('[data-testid=\"search-box\"]')"


class Page(NamedTuple):
    """A browser, the link of four_rooms that `make ui` printed, and the server's address."""

    driver: "Chrome"
    link: str
    address: str


def variants(estimator: str, *names: str) -> Cell:
    """Three seeds of every variant, with curves that differ between seeds."""
    cells = [make_cell([0, 1, 2], key=name, estimator=estimator) for name in names]
    runs = tuple(
        replace(run, variant=name, kind="four_rooms")
        for name, cell in zip(names, cells, strict=True)
        for run in cell.runs
    )
    curves = concatenate(
        cell.curves.assign(
            variant=name, leader_return=cell.curves["leader_return"] * (1 + cell.curves["seed"])
        )
        for name, cell in zip(names, cells, strict=True)
    )
    return Cell(runs, np.full((len(runs), 105), 0.5), curves)


@pytest.fixture(scope="module")
def page(migrated_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """`make ui` in a project of two estimators, one of them of two variants, nothing synced yet."""
    root = tmp_path_factory.mktemp("project")
    leaders = root / "data" / "leaders" / "four_rooms"
    variants("bc_hg", "corrected", "published").write(leaders / "bc_hg")
    variants("naive", "published").write(leaders / "naive")
    cells = [{"problem": "four_rooms", "estimator": name} for name in ("bc_hg", "naive")]
    write_json(root / "data" / "grid.json", {"cells": cells})
    (root / "mlflow.db").write_bytes(migrated_store.read_bytes())
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with browser(tmp_path_factory.mktemp("chromium")) as driver:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.ui", "--port", str(port)],
            cwd=root,
            env=Clone(root).environment | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            printed = iter(process.stdout.readline, "")
            links = (line.strip() for line in printed if "/#/experiments/" in line)
            link = next(links, "")
            assert link, "no server, see above"
            yield Page(driver, link, f"http://127.0.0.1:{port}")
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)


def charts(page: Page) -> list[dict[str, Any]]:
    """The charts of the page that have something drawn."""
    return [chart for chart in script(page.driver, CHARTS) if chart["lines"]]


def test_the_link_opens_charts_by_estimator_with_bands(page: Page) -> None:
    def three_groups() -> bool:
        # Runs come in beside the server: a page that was opened before the last one shows fewer.
        page.driver.get("about:blank")
        page.driver.get(page.link)
        end = time.monotonic() + 20.0
        while time.monotonic() < end:
            if {3} <= {len(chart["bands"]) for chart in charts(page)}:
                return True
            time.sleep(0.2)
        return False

    wait_for("three groups", three_groups)
    titles = [chart["title"] for chart in script(page.driver, CHARTS)]
    assert re.match(r"1_return/leader_return(?!_)", titles[0]), titles
    first = charts(page)[0]
    assert first["title"] == titles[0]
    assert first["points"] >= 3 * 2
    # A seed's curve is one, two or three times the first one's: no band is a line.
    assert min(first["bands"]) > 20, first
    text = script(page.driver, "return document.body.textContent")
    assert "Group by: estimator" in text
    assert "9 matching runs" in text


def test_a_filter_leaves_the_variant_that_it_names(page: Page) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    page.driver.get(page.link)
    wait_for("the search box", lambda: script(page.driver, f"return {BOX}?.value"))
    box = page.driver.find_element(By.CSS_SELECTOR, "[data-testid='search-box']")
    box.send_keys(Keys.END, " and params.variant = 'corrected'", Keys.ENTER)
    wait_for(
        "the runs of one variant",
        lambda: "3 matching runs" in script(page.driver, "return document.body.textContent"),
    )
    wait_for("one group", lambda: {len(chart["bands"]) for chart in charts(page)} == {1})


def test_a_run_shows_its_figure_its_theta_and_its_settings(page: Page) -> None:
    from selenium.webdriver.common.by import By

    driver = page.driver
    driver.get(page.link)
    hrefs = "return [...document.querySelectorAll('a')].map(a => a.href)"
    found = wait_for(
        "a link to a run",
        lambda: [each for each in script(driver, hrefs) if re.search(r"/runs/\w{32}$", each)],
    )
    driver.get(f"{found[0]}/artifacts")
    picture = "return document.querySelector('img[alt=\"{}\"]')?.naturalWidth"
    shown = {
        "penalty_map.png": picture.format("penalty_map.png"),
        "theta.svg": picture.format("theta.svg"),
        "theta.csv": "return document.body.textContent.includes('component')",
        "params.json": "return document.body.textContent.includes('step size')",
    }
    for name, question in shown.items():
        wait_for(
            f"{name} in the list",
            lambda name=name: driver.find_elements(By.XPATH, f"//*[text()='{name}']"),
        )[0].click()
        wait_for(name, lambda question=question: script(driver, question))
