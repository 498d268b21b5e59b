"""Writes what README.md and docs/ quote from results; `--check` only compares.

    python -m pipeline.docs            # rewrite everything between markers
    python -m pipeline.docs --check    # exit 1 with the first difference

No stage of DVC: documents are written by hand around the numbers. See `bilevelrl.reporting`.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from bilevelrl.core.atomic_files import write_atomically
from bilevelrl.core.validation import ConfigError
from bilevelrl.reporting import lint
from bilevelrl.reporting.documents import (
    Used,
    contradictions,
    first_difference,
    pages,
    read_report,
    rewritten,
    unused,
)
from bilevelrl.reporting.sources import ReportError, about


def write(root: Path) -> list[Path]:
    """Rewrite the documents of the project in `root`; those that changed."""
    report, changed = read_report(root), []
    for page in pages(root):
        text = page.read_text(encoding="utf-8")
        with about(page):
            new = rewritten(text, report, Used())
        if new != text:
            write_atomically(page, new.encode())
            changed.append(page)
    return changed


def problems(root: Path) -> Iterator[str]:
    """Everything that is wrong with the documents of the project in `root`, one line each."""
    report, used, seen = read_report(root), Used(), set()
    for page in pages(root):
        text, place = page.read_text(encoding="utf-8"), page.relative_to(root)
        with about(page):
            new = rewritten(text, report, used)
        if difference := first_difference(text, new):
            yield f"{place}:{difference}"
        for wrong in contradictions(text, report, used):
            yield f"{place}: {wrong}"
        for line, figure in lint.figures_outside(text):
            seen.add(name := f"{page.stem.lower()}/{figure}")
            if name not in report.registry.constants:
                yield f"{place}:{line}: {figure} stands outside markers and is no known constant"
        for line in lint.marker_at_line_start(text):
            yield f"{place}:{line}: a line that begins with a marker is shown as plain text"
        for target in lint.broken_links(page):
            yield f"{place}: nothing at {target}"
    for name in unused(report, used):
        yield f"docs: no document uses {name}"
    for constant in sorted(set(report.registry.constants) - seen):
        yield f"docs: no document has the constant {constant}"
    for wrong in lint.wrong_constants(report.registry.constants, report.sources):
        yield f"docs: constant {wrong}"


def main(arguments: list[str] | None = None, root: Path = Path()) -> None:
    """Write or check; exit with one line if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only, exit 1 if different")
    check = parser.parse_args(arguments).check
    try:
        if not check:
            for page in write(root):
                print(f"{page}: rewritten")
        for problem in problems(root):
            sys.exit(f"error: {problem}")
    except (ReportError, ConfigError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
