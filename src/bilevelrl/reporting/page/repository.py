"""What git says of a working copy: which commit it is of, and what differs from it."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Commit:
    """A commit: its hash, when it was made (ISO 8601), and the first line of its message."""

    name: str
    date: str
    subject: str

    def __str__(self) -> str:
        return f"{self.name[:12]} of {self.date}: “{self.subject}”"


def last_commit(root: Path, *paths: str) -> Commit | None:
    """The last commit of the working copy, or the last that changed one of `paths` below `root`.

    None where there is no Git repository or no such commit.
    """
    said = _git(root, "log", "-1", "--format=%H%x00%cI%x00%s", "--", *paths)
    return Commit(*said.strip().split("\0")) if said and said.strip() else None


def changed_files(root: Path, *paths: str) -> list[str] | None:
    """Files, untracked ones included, that differ from the last commit; None without Git.

    They are all those of the working copy, or those of `paths` below `root`.
    """
    said = _git(root, "status", "--porcelain=v1", "-z", "--no-renames", "--", *(paths or (".",)))
    return None if said is None else sorted(entry[3:] for entry in said.split("\0") if entry)


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", *arguments],
            cwd=root, capture_output=True, text=True, encoding="utf-8", check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout
