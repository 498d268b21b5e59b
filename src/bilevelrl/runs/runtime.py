"""How to compute."""

from typing import Literal

from pydantic import model_validator

from bilevelrl.core.validation import Block, Count


class Runtime(Block):
    """How to compute; changes nothing in the results, so no DVC stage depends on it."""

    jobs: Count
    threads: Count
    backend: Literal["loky", "dask"]
    dask_scheduler: str | None

    @model_validator(mode="after")
    def _scheduler_is_named(self) -> "Runtime":
        if self.backend == "dask" and not self.dask_scheduler:
            raise ValueError("backend 'dask' needs dask_scheduler, e.g. tcp://127.0.0.1:8786")
        return self
