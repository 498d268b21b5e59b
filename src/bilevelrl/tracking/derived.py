"""Workspaces below a clone's: its DVC experiments and profiles, which come and go."""

import subprocess
from pathlib import Path


def derived_names(root: Path) -> frozenset[str] | None:
    """Names of the DVC experiments and profiles of a project.

    None if nobody can tell: without Git, or while an experiment runs, which has no name in Git yet.
    """
    running = root / ".dvc" / "tmp" / "exps" / "run"
    if running.is_dir() and any(running.rglob("*.run")):
        return None
    command = ["git", "for-each-ref", "--format=%(refname)", "refs/exps"]
    try:
        listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    experiments = {line.rpartition("/")[2] for line in listed.stdout.split()}
    return frozenset(experiments | {path.stem for path in (root / "profiles").glob("*.yaml")})
