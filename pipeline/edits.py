"""Whether what a stage depends on was edited while it ran.

DVC looks at dependencies and parameters after the command, and would take results that the old ones
computed for results of the new ones.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

#: What people edit of what stages depend on, below the project's folder.
_EDITABLE = ("src/**/*.py", "pipeline/*.py", "requirements*", "params.yaml", "tuning/params.yaml")


@dataclass(frozen=True)
class Snapshot:
    """Files of a project as they were when a script started."""

    root: Path
    contents: Mapping[str, bytes]  # of every file that people edit, by its path below `root`

    @classmethod
    def take(cls, root: Path) -> "Snapshot":
        """As they are now."""
        paths = (path for pattern in _EDITABLE for path in root.glob(pattern) if path.is_file())
        return cls(root, {str(path.relative_to(root)): path.read_bytes() for path in paths})

    def edited(self, stage: str) -> list[str]:
        """Dependencies and parameters that are others now, of the stage that DVC_STAGE names."""
        then, now = self.contents, Snapshot.take(self.root).contents
        files = {path for path in {*then, *now} if then.get(path) != now.get(path)}
        if not files:
            return []
        dependencies = _dependencies(stage.rpartition(":")[2])
        if dependencies is None:
            return sorted(files)
        found = []
        for path, keys in dependencies:
            if keys is None:
                found += [file for file in files if file == path or file.startswith(f"{path}/")]
            elif path in files:
                before, after = _values(then.get(path)), _values(now.get(path))
                found += [key for key in keys if _at(key, before) != _at(key, after)]
        return sorted(set(found))


def _dependencies(stage: str) -> list[tuple[str, list[str] | None]] | None:
    """Path below the root of every dependency; of a file of parameters, also the keys.

    None if DVC cannot tell, as where dvc.yaml or a file of parameters no longer is YAML.
    """
    from dvc.exceptions import DvcException  # a second, for those who edit meanwhile
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            for found in repo.index.stages:
                if getattr(found, "name", None) == stage:
                    paths = [os.path.relpath(each.fs_path, repo.root_dir) for each in found.deps]
                    keys = [getattr(each, "params", None) for each in found.deps]
                    return list(zip(paths, keys, strict=True))
    except DvcException:
        pass
    return None


def _values(content: bytes | None) -> Mapping[str, object]:
    from bilevelrl.core.validation import ConfigError
    from bilevelrl.runs.yaml_files import parse_mapping  # which a snapshot must precede

    try:
        return parse_mapping((content or b"").decode(), "then")
    except (ConfigError, UnicodeDecodeError):
        return {}


def _at(key: str, value: object) -> object:
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
