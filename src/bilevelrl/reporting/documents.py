"""README.md and docs/: finds the markers, writes what the results say, and finds differences.

In a sentence stands <!--=NAME-->text<!--/-->, where NAME is a registered number or
`params:dotted.path`. A table stands between <!-- table: NAME --> and <!-- end -->. A sentence that
asserts something about results names the check of it, <!-- claim: NAME -->.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bilevelrl.reporting.registry import read_registries
from bilevelrl.reporting.report import Report
from bilevelrl.reporting.sources import ReportError, Sources

_NUMBER = re.compile(r"<!--=(?P<name>[^\n>]*?)-->(?P<text>(?:(?!<!--)[^\n])*)<!--/-->")
_TABLE = re.compile(
    r"^<!-- table: (?P<name>\S+) -->\n(?P<text>(?:(?!<!-- (?:table|end)).)*)^<!-- end -->$",
    re.MULTILINE | re.DOTALL,
)
_CLAIM = re.compile(r"<!-- claim: (?P<name>\S+) -->")
#: Anything that was meant as a marker.
_ATTEMPT = re.compile(r"<!--\s*(?:=|/|table|end|claim)[^\n]*?-->")
_RERUNS = re.compile(r"^<!-- reruns -->\n.*?^<!-- end -->$", re.MULTILINE | re.DOTALL)


@dataclass
class Used:
    """Names that the documents use."""

    numbers: set[str] = field(default_factory=set)
    tables: set[str] = field(default_factory=set)
    claims: set[str] = field(default_factory=set)


def pages(root: Path) -> list[Path]:
    """The documents that have markers: README.md and everything in docs/."""
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]


def read_report(root: Path) -> Report:
    """The registries of docs/ with the results of the project in `root`."""
    return Report(read_registries(root / "docs"), Sources(root))


def rewritten(text: str, report: Report, used: Used) -> str:
    """A document with everything between its markers as the results have it.

    `used` collects the names.

    Raises:
        ReportError: if a marker names nothing or is not closed.
    """

    def table(match: re.Match[str]) -> str:
        used.tables.add(match["name"])
        return f"<!-- table: {match['name']} -->\n\n{report.table(match['name'])}\n<!-- end -->"

    def inline(match: re.Match[str]) -> str:
        used.numbers.add(match["name"])
        return f"<!--={match['name']}-->{report.number(match['name'])}<!--/-->"

    rest = without_markers(text)
    if open_marker := _ATTEMPT.search(rest):
        raise ReportError(f"{open_marker[0]} is not closed, or closes nothing")
    return _NUMBER.sub(inline, _TABLE.sub(table, text))


def contradictions(text: str, report: Report, used: Used) -> Iterator[str]:
    """What the results contradict of the claims that a document names."""
    for match in _CLAIM.finditer(text):
        used.claims.add(match["name"])
        if wrong := report.contradicted(match["name"]):
            yield wrong


def without_markers(text: str) -> str:
    """A document without what stands between markers; lines keep their numbers."""
    for pattern in (_RERUNS, _TABLE, _NUMBER, _CLAIM):
        text = pattern.sub(lambda match: "\n" * match[0].count("\n"), text)
    return text


def first_difference(old: str, new: str) -> str | None:
    """Where a document differs from what the results say, None if it does not."""
    before, after = old.splitlines(), new.splitlines()
    for place, (was, should) in enumerate(zip(before, after, strict=False), start=1):
        if was != should:
            return f"{place}: {_differing_part(was, should)}"
    if len(before) == len(after):
        return None
    return f"{min(len(before), len(after)) + 1}: has {len(before)} lines instead of {len(after)}"


def _differing_part(was: str, should: str) -> str:
    for old, new in zip(_NUMBER.finditer(was), _NUMBER.finditer(should), strict=False):
        if old["text"] != new["text"]:
            return f"{old['name']} is {old['text']!r}, the results say {new['text']!r}"
    return f"{was!r} should be {should!r}"


def unused(report: Report, used: Used) -> list[str]:
    """Registered names that no document uses."""
    registry = report.registry
    computed = [entry.compute or "" for entry in registry.numbers.values()]
    referred = " ".join(computed + [claim.compare or "" for claim in registry.claims.values()])
    numbers = {name for name in registry.numbers if f"{{{name}}}" not in referred}
    tables, claims = registry.tables.keys() - used.tables, registry.claims.keys() - used.claims
    return sorted((numbers - used.numbers) | tables | claims)
