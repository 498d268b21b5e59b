"""What galleries share: the tables of one problem, rows of a study, and names of figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd

_FOUR_ROOMS = (
    "learning_curves_updates",
    "learning_curves_env_steps",
    "final_return",
    "penalty_maps",
    "gradient_quality",
    "truncated_follower",
    "initial_spread",
)
_CURVES = (
    "learning_curves",
    "learning_curves_env_steps",
    "against_published",
    "gradient_quality",
)


def _game(problem: str, *further: str) -> tuple[str, ...]:
    return tuple(f"{problem}_{name}" for name in (*_CURVES, *further))


#: Figures of a problem, written whatever else is in the grid; further temperatures and budgets add
#: names with a suffix.
NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "four_rooms": _FOUR_ROOMS,
        "discrete_toy_r1": _game("discrete_toy_r1", "landscape", "truncated_follower"),
        "discrete_toy_r2": _game("discrete_toy_r2", "landscape"),
        "bilevel_lqr": _game("bilevel_lqr", "landscape", "ablation", "trajectories", "returns"),
        "thermal_control": _game(
            "thermal_control",
            "sample_efficiency",
            "designs",
            "components",
            "directions",
            "ladder",
            "random_search",
            "buildings",
        ),
        "guided_cartpole": ("guided_cartpole_learning_curves", "guided_cartpole_behaviour"),
    }
)


@dataclass(frozen=True, eq=False)
class Results:
    """The tables of one problem that its figures are drawn from.

    Attributes:
        problem: its name.
        summary: results/summary.csv with condition columns.
        curves: data/evaluate/learning_curves.parquet.
        gradients: results/gradients.csv.
        published: published curves.
        masked: data/evaluate/as_published.parquet where the published curves leave out seeds.
        temperatures: the first one gets the plain names of `NAMES`.
    """

    problem: str
    summary: pd.DataFrame
    curves: pd.DataFrame
    gradients: pd.DataFrame
    published: pd.DataFrame
    masked: pd.DataFrame
    temperatures: Sequence[float]


def at(table: pd.DataFrame, **conditions: object) -> pd.DataFrame:
    """Rows that have these values."""
    for column, value in conditions.items():
        table = table[table[column] == value]
    return table


def studied(table: pd.DataFrame, study: str, temperatures: Sequence[float]) -> pd.DataFrame:
    """Rows at the first temperature at which the study was made; none if it was not made."""
    made = set(at(table, study=study)["temperature"])
    chosen = next((temperature for temperature in temperatures if temperature in made), None)
    return at(table, temperature=chosen)


def truncated_study(results: Results) -> pd.DataFrame:
    """Rows of the truncated-follower study at its smallest budget."""
    rows = at(results.summary, study="truncated_follower")
    rows = studied(rows, "truncated_follower", results.temperatures)
    return at(rows, budget=rows["budget"].min())


def best_known_of(main: pd.DataFrame) -> pd.DataFrame:
    """Columns variant and best_known, from the summary of the main comparison."""
    best = at(main, metric="best_known").drop_duplicates("variant")
    return best[["variant", "value"]].rename(columns={"value": "best_known"})
