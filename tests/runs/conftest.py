"""Fixtures for tests of parameter files."""

from pathlib import Path

import pytest

from bilevelrl.core.atomic_files import write_atomically
from bilevelrl.runs.params import Params, read_params
from bilevelrl.runs.yaml_files import mapping_text
from tests.runs.params_files import ROOT, Content, Read, load


@pytest.fixture(scope="module")
def shipped() -> Content:
    return load("params.yaml")


@pytest.fixture(scope="module")
def shipped_params() -> Params:
    return read_params(ROOT / "params.yaml")


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def write_and_read(content: Content) -> Params:
        path = tmp_path / "params.yaml"
        write_atomically(path, mapping_text(content).encode())
        return read_params(path)

    return write_and_read
