"""What the results are of, and who rendered the page: commits, DVC's locks, packages, machine."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bilevelrl.reporting.page import machine
from bilevelrl.reporting.page.content import Section, Table, table
from bilevelrl.reporting.page.freshness import UnknownState, stale_stages
from bilevelrl.reporting.page.repository import changed_files, last_commit

#: What the pipeline writes and Git tracks.
TRACKED = ("dvc.lock", "results", "figures/png")


@dataclass(frozen=True)
class Verdict:
    """Whether the results are those of the code and settings beside them.

    Attributes:
        kind: "current", "stale" or "unknown".
        text: one sentence.
        stages: what changed, by stage, where they are stale.
    """

    kind: str
    text: str
    stages: Mapping[str, list[str]]


def verdict(folder: Path, remedy: str) -> Verdict:
    """Of the project in `folder`; `remedy` is the command that computes its results."""
    try:
        stale = stale_stages(folder)
    except UnknownState as error:
        return Verdict("unknown", f"DVC cannot tell whether the results are current: {error}.", {})
    if not stale:
        text = "The results are current: dvc.lock describes this code, these settings and tables."
        return Verdict("current", text, {})
    text = (
        f"The results are stale: {len(stale)} stages of dvc.yaml are not as dvc.lock describes "
        f"them (see “Origin”); `{remedy}` computes what is missing."
    )
    return Verdict("stale", text, stale)


def commits(root: Path, profile: str) -> Iterator[str]:
    """Sentences on the working copy in `root`, and of which commit its results are."""
    commit, changed = last_commit(root), changed_files(root)
    if commit is None or changed is None:
        yield "No Git repository: nobody knows of which commit this is."
        return
    dirty = f"{len(changed)} files differ from it" if changed else "nothing differs from it"
    yield f"Rendered from the working copy of commit {commit}; {dirty}."
    if profile:
        yield (
            f"Results are those of profile {profile} in .work/profiles/{profile}, which Git does "
            "not track."
        )
        return
    if (computed := last_commit(root, *TRACKED[:2])) is not None:
        yield f"Results are those of commit {computed}, the last that changed them or dvc.lock."
    if altered := changed_files(root, *TRACKED):
        shown = ", ".join(altered[:3]) + (f" and {len(altered) - 3} more" if altered[3:] else "")
        yield f"Of these, {len(altered)} files are not as committed: {shown}."


def section(known: Verdict, told: tuple[str, ...], packages: Table, tables: list[str]) -> Section:
    """Everything about where the page comes from; `tables` and figures lie beside it."""
    found = [packages, machine.machine()]
    if known.stages:
        rows = ({"stage": name, "changed": ", ".join(what)} for name, what in known.stages.items())
        caption = "Stages whose results are stale, and what changed since they ran."
        found.insert(0, table(caption, rows, folded=True))
    texts = (known.text, *told, *tables)
    return Section("origin", "Origin: versions and machine", texts, tuple(found))
