"""One thin script per DVC stage, and `mlflow_sync`, which no stage depends on."""

import sys
from types import TracebackType


def _say_less(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    # While a script still imports; afterwards `pipeline.stage.run_stage` answers.
    if issubclass(kind, KeyboardInterrupt):
        print("interrupted before anything was computed", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


sys.excepthook = _say_less
