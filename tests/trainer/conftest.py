"""Small networks are slower with helpers than alone."""

from collections.abc import Iterator

import pytest

from bilevelrl.core.threads import one_thread


@pytest.fixture(autouse=True)
def one_torch_thread() -> Iterator[None]:
    with one_thread():
        yield
