"""Final J of every setting: at a glance, and setting by setting."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bilevelrl.figures import style, tables
from bilevelrl.reporting.page.content import EMPTY, Table, table
from bilevelrl.reporting.page.facts import ProblemFacts

MEAN = "mean ± SE"
BEST = "best known J"
_MAIN, _IDENTIFIED = "main", "identified"


@dataclass(frozen=True)
class Line:
    """What results/summary.csv says of one setting.

    Attributes:
        problem, estimator, variant, temperature, study, case, follower: as there.
        budget: transitions per update, 0 for estimators that sample nothing.
        seeds: runs behind every statistic.
        best_known: the best J that the search found; NaN where nobody searched.
        metrics: values by name of the metric.
        cells: of `figures.tables.results_table`, by heading.
    """

    problem: str
    estimator: str
    variant: str
    temperature: float
    study: str
    case: str
    follower: str
    budget: int
    seeds: int
    best_known: float
    metrics: Mapping[str, float]
    cells: Mapping[str, str]

    @property
    def label(self) -> str:
        """Name of estimator and variant."""
        return style.label(self.estimator, self.variant)

    @property
    def best(self) -> str:
        """The best known J as text."""
        return style.number(self.best_known, 3) if np.isfinite(self.best_known) else EMPTY


def lines_of(summary: pd.DataFrame) -> tuple[Line, ...]:
    """One per setting, in the order of legends, the smallest budget first.

    Args:
        summary: rows of results/summary.csv with `CONDITION_COLUMNS`.
    """
    return tuple(_lines(summary))


def _lines(summary: pd.DataFrame) -> Iterator[Line]:
    for _, rows in summary.groupby(["problem", "temperature"], sort=False):
        for estimator, variant, own in style.groups(rows):
            for _, cell in own.groupby(["budget", "study", "setting"]):
                yield _line(estimator, variant, cell)


def _line(estimator: str, variant: str, cell: pd.DataFrame) -> Line:
    first = cell.iloc[0]
    values = dict(zip(cell["metric"].astype(str), cell["value"].astype(float), strict=True))
    (texts,) = tables.results_table(cell).to_dict("records")
    return Line(
        str(first["problem"]),
        estimator,
        variant,
        float(first["temperature"]),
        str(first["study"]),
        str(first["case"]),
        str(first["follower"]),
        int(first["budget"]),
        int(first["seeds"]),
        values.get("best_known", float("nan")),
        values,
        {str(heading): str(text) for heading, text in texts.items()},
    )


def glance(lines: Iterable[Line], problems: Mapping[str, ProblemFacts]) -> Table:
    """Mean J of the main comparison, a column per problem and a row per estimator.

    At the first temperature of each problem, in its first case, and at the number of transitions
    per update with which most of its estimators are compared, the smallest of those. Leaders that
    identify their model have rows of their own, against the same follower: at that number if they
    come with it, else at their smallest.
    """
    chosen = {name: _headlines(lines, name, facts) for name, facts in problems.items()}
    own = {name: found for name, found in chosen.items() if found}
    titles = {name: problems[name].title for name in own}
    rows: list[dict[str, str]] = [
        {"": BEST, **{titles[name]: _best(found) for name, found in own.items()}},
        {"": "transitions per update", **{titles[n]: _budget(found) for n, found in own.items()}},
        {"": "seeds", **{titles[name]: _seeds(found) for name, found in own.items()}},
    ]
    rows += _of_estimators({titles[name]: found for name, found in own.items()})
    caption = (
        "J, mean ± standard error over seeds, of the main comparison; leaders that identify their "
        "model have had other numbers of transitions. In parentheses the best "
        f"known J of a variant whose J is another function than that of the row “{BEST}”."
    )
    return table(caption, rows, name="overview")


def _of_estimators(chosen: Mapping[str, list[Line]]) -> Iterator[dict[str, str]]:
    """A row per estimator, variant and study, from the lines of every problem by its title."""
    keys = {(x.estimator, x.variant, x.study) for found in chosen.values() for x in found}
    present = pd.DataFrame(sorted(keys), columns=["estimator", "variant", "study"])
    for estimator, variant, own in style.groups(present):
        for study in sorted(own["study"], key=[_MAIN, _IDENTIFIED].index):
            also = "" if study == _MAIN else f", {study}"
            row = {"": style.label(estimator, variant) + also}
            for title, found in chosen.items():
                for line in found:
                    if (line.estimator, line.variant, line.study) == (estimator, variant, study):
                        row.setdefault(title, _beside_best(line, _best(found)))
            yield row


def _headlines(lines: Iterable[Line], problem: str, facts: ProblemFacts) -> list[Line]:
    own = [line for line in lines if line.problem == problem]
    main = [line for line in own if line.study == _MAIN]
    hot = [line for line in main if line.temperature in facts.temperatures[:1]] or main
    case = min((line.case for line in hot), default="")
    first = [line for line in hot if line.case == case]
    sizes = Counter(line.budget for line in first if line.budget)
    budget = min(sizes, key=lambda size: (-sizes[size], size), default=0)
    kinds = {(line.temperature, line.case, line.follower) for line in first}
    identified = [
        line
        for line in own
        if line.study == _IDENTIFIED and (line.temperature, line.case, line.follower) in kinds
    ]
    at = {line.budget for line in identified}
    smallest = budget if budget in at else min(at, default=0)
    return [line for line in first if line.budget in (0, budget)] + [
        line for line in identified if line.budget == smallest
    ]


def _best(lines: list[Line]) -> str:
    """That of the published estimators, or of whatever there is."""
    return next((x.best for x in lines if x.variant == "published"), lines[0].best)


def _beside_best(line: Line, best: str) -> str:
    return line.cells[MEAN] if line.best in (best, EMPTY) else f"{line.cells[MEAN]} ({line.best})"


def _budget(lines: list[Line]) -> str:
    largest = max((line.budget for line in lines if line.study == _MAIN), default=0)
    return f"{largest:,}" if largest else EMPTY


def _seeds(lines: list[Line]) -> str:
    counts = sorted({line.seeds for line in lines})
    return f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def of_problem(lines: Iterable[Line], problem: str) -> list[Table]:
    """The main comparison of a problem, and its studies."""
    own = [line for line in lines if line.problem == problem]
    main = [line for line in own if line.study == _MAIN]
    studies = [line for line in own if line.study != _MAIN]
    found = []
    if main:
        found.append(table("Final J of the main comparison, a row per setting.", _rows(main)))
    if studies:
        caption = f"Final J of the studies: {len(studies)} settings that differ from the main "
        caption += "comparison in what “conditions” says."
        found.append(table(caption, _rows(studies), folded=True))
    return found


def _rows(lines: list[Line]) -> Iterator[dict[str, str]]:
    hot, several = (len({getattr(x, name) for x in lines}) > 1 for name in ("temperature", "case"))
    for line in lines:
        cells = dict(line.cells)
        if several and line.study == _MAIN:
            cells["case"] = line.case.replace(";", ", ")
        names = ["temperature"] * hot + ["estimator", "case", "study", "conditions", "transitions"]
        yield (
            {name: cells[name] for name in names if name in cells}
            | {BEST: line.best, MEAN: cells[MEAN], "seeds": f"{line.seeds}"}
            | {name: text for name, text in cells.items() if name != "temperature"}
        )
