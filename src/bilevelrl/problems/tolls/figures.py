"""Which figure shows which part of the results of road pricing."""

from collections.abc import Iterator

import pandas as pd
from matplotlib.figure import Figure

from bilevelrl.figures.coordinate_panels import coordinate_panels
from bilevelrl.figures.gallery import Source, at
from bilevelrl.figures.game_gallery import game_figures
from bilevelrl.problems.tolls.links import LINK_COLUMNS
from bilevelrl.problems.tolls.network_figure import networks
from bilevelrl.problems.tolls.outcomes import PRICED_COLUMNS
from bilevelrl.problems.tolls.search import LINKS_TABLE, case_name
from bilevelrl.problems.tolls.way_figure import cosines, ways
from bilevelrl.runs.table_files import read_parquet

#: What `RoadGame.coordinates` are called on a figure; all but the last in vehicle-minutes.
_COORDINATES = {
    "travel_time": "travel time",
    "net_cost": "net cost",
    "revenue": "revenue",
    "mean_charge": "mean toll, minutes",
}
#: Of the figures of all games, those that a problem without published curves has.
_CURVES = ("learning_curves", "learning_curves_env_steps", "gradient_quality")


def names() -> tuple[str, ...]:
    """Figures that are drawn whatever is in the grid."""
    return (*_CURVES, "cosines", "way", "network", "course")


def figures(source: Source) -> Iterator[tuple[str, Figure]]:
    """Names and figures, one at a time because each takes memory."""
    results = source.results
    for name, figure in game_figures(results, "J, minus vehicle-minutes of travel", "linear"):
        if name.startswith(_CURVES):
            yield name, figure
    yield "cosines", cosines(results.gradients)
    temperature = results.temperatures[0]
    summary = at(results.summary, temperature=temperature, follower="exact", model="")
    yield "way", ways(summary)
    yield "network", networks(_networks(source, temperature))
    played = at(source.trajectories, temperature=temperature)
    yield "course", coordinate_panels(played, _COORDINATES, 4, "Course")


def _networks(source: Source, temperature: float) -> dict[str, pd.DataFrame]:
    known = source.environment("links", LINKS_TABLE)
    training = source.block.training.model_dump()
    first = case_name(training["objective"], training["tollable"])
    known = at(known, temperature=temperature, case=first)
    folder = source.root / "data" / "evaluate" / source.results.problem
    priced = read_parquet(folder / "priced_links.parquet", PRICED_COLUMNS)
    own = at(priced, temperature=temperature, estimator="bc_hg", variant="improved")
    panels = {
        "no toll": at(known, state="no toll"),
        "BC-HG, improved": own[own["setting"] == own["setting"].min()],
        "best known tolls": at(known, state="best known"),
    }
    return {title: table[list(LINK_COLUMNS)] for title, table in panels.items()}
