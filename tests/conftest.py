"""Fixtures shared by all tests."""

from collections.abc import Iterator
from pathlib import Path

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.problems.four_rooms.problem import FourRooms, SlipKernels


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What computes the smoke profile comes first, what needs it computed late, small files last.

    Two processes that take one file after the other (`-n 2 --dist loadfile`) then end together.
    """
    late = {
        "test_smoke_forced.py": 2, "test_extending.py": 3, "test_reruns.py": 3,
        "test_experiments.py": 3,
    }  # fmt: skip
    places = {"test_smoke.py": 0, **late}
    last = {Path(__file__).parent / name for name in ("reporting", "runs", "studies", "tracking")}

    def place(item: pytest.Item) -> int:
        return places.get(item.path.name, 4 if last & {*item.path.parents} else 1)

    items.sort(key=place)


@pytest.fixture(autouse=True)
def one_numba_thread() -> Iterator[None]:
    """Threads that fight over busy cores slow tiny kernels down a hundredfold."""
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(before)


@pytest.fixture(scope="session")
def migrated_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow store to copy: a new one costs 1.5 s of migrations, a copy nothing."""
    from mlflow import MlflowClient  # most tests do without, and it takes seconds

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(params=["corrected", "published"])
def slip_kernels(request: pytest.FixtureRequest) -> SlipKernels:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def problem(slip_kernels: SlipKernels) -> FourRooms:
    return FourRooms(slip_kernels=slip_kernels)


@pytest.fixture
def theta() -> NDArray[np.float64]:
    """Generic leader parameters of three runs: no symmetry, penalties from tiny to dominant."""
    return 1.5 * np.random.default_rng(20).standard_normal((3, 105))
