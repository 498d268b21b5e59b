"""One thin script per DVC stage, and `mlflow_sync`, which no stage depends on.

Whoever runs a script runs the package beside it: a DVC experiment in a folder of its own, or a
profile's copy, must not compute with the code that happens to be installed.
"""

import os
import sys
from pathlib import Path

# Bits must not depend on the number of cores: linear algebra with more threads adds up in another
# order. NumPy and SciPy read this when they are loaded, here and in worker processes.
os.environ |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

_SOURCES = Path(__file__).absolute().parents[1] / "src"
sys.path.insert(0, str(_SOURCES))

# Bytes of figures must depend on no other environment. Matplotlib looks there for styles and for
# its list of fonts, which takes a tenth of a second to make.
os.environ["MPLCONFIGDIR"] = str(_SOURCES.parent / ".work" / "matplotlib")

#: The files when a script started, before it imported any; None for those who import a script.
snapshot = None

if sys.argv[:1] == ["-m"]:  # so Python says until it has found the script of `python -m pipeline.x`
    from pipeline.installation import check_installation, say_less

    sys.excepthook = say_less
    check_installation(_SOURCES.parent)

    from pipeline.edits import Snapshot

    snapshot = Snapshot.take(_SOURCES.parent)
