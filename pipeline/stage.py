"""What every stage script does around its work: one clear line for a bad input, no traceback."""

import sys
from collections.abc import Callable

from bilevelrl.config import ConfigError
from bilevelrl.records import CorruptRecord


def run_stage(stage: Callable[[], None]) -> None:
    """Run a stage; exit with one line if its parameters or its input files are wrong."""
    try:
        stage()
    except (ConfigError, CorruptRecord) as error:
        sys.exit(f"error: {error}")
