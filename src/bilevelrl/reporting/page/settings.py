"""Which values every cell ran with, and what differs between variants."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from bilevelrl.figures import style
from bilevelrl.reporting.page.content import EMPTY, Section, Table, table
from bilevelrl.reporting.page.facts import CellSetting, Facts


def section(facts: Facts) -> Section:
    """Differences between variants first, then every cell of every problem."""
    return Section(
        "settings",
        "Settings",
        (
            "As params.yaml resolves them where this page was rendered. A variant is “published” "
            "(the released algorithm with its quirks), “corrected” (without them) or “improved” "
            "(ours): it differs in code too, not only in the values below.",
        ),
        _differences(facts),
        sections=tuple(_of_problem(facts, name) for name in facts.problems),
    )


def _differences(facts: Facts) -> tuple[Table, ...]:
    caption = (
        "Hyper-parameters in which variants of one estimator differ in the main comparison; a dash "
        "where there is no such variant, or it has no such hyper-parameter."
    )
    found = table(caption, _differing(facts))
    return (found,) if found.rows else ()


def _differing(facts: Facts) -> Iterator[dict[str, str]]:
    compared: dict[tuple[str, str, int], dict[str, CellSetting]] = {}
    for cell in facts.cells:
        if cell.study == "main":
            alike = (cell.problem, cell.estimator, cell.budget)
            compared.setdefault(alike, {})[cell.variant] = cell
    for (problem, estimator, budget), cells in compared.items():
        for name in _varying(list(cells.values())):
            yield {
                "problem": facts.problems[problem].title,
                "estimator": style.label(estimator),
                "transitions": f"{budget:,}" if budget else EMPTY,
                "hyper-parameter": name,
                **{v: shown(cells[v].values.get(name)) for v in style.variant_order(cells)},
            }


def _of_problem(facts: Facts, problem: str) -> Section:
    known = facts.problems[problem]
    found = []
    if known.values:
        rows = ({"key": key, "value": shown(value)} for key, value in known.values.items())
        found.append(table("Constants, and what its cells share.", rows, folded=True))
    for estimator, alike in groupby(
        (cell for cell in facts.cells if cell.problem == problem), lambda cell: cell.estimator
    ):
        found.append(_of_estimator(estimator, list(alike)))
    return Section(f"settings-{problem}", known.title, tables=tuple(found))


def _of_estimator(estimator: str, cells: Sequence[CellSetting]) -> Table:
    varying = _varying(cells)
    same = {
        name: value for cell in cells for name, value in cell.values.items() if name not in varying
    }
    told = ", ".join(f"{name} = {shown(value)}" for name, value in same.items())
    caption = f"{style.label(estimator)}, {len(cells)} settings; the same in all: {told}."
    rows = (
        {"entry": cell.entry, "variant": cell.variant, "study": cell.study}
        | {name: shown(cell.values.get(name)) for name in varying}
        for cell in cells
    )
    return table(caption, rows, folded=True)


def _varying(cells: Sequence[CellSetting]) -> list[str]:
    names = dict.fromkeys(name for cell in cells for name in cell.values)
    return [name for name in names if len({repr(cell.values.get(name)) for cell in cells}) > 1]


def shown(value: object) -> str:
    """A value of params.yaml as text, a missing one as a dash."""
    if value is None:
        return EMPTY
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {shown(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(shown, value))}]"
    return str(value)
