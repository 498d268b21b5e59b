"""What every script does around its work: one clear line for what a user can mend, no traceback."""

import errno
import sys
from collections.abc import Callable

from bilevelrl.config import ConfigError
from bilevelrl.records import CorruptRecord

#: Of files that cannot be written, and what to do about it.
_REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some of your quota",
    errno.EROFS: "use a folder that can be written to",
    errno.EACCES: "allow writing there",
    errno.EPERM: "allow writing there",
}
_KEPT = "finished runs are kept, `dvc repro` goes on from there"
#: What a shell reports of a command that Ctrl-C ended.
INTERRUPTED = 130


def run_stage(stage: Callable[[], None]) -> None:
    """Run a stage; exit with one line if a user can mend what ended it.

    That is a wrong parameter or input file, Ctrl-C, and a lack of disk, permission or memory.
    """
    try:
        stage()
    except (ConfigError, CorruptRecord) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print(f"interrupted; {_KEPT}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except MemoryError as error:
        sys.exit(
            f"error: out of memory ({error or 'no reason given'}): lower runtime.jobs in "
            f"params.yaml; {_KEPT}"
        )
    except OSError as error:
        if error.errno not in _REMEDIES:
            raise
        remedy = _REMEDIES[error.errno]
        sys.exit(f"error: {error.filename}: {error.strerror}: {remedy}; {_KEPT}")
