"""Counts CPU seconds of every Python process that finds this folder on its path.

Python runs `sitecustomize` before anything else. A process of a DVC stage, or of its workers,
leaves one JSON file in STAGE_CLOCKS: what it spent in all, in imports, in Numba's compiler and in
SAC. Those that are no stage's count as `dvc`, `mlflow` (beside the stages) or `ahead`.
"""

import atexit
import functools
import importlib._bootstrap_external as loaders
import importlib.abc
import importlib.machinery
import json
import os
import sys
import time
from pathlib import Path

FOLDER, STAGE = os.environ.get("STAGE_CLOCKS"), os.environ.get("DVC_STAGE", "ahead")
spent = {"imports": 0.0, "compilation": 0.0, "sac": 0.0}
depth = dict.fromkeys(spent, 0)
started = time.time()


def timed(name, function):
    """`function`, whose outermost calls count."""

    @functools.wraps(function)
    def counted(*arguments, **options):
        before, depth[name] = time.process_time(), depth[name] + 1
        try:
            return function(*arguments, **options)
        finally:
            depth[name] -= 1
            if not depth[name]:
                spent[name] += time.process_time() - before

    return counted


def write():
    """What was spent so far; a worker may be killed at any time."""
    stage = "dvc" if "pipeline.dvc_repro" in sys.orig_argv else STAGE
    stage = "mlflow" if "--beside" in sys.orig_argv else stage
    content = spent | {"stage": stage, "cpu": time.process_time(), "started": started,
                       "ended": time.time()}  # fmt: skip
    path = Path(FOLDER) / f"{stage}-{os.getpid()}-{int(started * 1000)}.json"
    path.write_text(json.dumps(content))


def written_after(function):
    """`function`, after which the file is up to date."""

    @functools.wraps(function)
    def writing(*arguments, **options):
        try:
            return function(*arguments, **options)
        finally:
            write()

    return writing


def patch(module):
    """Put clocks on what a module defines."""
    if module.__name__ == "bilevelrl.models.deep.agent":
        module.SacAgent.learn = timed("sac", module.SacAgent.learn)
    elif module.__name__ == "bilevelrl.runs.execution":
        module._limited = written_after(module._limited)
    else:

        class Listener(module.Listener):
            def on_start(self, event):
                depth["compilation"] += 1
                if depth["compilation"] == 1:
                    self.before = time.process_time()

            def on_end(self, event):
                depth["compilation"] -= 1
                if not depth["compilation"]:
                    spent["compilation"] += time.process_time() - self.before

        module.register("numba:compile", Listener())


class Finder(importlib.abc.MetaPathFinder):
    """Patches a module after it has run."""

    def __init__(self):
        self.names = {"bilevelrl.models.deep.agent", "numba.core.event", "bilevelrl.runs.execution"}

    def find_spec(self, name, path=None, target=None):
        """The usual one, with another `exec_module`."""
        if name not in self.names:
            return None
        self.names.discard(name)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module

        def patched(module):
            run(module)
            patch(module)

        spec.loader.exec_module = patched
        return spec


if FOLDER:
    loaders._LoaderBasics.exec_module = timed("imports", loaders._LoaderBasics.exec_module)
    sys.meta_path.insert(0, Finder())
    atexit.register(write)
