"""The result tables as Markdown and LaTeX."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from bilevelrl.figures import style

_EMPTY = "–"
_LATEX_ESCAPES = str.maketrans({"%": r"\%", "_": r"\_", "&": r"\&", "#": r"\#"})
_LATEX_SIGNS = {"±": r"$\pm$", "–": "--", "−": "$-$"}
#: Shares of runs, shown as counts where they are known: metric and heading.
_SHARES = {"stuck_fraction": "stuck", "unstable_fraction": "unstable"}


def means_table(summary: pd.DataFrame) -> pd.DataFrame:
    """The paper's statistic, mean ± standard error of the final J of the main comparison, as text.

    One row per temperature, estimator and case, one column per budget.
    """
    budgets = sorted(set(summary["budget"]) - {0})
    rows = []
    for names, lines in _estimators(summary):
        for case, alike in lines.groupby("case"):
            # What samples nothing costs the same at every budget of its case: shown once in each.
            used = set(summary.loc[summary["case"] == case, "budget"])
            own = {b: alike[alike["budget"].isin([b, 0])] for b in budgets if b in used}
            values = {f"{b}": cell.set_index("metric")["value"] for b, cell in own.items()}
            means = {key: _mean(value, "leader_return") for key, value in values.items()}
            rows.append(names | _case(summary, str(case)) | means)
    return pd.DataFrame(rows).fillna(_EMPTY)


def results_table(summary: pd.DataFrame) -> pd.DataFrame:
    """Final J of every setting in words: what a robust statistic says, and what it hides.

    A row per setting with interquartile mean and interval, mean ± standard error, worst seed, runs
    without a result and, where they are known, stuck or unstable runs, and mean and worst seed
    under the exact best response. Settings of studies also say which and how; of a main comparison
    with several cases, which case.
    """
    studied = (summary["study"] != "main").any()
    rows = []
    for names, lines in _estimators(summary):
        for (case, budget, study, _), cell in lines.groupby(["case", "budget", "study", "setting"]):
            row = names | ({} if studied else _case(summary, str(case)))
            if studied:
                row |= {"study": str(study), "conditions": cell["special"].iloc[0] or _EMPTY}
            row["transitions"] = f"{budget}" if budget else _EMPTY
            rows.append(row | _statistics(cell.set_index("metric")))
    return pd.DataFrame(rows).fillna(_EMPTY)


def _case(summary: pd.DataFrame, case: str) -> dict[str, str]:
    """The cell that tells cases apart, where there are several."""
    several = summary["case"].nunique() > 1
    return {"case": case.replace(";", ", ") or _EMPTY} if several else {}


def _estimators(summary: pd.DataFrame) -> Iterator[tuple[dict[str, str], pd.DataFrame]]:
    """First cells and rows of every temperature, estimator and variant."""
    for temperature, rows in summary.groupby("temperature"):
        for estimator, variant, own in style.groups(rows):
            name = style.label(estimator, variant)
            yield {"temperature": f"{temperature:g}", "estimator": name}, own


def _statistics(cell: pd.DataFrame) -> dict[str, str]:
    value, seeds = cell["value"].astype(float), int(cell["seeds"].iloc[0])
    row = {
        "IQM [interval]": _interval(cell, "leader_return_final_iqm"),
        "mean ± SE": _mean(value, "leader_return"),
        "worst seed": _number(value.get("leader_return_final_worst", np.nan)),
        "failed": _count(value.get("failed_runs", np.nan), seeds),
    }
    for metric, heading in _SHARES.items():
        if metric in value:
            row[heading] = _count(seeds * value[metric], seeds)
    if "leader_return_optimal_mean" in value:
        row["best response: mean ± SE"] = _mean(value, "leader_return_optimal")
        row["worst seed there"] = _number(value.get("leader_return_optimal_worst", np.nan))
    return row


def against_published_table(comparison: pd.DataFrame) -> pd.DataFrame:
    """Text of results/against_published.csv; our masked means if a published curve is masked."""
    rows = []
    for _, row in comparison.iterrows():
        cells = {
            "temperature": f"{row['temperature']:g}",
            "budget": f"{row['budget']}",
            "estimator": style.label(str(row["estimator"])),
            "ours": _plus_minus(row["ours_mean"], row["ours_standard_error"]),
            "published": _plus_minus(row["published_mean"], row["published_standard_error"]),
            **_agreement(row, ""),
        }
        if (comparison["masked"] > 0).any():
            error = row["ours_masked_standard_error"]
            cells["ours, masked likewise"] = _plus_minus(row["ours_masked_mean"], error)
            cells |= {f"{name}, masked": text for name, text in _agreement(row, "masked_").items()}
        rows.append(cells)
    return pd.DataFrame(rows)


def _agreement(row: pd.Series, prefix: str) -> dict[str, str]:
    within, z = row[f"{prefix}within_3_se"], row[f"{prefix}z"]
    return {
        "difference": _number(row[f"{prefix}difference"]),
        "z": _number(z, 1),
        "within 3 SE": _EMPTY if pd.isna(within) else "yes" if within else "no",
    }


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
    head, *body = map(_latex_row, [list(table.columns), *table.to_numpy().tolist()])
    columns = "l" * len(table.columns)
    return (
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{head}\\midrule\n{''.join(body)}"
        "\\bottomrule\n\\end{tabular}\n"
    )


def _latex_row(cells: list[str]) -> str:
    text = " & ".join(cell.translate(_LATEX_ESCAPES) for cell in cells)
    for sign, command in _LATEX_SIGNS.items():
        text = text.replace(sign, command)
    return f"{text} \\\\\n"


def _number(value: float, decimals: int = 3) -> str:
    return style.number(value, decimals) if np.isfinite(value) else _EMPTY


def _count(value: float, seeds: int) -> str:
    return f"{round(value)} of {seeds}" if np.isfinite(value) else _EMPTY


def _plus_minus(value: float, error: float) -> str:
    """The value alone where it has no standard error, as one seed has none."""
    return f"{_number(value)} ± {_number(error)}" if np.isfinite(error) else _number(value)


def _interval(cell: pd.DataFrame, metric: str) -> str:
    """The value alone where it has no interval."""
    if metric not in cell.index:
        return _EMPTY
    value, low, high = (float(cell[end][metric]) for end in ("value", "low", "high"))
    ends = f" [{_number(low)}, {_number(high)}]" if np.isfinite([low, high]).all() else ""
    return f"{_number(value)}{ends}"


def _mean(value: pd.Series, name: str) -> str:
    mean, error = (float(value.get(f"{name}_{kind}", np.nan)) for kind in ("mean", "se"))
    return _plus_minus(mean, error)
