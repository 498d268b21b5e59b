"""`dvc repro` that renders one stage of dvc.lock at a time: `python -m pipeline.dvc_repro`.

After every stage DVC reads and writes all of dvc.lock by a parser that keeps comments: seconds for
dozens of stages (docs/speed.md). Here the lines of the other stages stay, and DVC's own function
renders those of the one that ran: the same bytes. All else is DVC's.
"""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dvc import dvcfile
from dvc.cli import main as dvc
from dvc.utils.serialize import dumps_yaml, modify_yaml, parse_yaml

from bilevelrl.core.atomic_files import write_atomically

#: How DVC begins a dvc.lock.
_HEAD = "schema: '2.0'\nstages:\n"
_STAGE = re.compile(r"^  (?=\S)", flags=re.MULTILINE)


class LockWriter:
    """Remembers the lines of every stage as long as nobody else writes the file."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._text = ""
        self._content: dict[str, Any] = {}

    @contextmanager
    def modify(self, path: str, fs: Any = None) -> Iterator[dict[str, Any]]:
        """In the place of DVC's `modify_yaml`: what is in the file, to be changed until the end.

        Args:
            path: of any YAML file; only a dvc.lock as DVC writes it is not left to DVC.
            fs: DVC's file system.
        """
        file = Path(path)
        text = file.read_text(encoding="utf-8") if file.name == "dvc.lock" and file.exists() else ""
        content = self._content
        if not text or text != self._text:
            content = parse_yaml(text, path) if text.startswith(_HEAD) else {}
        self._text = ""
        before = dict(content.get("stages") or {})
        lines = [f"  {own}" for own in _STAGE.split(text[len(_HEAD) :])[1:]]
        if set(content) != {"schema", "stages"} or len(lines) != len(before):
            with modify_yaml(path, fs=fs) as content:
                yield content
            return
        known = dict(zip(before, lines, strict=True))
        yield content
        written = [
            known[name] if own is before.get(name) else _rendered(name, own)
            for name, own in content["stages"].items()
        ]
        text = "".join([_HEAD, *written])
        write_atomically(file, text.encode())
        self._text, self._content = text, content


def _rendered(name: str, stage: dict[str, Any]) -> str:
    text: str = dumps_yaml({"stages": {name: stage}})
    return text.removeprefix("stages:\n")


def main(arguments: list[str]) -> int:
    """`dvc repro` with these arguments; its exit status."""
    dvcfile.modify_yaml = LockWriter().modify
    status: int = dvc(["repro", *arguments])
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
