"""The sections of the page, from tables, figures and what is known of their origin."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bilevelrl.figures.tables import against_published_table
from bilevelrl.reporting.page import failures, gradients, knowledge, returns, settings
from bilevelrl.reporting.page.content import Picture, Section, Table, table
from bilevelrl.reporting.page.facts import Facts
from bilevelrl.reporting.page.pictures import captions, ordered, pictures
from bilevelrl.reporting.page.results import Results

#: Folder of the figures that problems have in common, and the figure that has a section of its own.
COMMON = "comparison"
_GRADIENTS = "gradient_quality"


@dataclass(frozen=True)
class Drawn:
    """Figures of a project: those in `png` below `figures`, captions from `documents`."""

    figures: Path
    documents: Path

    def of(self, folder: str, *, gradients: bool = False) -> tuple[Picture, ...]:
        """Those of a folder: all but gradient quality, or only it."""
        found = ordered(self.figures / "png" / folder)
        wanted = [path for path in found if path.stem.startswith(_GRADIENTS) == gradients]
        return tuple(pictures(wanted, self._told(), self.documents))

    def _told(self) -> Mapping[Path, str]:
        return captions(self.documents)


def sections(facts: Facts, results: Results, drawn: Drawn, origin: Section) -> tuple[Section, ...]:
    """All of them in their order; `origin` says what the results are of."""
    lines = returns.lines_of(results.summary)
    found = [
        Section(
            "results",
            "Results at a glance",
            tuple(f"{name} is missing." for name in results.missing),
            (returns.glance(lines, facts.problems),),
        ),
        _reading(facts),
        *_problems(facts, results, drawn, lines),
        *_comparison(facts, results, drawn),
        _gradients(facts, results, drawn),
        failures.section(lines, results.tables),
        settings.section(facts),
        origin,
    ]
    return tuple(found)


def _reading(facts: Facts) -> Section:
    share, level = f"{100 * facts.final_fraction:g} %", f"{100 * facts.confidence:g} %"
    return Section(
        "reading",
        "How to read the numbers",
        (
            f"J is the leader’s objective, averaged over the last {share} of a run’s updates; a "
            "run is one seed, and one sample of every statistic. It is exact under what the "
            "follower plays, or simulated where nobody knows it exactly.",
            "“Mean ± SE” is the mean over seeds and the sample standard deviation over √n. “IQM "
            f"[interval]” is the interquartile mean over seeds with its {level} interval: "
            "Student’s, with the exact standard error over all bootstrap redraws. “Worst seed” is "
            "the lowest J of a seed. A dash means: no such number.",
            "“Best known J” is the highest J that a search over the leader’s parameters found, "
            "for the same function J. Intervals of settings in which single seeds get stuck do "
            "not hold their level: read the worst seed and the stuck runs beside them.",
            "“Failed” counts runs without a result, “unstable” runs whose closed loop was "
            f"unstable at some update, “stuck” runs within {facts.stuck_radius:g} of J of a leader "
            "that charges nothing. “Transitions” are those that the estimator samples per update.",
            f"In figures, an “interval over seeds” is the {level} interval of what the axis names.",
        ),
    )


def _problems(
    facts: Facts, results: Results, drawn: Drawn, lines: tuple[returns.Line, ...]
) -> Iterator[Section]:
    for problem, known in facts.problems.items():
        own = returns.of_problem(lines, problem)
        texts = [f"{known.about} In params.yaml it is `{problem}`.".strip()]
        if not own:
            texts.append("results/summary.csv has no rows of it.")
        elif problem_temperatures := {x.temperature for x in lines if x.problem == problem}:
            told = ", ".join(f"{value:g}" for value in sorted(problem_temperatures))
            texts.append(f"Temperature of the follower: {told}.")
        compared = results.of_problem("against_published", problem)
        if len(compared):
            own.append(_against_published(compared))
        pictured = drawn.of(problem)
        if not pictured:
            texts.append(f"`figures/png/{problem}` has no figures.")
        yield Section(f"problem-{problem}", known.title, tuple(texts), tuple(own), pictured)


def _comparison(facts: Facts, results: Results, drawn: Drawn) -> Iterator[Section]:
    common, known = drawn.of(COMMON), results.tables.get("model_knowledge")
    tables = () if known is None or known.empty else (knowledge.table_of(known, facts.problems),)
    if common or tables:
        yield Section("comparison", "All problems together", (), tables, common)


def _against_published(compared: pd.DataFrame) -> Table:
    texts = against_published_table(compared).to_dict("records")
    caption = (
        "Ours against the published curves, means over seeds ± standard errors of the same J; z is "
        "the difference over the root of both squared errors, a dash where a side does not vary."
    )
    rows = ({str(head): str(text) for head, text in cells.items()} for cells in texts)
    return table(caption, rows, folded=True)


def _gradients(facts: Facts, results: Results, drawn: Drawn) -> Section:
    found, without = [], []
    for problem, known in facts.problems.items():
        own = gradients.of_problem(results.of_problem("gradients", problem), problem)
        if own:
            shown = drawn.of(problem, gradients=True)
            anchor = f"gradients-{problem}"
            found.append(Section(anchor, known.title, (), tuple(own), shown))
        else:
            without.append(known.title)
    texts = ["Estimates at fixed θ against the exact hypergradient dJ/dθ."]
    if without:
        texts.append(f"Not measured, or not in results/gradients.csv: {', '.join(without)}.")
    return Section("gradients", "Gradient quality", tuple(texts), sections=tuple(found))
