"""Where runs are shown, and whose they are: one database, one name per clone."""

import fcntl
import json
import os
import re
import secrets
import subprocess
from hashlib import sha256
from pathlib import Path

SQLITE = "sqlite:///"
#: The same to SQLAlchemy, but MLflow creates no folder that is called like the encoded path.
ENCODED_SQLITE = "sqlite+pysqlite:///"
#: DVC's states of an experiment that failed, was cancelled, or has its name in Git.
ENDED = (4, 5, 6)


def tracking_uri(root: Path) -> str:
    """MLFLOW_TRACKING_URI, else mlflow.db in DVC_ROOT, else mlflow.db in `root`.

    Absolute, because `dvc exp run --temp` works in a folder that is thrown away; percent-encoded
    where need be, because a `?` in a folder's name would start the options of a database.
    """
    if given := os.environ.get("MLFLOW_TRACKING_URI"):
        return given
    path = str(_repository(root) / "mlflow.db")
    encoded = path.replace("%", "%25").replace("?", "%3F")
    return f"{SQLITE if encoded == path else ENCODED_SQLITE}{encoded}"


def workspace(root: Path) -> str:
    """Whose runs these are: BILEVELRL_WORKSPACE, else the clone's name and its DVC experiment's.

    Neither two clones that share a store nor an experiment and its working tree may retire each
    other's runs.
    """
    own = os.environ.get("BILEVELRL_WORKSPACE")
    experiment = os.environ.get("DVC_EXP_NAME")
    parts = [own] if own else [clone_name(_repository(root)), experiment or ""]
    return _plain("/".join(filter(None, parts)))


def derived_names(root: Path) -> frozenset[str] | None:
    """Names of the DVC experiments and profiles of a project: workspaces below its own.

    None if nobody can tell: without Git, or while an experiment runs, which has no name in Git yet.
    """
    records = (root / ".dvc" / "tmp" / "exps" / "run").rglob("*.run")
    if not all(map(_has_ended, records)):
        return None
    command = ["git", "for-each-ref", "--format=%(refname)", "refs/exps"]
    try:
        listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    experiments = {line.rpartition("/")[2] for line in listed.stdout.split()}
    return frozenset(experiments | {path.stem for path in (root / "profiles").glob("*.yaml")})


def computed_profiles(root: Path) -> list[str]:
    """Names of the profiles of a project that have leaders, see `pipeline.profile`."""
    return sorted(path.parents[1].name for path in root.glob(".work/profiles/*/data/leaders"))


def _has_ended(record: Path) -> bool:
    """Whether DVC's record of an experiment, which outlives one from the queue, says so."""
    try:
        return json.loads(record.read_bytes())["status"] in ENDED
    except FileNotFoundError:
        return True  # just now
    except (OSError, ValueError, KeyError, TypeError):
        return False


def clone_name(root: Path) -> str:
    """A clone's folder name and six random digits, kept beside what DVC keeps for itself.

    A clone that was moved keeps its name, a copy of one gets its own. Where nothing can be kept,
    the digits are a digest of the path.
    """
    here = root.resolve()
    keep = here / ".dvc" / "tmp" if (here / ".dvc").is_dir() else here / ".work"
    fresh = _plain(here.name or "clone").replace("/", "-")
    try:
        keep.mkdir(parents=True, exist_ok=True)
        with (keep / "workspace").open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # two first processes must agree
            file.seek(0)
            name, _, path = file.read().rstrip("\n").partition("\n")
            original = Path(path)
            if not path or (original != here and _same_name(keep, here, original, name)):
                name = f"{fresh}-{secrets.token_hex(3)}"
            if path != str(here):
                file.truncate(0)
                file.write(f"{name}\n{here}\n")
            return name
    except (OSError, UnicodeError):
        return f"{fresh}-{sha256(os.fsencode(here)).hexdigest()[:6]}"


def _same_name(keep: Path, here: Path, original: Path, name: str) -> bool:
    """Whether the clone that this name was made for is still where it was."""
    try:
        text = (original / keep.relative_to(here) / "workspace").read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        return False
    return text.partition("\n")[0] == name


def _repository(root: Path) -> Path:
    return Path(os.environ.get("DVC_ROOT") or root).absolute()


def _plain(name: str) -> str:
    """Without characters that mean something in a search or a link."""
    return re.sub(r"[^\w./-]+", "-", name)
