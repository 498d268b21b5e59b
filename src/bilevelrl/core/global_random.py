"""Global random number generators, for code that draws from them, kept apart from everybody's."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


class OwnRandomNumbers:
    """States of Python's, NumPy's and PyTorch's generators that one consumer has for itself."""

    def __init__(self, seed: int | None = None) -> None:
        """Seeded, or where the global generators stand when they are first used."""
        self._state: tuple[Any, ...] | None = None
        if seed is not None:
            with self.used():
                random.seed(seed)
                np.random.seed(seed % 2**32)  # noqa: NPY002
                torch.manual_seed(seed)

    @contextmanager
    def used(self) -> Iterator[None]:
        """Let what runs inside draw from these, and leave the global ones as they were."""
        outside = _random_state()
        if self._state is not None:
            _set_random_state(self._state)
        try:
            yield
        finally:
            self._state = _random_state()
            _set_random_state(outside)


def _random_state() -> tuple[Any, ...]:
    used: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = torch.cuda.get_rng_state_all() if used else []
    return random.getstate(), np.random.get_state(), torch.get_rng_state(), devices  # noqa: NPY002


def _set_random_state(state: tuple[Any, ...]) -> None:
    random.setstate(state[0])
    np.random.set_state(state[1])  # noqa: NPY002
    torch.set_rng_state(state[2])
    if state[3]:
        torch.cuda.set_rng_state_all(state[3])
