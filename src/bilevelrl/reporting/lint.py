"""What may not stand in a document: numbers outside markers, and links to nothing."""

import re
from collections.abc import Iterator
from pathlib import Path

from bilevelrl.reporting.documents import without_markers
from bilevelrl.reporting.registry import Constant
from bilevelrl.reporting.sources import ReportError, Sources

_FENCE = re.compile(r"^(`{3,}|~{3,}).*?^\1$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:\n|^)\n((?: {4}[^\n]*\n)+)")
_MATHS = re.compile(r"\$\$.*?\$\$|(?<![\w$])\$[^$\n]+\$(?!\w)", re.DOTALL)
_CODE = re.compile(r"`(?!\d*\.\d+`)[^`\n]+`")  # a decimal alone is no code
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_TARGET = re.compile(r"\]\([^)\n]*\)")
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_URL = re.compile(r"https?://\S+")
#: 0.5, .5, 1,000, 12, 5%, 10⁶ and 3·10⁵; single digits (1/2, R1, step 3) count where they count
#: runs or say how many times.
_FIGURE = re.compile(
    r"(?<![\w.])[−-]?(?:\d{1,3}(?:,\d{3})+|\d*\.\d+|\d+·10[⁰¹²³⁴-⁹⁻]*|\d+(?= ?%)|\d{2,})"
    r"[⁰¹²³⁴-⁹⁻]*(?: ?%| of \d+)?(?!\w)|\b\d of (?:the )?\d+"
    r"|(?<![\w.])\d(?= (?:seeds|runs|times)\b)|(?<=factor of )\d\b"
)
#: Comments that have a line to themselves.
_ALONE = re.compile(r"<!-- (?:table: \S+|end|reruns) -->")
_HEADING = re.compile(r"^#{1,6} +(?P<title>.+?)\s*$", re.MULTILINE)


def figures_outside(text: str) -> Iterator[tuple[int, str]]:
    """(line, number) of every number outside markers, code, mathematics and links."""
    prose = without_markers(text)
    for pattern in (_FENCE, _COMMENT, _INDENTED, _MATHS, _CODE, _TARGET, _URL):
        prose = pattern.sub(lambda match: "\n" * match[0].count("\n") or " ", prose)
    for line, content in enumerate(prose.splitlines(), start=1):
        for match in _FIGURE.finditer(content):
            yield line, match[0]


def marker_at_line_start(text: str) -> Iterator[int]:
    """Lines that begin with an inline marker, which Markdown then shows as plain text."""
    for line, content in enumerate(text.splitlines(), start=1):
        if re.match(r"\s*<!--", content) and not _ALONE.fullmatch(content):
            yield line


def broken_links(page: Path) -> Iterator[str]:
    """Relative links and images of a page that lead nowhere, heading anchors included."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for match in _LINK.finditer(text):
        target, _, anchor = match["target"].partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        aim = page if not target else page.parent / target
        if not aim.exists() or (anchor and aim.suffix == ".md" and anchor not in anchors(aim)):
            yield match["target"]


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", m["title"]) for m in _HEADING.finditer(text)]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def wrong_constants(constants: dict[str, Constant], sources: Sources) -> Iterator[str]:
    """Constants that params.yaml does not hold where they say."""
    for name, constant in constants.items():
        if constant.params is None:
            continue
        try:
            found = sources.parameter(constant.params)
        except ReportError as error:
            yield f"{name}: {error}"
            continue
        if _plain(name.partition("/")[2]) != float(found):
            yield f"{name}: params.yaml says {found} under {constant.params}"


def _plain(text: str) -> float:
    return float(text.replace(",", "").replace("−", "-"))
