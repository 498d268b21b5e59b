"""What every problem but FourRooms shows of its results."""

from collections.abc import Iterator
from functools import partial

from matplotlib.figure import Figure

from bilevelrl.figures.against_published import against_published
from bilevelrl.figures.gallery import Results, at, best_known_of
from bilevelrl.figures.gradient_quality import gradient_quality
from bilevelrl.figures.learning_curves import Scale, learning_curves

#: Names; further temperatures add some with a suffix.
CURVES = ("learning_curves", "learning_curves_env_steps", "against_published", "gradient_quality")


def game_figures(results: Results, objective: str, scale: Scale) -> Iterator[tuple[str, Figure]]:
    """Curves, the published ones, gradient quality."""
    for temperature in results.temperatures:
        first = temperature == results.temperatures[0]
        suffix = "" if first else f"_temperature_{temperature:g}"
        best = best_known_of(at(results.summary, temperature=temperature, study="main"))
        curves, published, masked = (
            at(table, temperature=temperature)
            for table in (results.curves, results.published, results.masked)
        )
        drawn = partial(learning_curves, curves, published, best, objective=objective, scale=scale)
        yield f"learning_curves{suffix}", drawn("update")
        yield f"learning_curves_env_steps{suffix}", drawn("env_steps")
        compared = against_published(curves, published, masked, objective, scale)
        yield f"against_published{suffix}", compared
    yield "gradient_quality", gradient_quality(results.gradients)
