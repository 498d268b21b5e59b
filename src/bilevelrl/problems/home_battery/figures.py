"""Which figure shows which part of the results of home batteries."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from bilevelrl.figures.coordinate_panels import coordinate_panels
from bilevelrl.figures.gallery import Source, at
from bilevelrl.figures.game_gallery import game_figures
from bilevelrl.problems.home_battery.day_figure import day_panels
from bilevelrl.problems.home_battery.days import DAY_COLUMNS
from bilevelrl.problems.home_battery.outcomes import PRICED_COLUMNS
from bilevelrl.problems.home_battery.search import (
    DAYS_TABLE,
    FORECAST_TABLE,
    TRADEOFF_TABLE,
    case_name,
)
from bilevelrl.problems.home_battery.tradeoff_figure import tradeoff
from bilevelrl.problems.home_battery.varying_days.forecast_figure import forecast_panels
from bilevelrl.problems.home_battery.varying_days.outcomes import NETWORK_COLUMNS
from bilevelrl.problems.home_battery.verdicts import VERDICT_COLUMNS
from bilevelrl.problems.home_battery.verdicts_figure import verdict_panels
from bilevelrl.problems.home_battery.way_figure import ways
from bilevelrl.runs.table_files import read_parquet

#: What `BatteryGame.coordinates` are called on a figure.
_COORDINATES = {
    "peak_cost": "peak cost, $ per day",
    "peak": "largest mean energy\nof an hour, kWh",
    "bill": "bill, $ per day",
    "bought": "bought, kWh per day",
    "lost": "battery losses,\nkWh per day",
    "mean_price": "mean price, $/kWh",
}
#: Of the figures of all games, those that a problem without published curves has.
_CURVES = ("learning_curves", "learning_curves_env_steps", "gradient_quality")
#: What all games call a batch, which is counted in days here.
_BATCH = "transitions per update"


def names() -> tuple[str, ...]:
    """Figures that are drawn whatever is in the grid."""
    return (*_CURVES, "way", "day", "forecast", "tradeoff", "course", "error_split")


def figures(source: Source) -> Iterator[tuple[str, Figure]]:
    """Names and figures, one at a time because each takes memory."""
    results = source.results
    for name, figure in game_figures(results, "J, $ per day", "linear"):
        if name.startswith(_CURVES):
            for ax in figure.axes:
                ax.set_title(ax.get_title().replace(_BATCH, "days of every house per update"))
            yield name, figure
    temperature = results.temperatures[0]
    yield "way", ways(at(results.summary, temperature=temperature))
    yield "day", day_panels(_days(source, temperature))
    yield "forecast", forecast_panels(_typed_days(source, temperature))
    known = at(source.environment("tradeoff", TRADEOFF_TABLE), temperature=temperature)
    yield "tradeoff", tradeoff(known, source.block.training.model_dump()["tariff_weight"])
    played = at(source.trajectories, temperature=temperature, study="main")
    yield "course", coordinate_panels(played, _COORDINATES, 3, "Course")
    judged = read_parquet(_evaluated(source) / "verdicts.parquet", VERDICT_COLUMNS)
    yield "error_split", verdict_panels(at(judged, temperature=temperature))


def _evaluated(source: Source) -> Path:
    return source.root / "data" / "evaluate" / source.results.problem


def _days(source: Source, temperature: float) -> dict[str, pd.DataFrame]:
    training = source.block.training.model_dump()
    case = case_name(training["houses"], training["tariff_weight"])
    known = at(source.environment("days", DAYS_TABLE), temperature=temperature, case=case)
    priced = read_parquet(_evaluated(source) / "priced_days.parquet", PRICED_COLUMNS)
    own = at(priced, temperature=temperature, case=case, estimator="bc_hg", variant="improved")
    panels = {
        "flat tariff": at(known, state="flat"),
        "the data's own tariff": at(known, state="time of use"),
        "BC-HG, improved": own[own["setting"] == own["setting"].min()],
        "best known tariff": at(known, state="best known"),
    }
    return {title: table[list(DAY_COLUMNS)] for title, table in panels.items()}


def _typed_days(source: Source, temperature: float) -> dict[str, pd.DataFrame]:
    search = source.block.search.model_dump()
    known = at(source.environment("forecast_days", FORECAST_TABLE), temperature=temperature)
    folder = source.root / "data" / "evaluate" / source.results.problem
    trained = read_parquet(folder / "network_days.parquet", NETWORK_COLUMNS)
    own = at(trained, temperature=temperature, study="identified_network")
    if search["day_spreads"]:
        training = source.block.training.model_dump()
        case = case_name(
            search["varying_houses"][0], training["tariff_weight"], search["day_spreads"][0]
        )
        known, own = at(known, case=case), at(own, case=case)
    return {
        "best fixed prices": at(known, state="best fixed"),
        "network, BC-HG": own[own["setting"] == own["setting"].min()],
        "best known": at(known, state="best known"),
    }
