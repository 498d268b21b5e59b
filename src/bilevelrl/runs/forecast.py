"""How long runs and stages will take, from how long they once took on another machine."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Self

#: Columns of the table: CPU seconds of a run, or of all the rest of a DVC stage, whose name then
#: stands in `problem`, with nothing in `estimator`.
DURATION_COLUMNS = ("problem", "estimator", "setting", "updates", "seconds")


@dataclass(frozen=True)
class Forecast:
    """CPU seconds.

    Attributes:
        runs: of one update, by problem, estimator and setting.
        stages: of a DVC stage when all its runs are known.
    """

    runs: Mapping[tuple[str, str, str], float] = field(default_factory=dict)
    stages: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Self:
        """From a CSV file with columns `DURATION_COLUMNS`; knows nothing if there is none."""
        if not path.exists():
            return cls()
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return cls(
            {
                (row["problem"], row["estimator"], row["setting"]): float(row["seconds"])
                / float(row["updates"])
                for row in rows
                if row["estimator"]
            },
            {row["problem"]: float(row["seconds"]) for row in rows if not row["estimator"]},
        )

    def run(self, problem: str, estimator: str, setting: str, updates: int) -> float:
        """Of one run; of a setting that nobody measured, as of others of its estimator, or 1."""
        if (found := self.runs.get((problem, estimator, setting))) is not None:
            return found * updates
        for known in ((problem, estimator), (problem,)):
            alike = [value for key, value in self.runs.items() if key[: len(known)] == known]
            if alike:
                return fmean(alike) * updates
        return 1.0

    def remaining(self, stages: Iterable[str]) -> float:
        """Of some stages together, once all runs are known."""
        return sum(self.stages.get(stage, 0.0) for stage in stages)


def in_words(seconds: float) -> str:
    """To the minute from ten minutes on, to half of one below."""
    if seconds < 45.0:
        return "less than a minute"
    minutes = seconds / 60.0
    if minutes >= 10.0:
        return f"{minutes:.0f} min"
    return f"{round(2.0 * minutes) / 2.0:g} min"
