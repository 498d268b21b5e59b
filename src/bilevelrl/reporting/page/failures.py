"""What went wrong, or does not agree: runs, settings, and published means."""

from collections.abc import Iterable, Iterator, Mapping

import pandas as pd

from bilevelrl.figures import style
from bilevelrl.figures.tables import against_published_table
from bilevelrl.reporting.formats import number
from bilevelrl.reporting.page.content import EMPTY, Section, Table, table
from bilevelrl.reporting.page.returns import Line

#: Shares of runs that are worth a look: metric, what it means, and whether the reader opens it.
_SHARES = {
    "unstable_fraction": ("Settings with runs whose closed loop was unstable at an update.", False),
    "stuck_fraction": ("Settings with stuck runs, which end at J of charging nothing.", True),
}


def section(lines: Iterable[Line], tables: Mapping[str, pd.DataFrame]) -> Section:
    """Everything that failed; `tables` are those of `results.OPTIONAL` that there are."""
    failed, followers, compared = map(tables.get, ("failed_runs", "followers", "against_published"))
    lines = list(lines)
    texts, found = [], list[Table]()
    if failed is None:
        texts.append("results/failed_runs.csv is missing: nothing is known of failed runs.")
    elif failed.empty:
        runs = sum(line.seeds for line in lines)
        texts.append(f"No run failed, of {runs:,} in {len(lines)} settings.")
    else:
        found.append(table(f"{len(failed)} runs without a result, and why.", _failed(failed)))
    for metric, (caption, folded) in _SHARES.items():
        if happened := [line for line in lines if line.metrics.get(metric, 0.0) > 0.0]:
            found.append(table(caption, _shares(happened, metric), folded=folded))
        elif any(metric in line.metrics for line in lines):
            texts.append(f"{caption.removesuffix('.')}: none.")
    if followers is not None and len(lost := followers[followers["failed"] > 0]):
        found.append(table("Followers that learned to no finite value.", _followers(lost)))
    if compared is not None:
        masked = compared["masked_within_3_se"]
        agrees = masked.where(compared["masked"] > 0, compared["within_3_se"])
        apart = compared[agrees.astype(str) == "False"]
        if len(apart):
            caption = (
                "Published means that ours differ from by more than three standard errors; where "
                "a published curve leaves out seeds (“masked”), ours without them decide."
            )
            found.append(table(caption, _apart(apart)))
        elif len(compared):
            texts.append("No published mean differs from ours by more than three standard errors.")
    return Section("failures", "Failures", tuple(texts), tuple(found))


def _failed(failed: pd.DataFrame) -> Iterator[dict[str, str]]:
    for row in failed.to_dict("records"):
        yield {
            "problem": str(row["problem"]),
            "estimator": style.label(str(row["estimator"]), str(row["variant"])),
            "setting": str(row["setting"]).replace(";", "; "),
            "seed": f"{row['seed']}",
            "reason": str(row["reason"]),
        }


def _shares(lines: Iterable[Line], metric: str) -> Iterator[dict[str, str]]:
    for line in lines:
        yield {
            "problem": line.problem,
            "estimator": line.label,
            "study": line.study,
            "conditions": line.cells.get("conditions", EMPTY),
            "transitions": f"{line.budget:,}" if line.budget else EMPTY,
            "runs": f"{round(line.seeds * line.metrics[metric])} of {line.seeds}",
            "mean ± SE": line.cells["mean ± SE"],
        }


def _followers(rows: pd.DataFrame) -> Iterator[dict[str, str]]:
    for row in rows.to_dict("records"):
        yield {
            "problem": str(row["problem"]),
            "follower": f"{row['follower']}, {row['variant']}",
            "temperature": number(row["temperature"]),
            "transitions": f"{row['steps']:,}",
            "seeds": f"{row['failed']} of {row['seeds']}",
        }


def _apart(rows: pd.DataFrame) -> Iterator[dict[str, str]]:
    texts = against_published_table(rows).to_dict("records")
    for problem, cells in zip(rows["problem"], texts, strict=True):
        yield {"problem": str(problem), **{str(head): str(text) for head, text in cells.items()}}
