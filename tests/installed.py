"""A wheel of this project, and users who install it into environments of their own."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
#: What the sdist is made of.
SOURCES = (
    "CHANGELOG.md", "CITATION.cff", "LICENSE", "MANIFEST.in", "README.md", "docs/library.md",
    "examples", "pyproject.toml", "src", "tests",
)  # fmt: skip


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def required(listed: Iterable[str], extra: str = "") -> dict[str, metadata.Distribution]:
    """The installed distributions that pip would install for requirements, by name."""
    found: dict[str, metadata.Distribution] = {}
    waiting, seen = [*asked(listed, extra)], set[tuple[str, str]]()
    while waiting:
        if (next_one := waiting.pop()) not in seen:
            seen.add(next_one)
            name, own_extra = next_one
            found[name] = metadata.distribution(name)
            waiting += asked(found[name].requires or (), own_extra)
    return found


def asked(listed: Iterable[str], extra: str) -> Iterator[tuple[str, str]]:
    """Each requirement by name, and again with each of its extras."""
    for one in map(Requirement, listed):
        if not one.marker or one.marker.evaluate({"extra": extra}):
            yield from ((normalised(one.name), own) for own in ("", *one.extras))


class User:
    """A virtual environment without pip, and how a user runs Python in it."""

    def __init__(self, folder: Path, wheels: Path) -> None:
        self.folder, self.wheels = folder, wheels
        self.python = folder / "env" / "bin" / "python"
        command = [sys.executable, "-m", "venv", "--without-pip", str(folder / "env")]
        subprocess.run(command, check=True)
        (self.site,) = (folder / "env" / "lib").glob("python*/site-packages")
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("NUMBA", "PYTHON", "VIRTUAL_ENV"))
        }
        self.environment = kept | {"XDG_CACHE_HOME": str(folder / "cache")}

    def link(self, distributions: dict[str, metadata.Distribution]) -> None:
        """Put packages there as they are installed here; whole folders, for they are large."""
        owners = metadata.packages_distributions()
        for one in distributions.values():
            for top in {file.parts[0] for file in one.files or ()} - {"..", "__pycache__"}:
                # A folder of several packages would bring those that nobody asked for.
                assert {*map(normalised, owners.get(top, []))} <= distributions.keys(), top
                if not (self.site / top).exists():
                    (self.site / top).symlink_to(one.locate_file(top))

    def install(self, what: str) -> None:
        """Let pip find that all is there that the wheel requires, and install it."""
        pip = [sys.executable, "-m", "pip", "--python", str(self.python)]
        options = ["--quiet", "--no-index", "--no-compile", "--find-links", str(self.wheels)]
        self.call(*pip, "install", *options, what)

    def installed(self) -> set[str]:
        found = metadata.distributions(path=[str(self.site)])
        return {normalised(one.metadata["Name"]) for one in found}

    def run(self, code: str) -> str:
        """What a script prints; warnings are errors."""
        script = self.folder / "script.py"
        script.write_text(code, encoding="utf-8")
        return self.call(str(self.python), "-W", "error", str(script))

    def call(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def built(folder: Path) -> Path:
    """A wheel from the sdist, which is built from a copy: setuptools leaves files behind."""
    for name in SOURCES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy2(ROOT / name, folder / name)
    # PyTorch requires a setuptools that is new enough.
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", "dist", "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel
