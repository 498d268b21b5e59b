"""The result tables as Markdown and LaTeX."""

from typing import Literal

import numpy as np
import pandas as pd

from bilevelrl.figures import style

_EMPTY = "–"
_LATEX_ESCAPES = str.maketrans({"%": r"\%", "_": r"\_", "&": r"\&", "#": r"\#"})
_LATEX_SIGNS = {"±": r"$\pm$", "–": "--", "−": "$-$"}


Statistic = Literal["iqm", "mean"]


def results_table(summary: pd.DataFrame, statistic: Statistic) -> pd.DataFrame:
    """Final J of every estimator and budget, in words.

    Args:
        summary: columns estimator, variant, temperature, budget, metric, value, low, high of the
            main comparison.
        statistic: "iqm" with its interval, or the paper's "mean" ± SE.

    Returns:
        Text; one row per temperature and estimator, one column per budget.
    """
    budgets = sorted(set(summary["budget"]) - {0})
    rows = []
    for temperature in sorted(set(summary["temperature"])):
        for estimator, variant, lines in style.groups(
            summary[summary["temperature"] == temperature]
        ):
            row = {"temperature": f"{temperature:g}", "estimator": style.label(estimator, variant)}
            for budget in budgets:
                # What samples nothing costs the same at every budget: shown once in each column.
                cell = lines[lines["budget"].isin([budget, 0])].set_index("metric")
                row[f"{budget}"] = _interval(cell) if statistic == "iqm" else _mean(cell)
            rows.append(row)
    return pd.DataFrame(rows)


def against_published_table(comparison: pd.DataFrame) -> pd.DataFrame:
    """Ours against published, in words.

    Args:
        comparison: columns of `results/against_published.csv`.
    """
    rows = [
        {
            "temperature": f"{row['temperature']:g}",
            "budget": f"{row['budget']}",
            "estimator": style.label(str(row["estimator"])),
            "ours": _plus_minus(row["ours_mean"], row["ours_standard_error"]),
            "published": _plus_minus(row["published_mean"], row["published_standard_error"]),
            "difference": _number(row["difference"]),
            "z": _EMPTY if np.isnan(row["z"]) else f"{row['z']:.1f}".replace("-", "−"),
            "within 3 SE": "yes" if row["within_3_se"] else "no",
        }
        for _, row in comparison.iterrows()
    ]
    return pd.DataFrame(rows)


def to_markdown(table: pd.DataFrame) -> str:
    """A pipe table, or a note if there are no rows."""
    if table.empty:
        return "Not in this grid.\n"
    lines = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def to_latex(table: pd.DataFrame) -> str:
    """A booktabs tabular, or a note if there are no rows."""
    if table.empty:
        return "Not in this grid.\n"
    lines = [_latex_row(list(table.columns)), *map(_latex_row, table.to_numpy().tolist())]
    body = "".join(lines[1:])
    columns = "l" * len(table.columns)
    return (
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{lines[0]}\\midrule\n{body}"
        "\\bottomrule\n\\end{tabular}\n"
    )


def _latex_row(cells: list[str]) -> str:
    text = " & ".join(cell.translate(_LATEX_ESCAPES) for cell in cells)
    for sign, command in _LATEX_SIGNS.items():
        text = text.replace(sign, command)
    return f"{text} \\\\\n"


def _number(value: float) -> str:
    text = f"{value:.3f}"
    # -0.0004 must not print as "−0.000".
    return text.lstrip("-") if float(text) == 0.0 else text.replace("-", "−")


def _plus_minus(value: float, error: float) -> str:
    return f"{_number(value)} ± {_number(error)}"


def _interval(cell: pd.DataFrame) -> str:
    metric = "leader_return_final_iqm"
    if metric not in cell.index:
        return _EMPTY
    value, low, high = (_number(float(cell[end][metric])) for end in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def _mean(cell: pd.DataFrame) -> str:
    if "leader_return_mean" not in cell.index:
        return _EMPTY
    value = cell["value"].astype(float)
    return _plus_minus(value["leader_return_mean"], value["leader_return_se"])
