"""Whether the tracked results are what the code and the settings beside them compute.

`dvc status` asks more, takes ten times as long, and calls everything stale where the large outputs
are not there, as in a fresh clone. Here outputs that Git does not track are taken on trust.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bilevelrl.core.validation import ConfigError, shortened
from bilevelrl.runs.yaml_files import read_mapping


class UnknownState(RuntimeError):
    """DVC cannot tell; the message says why."""


def stale_stages(root: Path) -> dict[str, list[str]]:
    """Stages of `root`/dvc.yaml that dvc.lock does not describe, and what changed since.

    Compared with dvc.lock are the command, parameters, code and other files that Git tracks, the
    tracked outputs that exist, and for what one stage hands another, the locks of both.

    Raises:
        UnknownState: if there is no DVC repository, or its files cannot be read.
    """
    from dvc.exceptions import DvcException  # takes a second
    from dvc.repo import Repo

    if not (root / "dvc.lock").is_file():
        raise UnknownState(f"{root / 'dvc.lock'} is missing")
    try:
        with Repo(str(root)) as repo:
            stages = repo.stage.load_all(path=str(root / "dvc.yaml"))
            check = _Check(root, stages)
            found = {stage.name: list(dict.fromkeys(check.changes(stage))) for stage in stages}
    except (DvcException, ConfigError, OSError) as error:
        raise UnknownState(shortened(str(error))) from error
    return {name: changes for name, changes in found.items() if changes}


class _Check:
    """Looks at every file once, whichever stages depend on it."""

    def __init__(self, root: Path, stages: list[Any]) -> None:
        self.root = root.absolute()
        self.outputs = {out.fs_path: out for stage in stages for out in stage.outs}
        self.seen: dict[tuple[str, object], bool] = {}
        self.files: dict[str, Any] = {}

    def changes(self, stage: Any) -> Iterator[str]:
        if stage.cmd_changed:
            yield "command"
        for dependency in stage.deps:
            if hasattr(dependency, "params"):
                yield from self._parameters(dependency)
            elif not self._is_current(dependency):
                yield self._name(dependency.fs_path)
        for out in stage.outs:
            tracked = not out.use_cache
            if tracked and Path(out.fs_path).exists() and not self._is_unchanged(out):
                yield self._name(out.fs_path)

    def _is_current(self, dependency: Any) -> bool:
        if (out := self.outputs.get(dependency.fs_path)) is not None:
            return bool(dependency.hash_info == out.hash_info)
        own = Path(dependency.fs_path)
        for out in map(Path, self.outputs):
            if own in out.parents or out in own.parents:
                return True  # all of data/environments, or a part of data/evaluate: no lock has it
        return self._is_unchanged(dependency)

    def _is_unchanged(self, entry: Any) -> bool:
        key = (entry.fs_path, entry.hash_info)
        if key not in self.seen:
            self.seen[key] = not entry.status()
        return self.seen[key]

    def _parameters(self, dependency: Any) -> Iterator[str]:
        if dependency.fs_path not in self.files:
            self.files[dependency.fs_path] = read_mapping(Path(dependency.fs_path))
        locked = dependency.hash_info.value or {}
        for key in dependency.params:
            place: Any = self.files[dependency.fs_path]
            for part in key.split("."):
                place = place.get(part, _Absent) if isinstance(place, dict) else _Absent
            if place != locked.get(key, _Absent):
                yield key

    def _name(self, path: str) -> str:
        return Path(path).relative_to(self.root).as_posix()


class _Absent:
    """In place of a parameter that is not there."""
