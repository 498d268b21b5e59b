"""Bits of a run depend on its seed alone."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.cell import Context
from bilevelrl.core.entries import names_of
from bilevelrl.problems.four_rooms.settings import (
    ESTIMATORS,
    FourRoomsLeaders,
)
from bilevelrl.runs.chunks import Chunk, Run, train_chunk
from tests.core.tiny_runs import (
    CONSTANTS,
    make_setting,
    threads,
    trained,
    truncated,
)
from tests.follower_params import FOLLOWERS

Floats = NDArray[np.float64]


LEADERS = FourRoomsLeaders(
    num_updates=1,
    max_rows=500,
    max_gradient_norm=1.0,
    initial_spread=0.01,
)


CONTEXT = Context(CONSTANTS, FOLLOWERS, LEADERS)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two would wait for each other a hundred times an update, for two runs."""
    with threads(1):
        yield


def test_same_seed_same_bits_other_seed_other_bits() -> None:
    first, again = (trained("bc_hg", 4, 2, seeds=(0, 1)) for _ in range(2))
    np.testing.assert_array_equal(first.theta, again.theta)
    for name, values in first.curves.items():
        np.testing.assert_array_equal(values, again.curves[name], err_msg=name)
    assert (first.theta[0] != first.theta[1]).all()
    twins = trained("bc_hg", 4, 2, seeds=(1, 1)).theta
    np.testing.assert_array_equal(twins, np.stack([first.theta[1]] * 2))


def mixed_runs(estimator: str, changes: dict[str, str]) -> list[Run]:
    """40 runs that share arrays and nothing else; some seeds occur twice."""
    variant, start = changes.get("variant", "published"), changes.get("start")
    if (estimator, variant) not in ESTIMATORS:
        variant = "corrected"
    known, runs = ESTIMATORS[estimator, variant], []
    for i in range(40):
        mixed: dict[str, Any] = {
            "temperature": (0.001, 0.003, 0.005)[i % 3],
            "initial_spread": (0.01, 1.0, 3.0)[i // 3 % 3],
            "num_updates": 3,
        }
        if known.has("step_size"):
            mixed["step_size"] = (0.5, 0.1, 0.05, 0.01)[i % 4]
        if known.has("critic"):
            mixed["critic"] = {"kind": "sarsa", "step_size": (0.1, 0.5, 1.0)[i // 2 % 3]}
        if known.has("radius"):
            mixed["radius"] = (0.01, 1.0)[i // 5 % 2]
        if known.has("spread"):
            mixed["spread"] = (0.1, 1.0)[i // 5 % 2]
        if start is not None:
            mixed["follower"] = truncated(start, (1, 2, 20)[i // 4 % 3])
        setting = make_setting(estimator, variant, **mixed)
        runs.append(Run(setting, seed=i // 2 if i < 10 else i, key=str(i)))
    return runs


def train_together(estimator: str, runs: list[Run]) -> list[dict[str, Floats]]:
    return train_chunk(
        Chunk("four_rooms", "four_rooms", estimator, tuple(runs), CONTEXT, LEADERS.max_rows)
    )


CORRECTED = {"variant": "corrected"}


CARRY, RESET = {"start": "carry"}, {"start": "reset"}


@pytest.mark.parametrize(
    ("estimator", "changes"),
    [(name, {}) for name in names_of(ESTIMATORS)]
    + [("bc_hg", CORRECTED), ("exact", CORRECTED)]
    + [(name, start) for name in ("bc_hg", "hpgd_mc", "zero_order") for start in (CARRY, RESET)],
    ids=lambda value: value if isinstance(value, str) else "-".join(value.values()),
)
def test_bits_depend_on_neither_the_batch_nor_the_threads(
    estimator: str, changes: dict[str, str]
) -> None:
    runs = mixed_runs(estimator, changes)
    with threads(1):
        together = train_together(estimator, runs)
        alone = [(i, train_together(estimator, [runs[i]])[0]) for i in (0, 18, 39)]
    with threads(2):
        on_two = train_together(estimator, runs)
    expected = dict(enumerate(together))
    for i, found in [*enumerate(on_two), *alone]:
        assert found.keys() == expected[i].keys()
        for name, values in found.items():
            np.testing.assert_array_equal(values, expected[i][name], err_msg=f"run {i}, {name}")
    assert len({result["theta"].tobytes() for result in together}) > 30
