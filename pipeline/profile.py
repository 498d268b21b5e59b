"""Run the pipeline with another grid, in a folder of its own: `python -m pipeline.profile paper`.

A profile is a file profiles/<name>.yaml with differences to params.yaml; null removes a key. The
workspace is left alone: the profile works in .work/profiles/<name>, shares the run cache (what the
default grid computed already is not computed again) and the MLflow store, and leaves its summary in
results/<name>/.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bilevelrl.core.atomic_files import write_atomically
from bilevelrl.core.validation import ConfigError
from bilevelrl.runs.execution import work_folder
from bilevelrl.runs.params import read_params
from bilevelrl.runs.yaml_files import mapping_text, read_mapping
from bilevelrl.tracking.claims import wait_for_lock
from bilevelrl.tracking.workspace import tracking_uri, workspace
from pipeline.stage import run_stage, wait

#: What a profile's folder needs of the project, besides dvc.yaml and params.yaml.
SOURCES = (
    "pipeline", "src", "reference", "requirements.lock", "requirements-torch.txt", ".dvcignore",
    "benchmarks/results/durations.csv",
)  # fmt: skip


def merge(base: dict[str, Any], difference: dict[str, Any]) -> dict[str, Any]:
    """`base` with the keys of `difference` replaced, mappings key by key, null removing the key."""
    merged = dict(base)
    for key, value in difference.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def prepare(name: str, root: Path, folder: Path) -> None:
    """Write the profile's params.yaml, checked, and copy or refresh the sources beside it."""
    path = root / "profiles" / f"{name}.yaml"
    if not path.exists():
        known = sorted(profile.stem for profile in (root / "profiles").glob("*.yaml"))
        raise ConfigError(f"profile {name!r}: no file {path}; there are {known}")
    merged = merge(read_mapping(root / "params.yaml"), read_mapping(path, may_be_empty=True))
    write_atomically(folder / "params.yaml", mapping_text(merged).encode())
    read_params(folder / "params.yaml")
    shutil.copy2(root / "dvc.yaml", folder)
    for source in SOURCES:
        target = folder / source
        if (root / source).is_dir():
            shutil.rmtree(target, ignore_errors=True)
            ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(root / source, target, ignore=ignore)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / source, target)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep others from preparing a profile's folder; a ConfigError if one works there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        if not wait_for_lock(lock.fileno(), 0.0):
            raise ConfigError(
                f"profile {folder.name!r}: another process runs it in {folder}; wait for its end"
            )
        yield


def main(name: str, root: Path) -> None:
    """Run `dvc repro` for the profile and copy its small results to results/<name>/."""
    folder = root / ".work" / "profiles" / name
    environment = os.environ | {
        "BILEVELRL_WORK": str(work_folder().absolute()),
        "BILEVELRL_WORKSPACE": f"{workspace(root)}/{name}",
        "MLFLOW_TRACKING_URI": tracking_uri(root),
    }
    with alone(folder):
        prepare(name, root, folder)
        if not (folder / ".dvc").exists():
            subprocess.run(["dvc", "init", "--quiet", "--no-scm"], cwd=folder, check=True)
            subprocess.run(["dvc", "config", "core.analytics", "false"], cwd=folder, check=True)
        command = [sys.executable, "-m", "pipeline.repro"]
        if status := wait(subprocess.Popen(command, cwd=folder, env=environment)):
            sys.exit(status)
        results = root / "results" / name
        results.mkdir(parents=True, exist_ok=True)
        for path in sorted((folder / "results").glob("*.*")):
            shutil.copyfile(path, results / path.name)
    shown = results.relative_to(root)
    print(f"profile {name}: summary in {shown}, figures in {folder / 'figures'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    arguments = parser.parse_args()
    run_stage(lambda: main(arguments.name, Path.cwd()))
