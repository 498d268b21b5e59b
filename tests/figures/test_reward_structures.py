"""The figure of reward structures draws what the table says."""

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer

from bilevelrl.figures.reward_structures import reward_structures
from tests.figures import game_tables

#: Metrics of each panel, from left to right and from above.
PANELS = (
    ("indirect_share",), ("lost_share",), ("error_bc_hg", "error_direct"), ("break_even_log10",),
)  # fmt: skip


def test_a_line_per_metric_and_temperature_with_its_intervals() -> None:
    table = game_tables.reward_structures()
    figure = reward_structures(table)
    for ax, metrics in zip(figure.axes, PANELS, strict=True):
        drawn = [(metric, beta) for beta in (0.1, 0.5) for metric in metrics]
        assert len(ax.containers) == len(drawn)
        for container, (metric, beta) in zip(ax.containers, drawn, strict=True):
            assert isinstance(container, ErrorbarContainer)
            line, _, (bar,) = container.lines
            own = table[(table["metric"] == metric) & (table["temperature"] == beta)]
            np.testing.assert_array_equal(line.get_xdata(), [-1.0, 0.0, 1.0])
            assert np.asarray(line.get_ydata()) == pytest.approx(own["value"].to_numpy())
            ends = np.array([segment[:, 1] for segment in bar.get_segments()])
            assert ends == pytest.approx(own[["low", "high"]].to_numpy())
    colours = {str(line.get_color()) for line in figure.axes[0].lines}
    assert len(colours) == 2


def test_the_legend_tells_temperatures_and_estimates_apart() -> None:
    (legend,) = reward_structures(game_tables.reward_structures()).legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["β = 0.1", "β = 0.5", "BC-HG", "direct part only"]


def test_one_game_has_no_interval() -> None:
    table = game_tables.reward_structures().assign(low=np.nan, high=np.nan)
    for ax in reward_structures(table).axes:
        for container in ax.containers:
            assert isinstance(container, ErrorbarContainer)
            assert np.isfinite(np.asarray(container.lines[0].get_ydata(), dtype=np.float64)).all()
