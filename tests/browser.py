"""Headless Chromium for tests that look at pages, with nothing of the user's and no network use."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

T = TypeVar("T")
PROGRAMS = ("chromium", "chromedriver")
ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--window-size=1600,1100",
)  # fmt: skip
PATIENCE = 240.0  # seconds, for a page on a busy machine; an idle one takes a few


def missing() -> str:
    """What keeps Chromium from being driven, empty if nothing does."""
    programs = [name for name in PROGRAMS if shutil.which(name) is None]
    packages = [] if find_spec("selenium") else ["selenium"]
    names = ", ".join(programs + packages)
    return f"not installed: {names} (Debian: chromium, chromium-driver)" if names else ""


@contextmanager
def browser(folder: Path) -> "Iterator[Chrome]":
    """A browser whose profile is in a folder; the test is skipped without one, and fails in CI."""
    if why := missing():
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    for argument in (*ARGUMENTS, f"--user-data-dir={folder}"):
        options.add_argument(argument)
    options.binary_location = str(shutil.which("chromium"))
    driver = Chrome(options, Service(shutil.which("chromedriver")))
    try:
        driver.set_script_timeout(PATIENCE)
        yield driver
    finally:
        driver.quit()


def wait_for(what: str, ask: Callable[[], T]) -> T:
    """The first answer that is true; what was never seen is the reason of the failure."""
    end = time.monotonic() + PATIENCE
    while not (answer := ask()):
        assert time.monotonic() < end, f"not seen in {PATIENCE:.0f} s: {what}"
        time.sleep(0.2)
    return answer


def script(driver: "Chrome", body: str) -> Any:
    """What a piece of JavaScript returns."""
    return driver.execute_script(body)  # type: ignore[no-untyped-call]
