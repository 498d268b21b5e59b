"""Which figure shows which part of the results of EscapeRoom."""

from collections.abc import Iterator

from matplotlib.figure import Figure

from bilevelrl.figures.coordinate_panels import coordinate_panels
from bilevelrl.figures.gallery import Source, at
from bilevelrl.figures.game_gallery import CURVES, game_figures
from bilevelrl.problems.escape_room.outcomes import PLAY_COLUMNS
from bilevelrl.problems.escape_room.play_figure import play_by_step
from bilevelrl.problems.escape_room.settings import EscapeRoomParams
from bilevelrl.runs.table_files import read_parquet

#: What a coordinate of a trajectory is called above its panel.
_COORDINATES = {
    "payment": "paid per episode",
    "steps": "steps per episode",
    "coupling_radius": "spectral radius\nof the coupling",
    "uncoupled_cosine": "without coupling:\ncosine with dJ/dθ",
    "uncoupled_length": "without coupling:\nlength / |dJ/dθ|",
}


def names() -> tuple[str, ...]:
    """Figures that are drawn whatever is in the grid."""
    return (*CURVES, "coupling", "play")


def figures(source: Source) -> Iterator[tuple[str, Figure]]:
    """Names and figures, one at a time because each takes memory."""
    results, constants = source.results, source.block.constants
    assert isinstance(constants, EscapeRoomParams)
    temperature = results.temperatures[0]
    yield from game_figures(results, "leader return J(θ)", "linear")
    trajectories = at(source.trajectories, temperature=temperature)
    yield "coupling", coordinate_panels(trajectories, _COORDINATES, 5, "What the coupling does")
    play = source.root / "data" / "evaluate" / results.problem / "play.parquet"
    rows = at(read_parquet(play, PLAY_COLUMNS), temperature=temperature)
    yield "play", play_by_step(rows, constants.highest_payment)
