"""A store of its own for every test."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def uri(migrated_store: Path, tmp_path: Path) -> str:
    shutil.copy(migrated_store, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"
