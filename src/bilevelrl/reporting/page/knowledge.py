"""What knowing the model saves: transitions to shares of the best known J, a row per leader."""

import re
from collections.abc import Iterator, Mapping

import pandas as pd

from bilevelrl.figures import style
from bilevelrl.reporting.formats import number
from bilevelrl.reporting.page.content import EMPTY, Table, table
from bilevelrl.reporting.page.facts import ProblemFacts

_STEPS = re.compile(r"env_steps_to_(.+)_percent")


def table_of(rows: pd.DataFrame, problems: Mapping[str, ProblemFacts]) -> Table:
    """Rows of results/model_knowledge.csv in words."""
    caption = (
        "What knowing the model saves: transitions until J is first a share of the best known one, "
        "median over seeds (how many get there), a dash where fewer than half do. The exact "
        "hypergradient is told the model and samples nothing. Of several numbers of transitions "
        "per update the one is shown that is first at 95 %; where none gets there the next smaller "
        "share decides, and then the mean J."
    )
    return table(caption, _rows(rows, problems), name="model_knowledge")


def _rows(rows: pd.DataFrame, problems: Mapping[str, ProblemFacts]) -> Iterator[dict[str, str]]:
    shares = [found[1] for name in rows if (found := _STEPS.fullmatch(str(name)))]
    several = rows.groupby("problem")["case"].nunique().gt(1)
    hot = rows.groupby("problem")["temperature"].nunique().gt(1).any()
    for row in rows.to_dict("records"):
        name = str(row["problem"])
        cells = {"problem": problems[name].title if name in problems else name}
        if hot:
            cells["temperature"] = f"{row['temperature']:g}"
        if several.any():
            cells["case"] = str(row["case"]).replace(";", ", ") if several[name] else EMPTY
        identified = ", identified model" if row["leader"] == "identified" else ""
        cells |= {
            "leader": style.label(str(row["estimator"]), str(row["variant"])) + identified,
            "sees": str(row["information"]),
            "transitions per update": f"{row['budget']:,}" if row["budget"] else EMPTY,
            "best known J": style.number(row["best_known"], 3),
            "mean J": style.number(row["leader_return_mean"], 3),
        }
        for share in shares:
            steps = row[f"env_steps_to_{share}_percent"]
            arrived = f"({row[f'arrived_at_{share}_percent']} of {row['seeds']})"
            shown = EMPTY if pd.isna(steps) else number(steps)
            cells[f"to {share} %"] = f"{shown} {arrived}"
        yield cells
