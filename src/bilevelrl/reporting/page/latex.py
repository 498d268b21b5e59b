"""The tables of the page as LaTeX, and one document that shows all of them."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from bilevelrl.core.atomic_files import write_atomically
from bilevelrl.figures.tables import to_latex
from bilevelrl.reporting.page.content import Table

#: What `figures.tables.to_latex` leaves as it is and pdfLaTeX does not know.
_SYMBOLS = {
    "θ": r"$\theta$", "β": r"$\beta$", "|": r"\textbar{}", "—": "--", "<": "$<$", ">": "$>$",
    "^": r"\^{}", "~": r"\~{}", "“": "``", "”": "''", "Σ": r"$\Sigma$", "·": r"$\cdot$",
    **{sign: f"$^{{{plain}}}$" for sign, plain in zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-", strict=True)},
}  # fmt: skip
_TABULAR = r"\begin{tabular}"
_HEAD = r"""% Every table of this folder: pdflatex all.tex
\documentclass[a4paper,landscape]{article}
\usepackage[margin=15mm]{geometry}
\usepackage{booktabs,graphicx}
\newcommand{\shown}[1]{\section*{\texttt{\detokenize{#1}}}\noindent
  \resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{\input{#1.tex}}\par}
\begin{document}
"""


def write_tables(folder: Path, tables: Iterable[Table], written: Path) -> list[Path]:
    """Write `<name>.tex` of every table that has a name, those of stage `figures`, and all.tex.

    Args:
        folder: receives them.
        tables: of the page.
        written: results/tables; `<problem>/<name>.tex` becomes `<problem>-<name>.tex`, unless it
            says that the grid has no such rows.

    Returns:
        The files, all.tex last; none if there is no table.
    """
    texts = {table.name: as_latex(table) for table in tables if table.name and table.rows}
    for path in sorted(written.glob("*/*.tex")):
        text = path.read_text(encoding="utf-8")
        if _TABULAR in text:
            texts[f"{path.parent.name}-{path.stem}"] = text
    return _write(folder, texts)


def as_latex(table: Table) -> str:
    """A booktabs tabular."""
    text = to_latex(table.frame)
    return re.sub("|".join(map(re.escape, _SYMBOLS)), lambda match: _SYMBOLS[match[0]], text)


def _write(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    if not texts:
        return []
    shown = "".join(f"\\shown{{{name}}}\n" for name in texts)
    files = {**texts, "all": f"{_HEAD}{shown}\\end{{document}}\n"}
    for name, text in files.items():
        write_atomically(folder / f"{name}.tex", text.encode())
    return [folder / f"{name}.tex" for name in files]
