"""How far a list of tasks has come: a bar on terminals, a line a minute elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

from bilevelrl.runs.forecast import in_words

#: Seconds between two lines where there is no terminal.
PAUSE = 60.0
_BAR = "{desc}: {percentage:3.0f} % |{bar}| {elapsed} so far, about {remaining} left"


@contextmanager
def progress(total: int, description: str) -> Iterator[Callable[[int], object]]:
    """What is to be called with the units that were done, out of `total`."""
    if sys.stderr.isatty():
        with tqdm(total=total, desc=description, bar_format=_BAR, file=sys.stderr) as bar:
            yield bar.update
    else:
        yield _Lines(total, description).update


class _Lines:
    def __init__(self, total: int, description: str) -> None:
        self._total, self._done, self._description = total, 0, description
        self._started = self._said = time.monotonic()

    def update(self, units: int) -> None:
        self._done += units
        now = time.monotonic()
        if now - self._said < PAUSE or not 0 < self._done < self._total:
            return
        self._said = now
        left = (now - self._started) * (self._total - self._done) / self._done
        share = 100.0 * self._done / self._total
        print(
            f"{self._description}: {share:.0f} % done, {in_words(left)} left",
            file=sys.stderr,
            flush=True,
        )
