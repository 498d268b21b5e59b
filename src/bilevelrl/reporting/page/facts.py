"""What the page says of the settings, besides results: whoever renders it reads params.yaml."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ProblemFacts:
    """A block of params.yaml.

    Attributes:
        title: name for people.
        about: what the problem is, in a sentence.
        reported_return: which J is reported, None where there is one J.
        temperatures: β at which it is looked at, the main one first.
        values: constants, and what its cells share, by dotted key.
    """

    title: str
    about: str = ""
    reported_return: str | None = None
    temperatures: tuple[float, ...] = ()
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class CellSetting:
    """One setting of a cell, with everything that params.yaml resolves it to.

    Attributes:
        problem, estimator, variant: as in results/summary.csv.
        entry: name below `cells` in params.yaml, which may hold several settings.
        study: as `evaluation.conditions.study_of` says.
        budget: transitions per update, 0 for estimators that sample nothing.
        values: hyper-parameters by one name each, as `core.settings.flat` has them; seeds included.
    """

    problem: str
    estimator: str
    variant: str
    entry: str
    study: str
    budget: int
    values: Mapping[str, object]


@dataclass(frozen=True)
class Facts:
    """Of all problems.

    Attributes:
        problems: by name, those of the grid, in its order.
        cells: of the grid.
        confidence: of every interval.
        final_fraction: of the updates over which J is averaged.
        stuck_radius: |J - J(charge nothing)| below which a run counts as stuck.
    """

    problems: Mapping[str, ProblemFacts]
    cells: tuple[CellSetting, ...]
    confidence: float
    final_fraction: float
    stuck_radius: float
