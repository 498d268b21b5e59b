"""Sioux Falls drawn as pixels: tolls as width, congestion as colour."""

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.arrays import Floats
from bilevelrl.models.network_flow.network import Network

#: Column and row of each node, row 0 at the bottom: a drawing, as in LeBlanc et al. (1975), no map.
POSITIONS = np.array([
    (0, 7), (4, 7), (0, 6), (1, 6), (2, 6), (4, 6), (5, 5), (4, 5), (2, 5), (2, 4), (1, 4), (0, 4),
    (0, 0), (1, 2), (2, 2), (4, 4), (4, 3), (5, 4), (4, 2), (4, 0), (2, 0), (2, 1), (1, 1), (1, 0),
], dtype=np.float64)  # fmt: skip
#: Times over those of empty roads, and colours there: light to dark, told apart by lightness alone.
RATIOS = (1.0, 1.5, 2.5, 5.0)
COLOURS = np.array([(199, 233, 180), (254, 217, 142), (236, 112, 20), (127, 0, 30)], dtype=float)
#: Pixels of a column and of a row, around everything, and from a road's middle to its directions.
_COLUMN, _ROW, _MARGIN, _APART = 90, 64, 36, 6.0
#: Widths of a road without toll, and of the highest toll on top of that.
_THIN, _WIDER = 3.0, 7.0
_NODE, _INK, _TRAVELLER, _GOAL = (238, 238, 238), (60, 60, 60), (0, 90, 181), (0, 0, 0)


def congestion_colour(ratio: Floats) -> Floats:
    """Red, green and blue in 0 to 255, shape (L, 3), of times over those of empty roads, (L,)."""
    at = np.log(np.maximum(ratio, 1.0))
    return np.stack([np.interp(at, np.log(RATIOS), channel) for channel in COLOURS.T], axis=1)


def places() -> Floats:
    """Where each node is drawn, shape (N, 2), in pixels right and down."""
    top = POSITIONS[:, 1].max()
    return np.stack([POSITIONS[:, 0] * _COLUMN, (top - POSITIONS[:, 1]) * _ROW], axis=1) + _MARGIN


def ends(network: Network) -> tuple[Floats, Floats]:
    """Where the drawing of each link begins and stops, both (L, 2) in pixels right and down.

    Traffic keeps to the right.
    """
    node = places()
    begins, stops = node[network.tail], node[network.head]
    along = (stops - begins) / np.linalg.norm(stops - begins, axis=1, keepdims=True)
    aside = _APART * np.stack([-along[:, 1], along[:, 0]], axis=1)
    return begins + aside, stops + aside


def draw_network(
    network: Network, charge: Floats, time: Floats, highest: float, at: int, goal: int
) -> NDArray[np.uint8]:
    """An image, shape (height, width, 3), of charges and times, both (L,) in minutes.

    Args:
        network: of as many nodes as `POSITIONS` has.
        charge: the width of each road, up to `highest`.
        time: its colour, by what it is over that of the empty road.
        highest: charge.
        at: the node where the traveller is.
        goal: the node where it wants to be.
    """
    size = (POSITIONS.max(axis=0) * (_COLUMN, _ROW)).astype(int) + 2 * _MARGIN
    image = np.full((size[1], size[0], 3), 255, dtype=np.uint8)
    begins, stops = ends(network)
    colours = congestion_colour(time / network.free_flow_time)
    width = _THIN + _WIDER * charge / highest
    for link in np.argsort(charge, kind="stable"):
        _stroke(image, begins[link], stops[link], width[link], colours[link])
    centres = places()
    for centre in centres:
        _disc(image, centre, 9.0, _INK)
        _disc(image, centre, 7.5, _NODE)
    _disc(image, centres[goal], 7.5, _GOAL)
    _disc(image, centres[at], 6.0, _TRAVELLER)
    return image


def _stroke(
    image: NDArray[np.uint8], begin: Floats, stop: Floats, width: float, colour: Floats
) -> None:
    low = np.floor(np.minimum(begin, stop) - width).astype(int).clip(0)
    high = np.ceil(np.maximum(begin, stop) + width).astype(int) + 1
    part = image[low[1] : high[1], low[0] : high[0]]
    y, x = np.mgrid[low[1] : low[1] + part.shape[0], low[0] : low[0] + part.shape[1]]
    way, length = stop - begin, float(np.square(stop - begin).sum())
    share = (((x - begin[0]) * way[0] + (y - begin[1]) * way[1]) / length).clip(0.0, 1.0)
    off = np.hypot(x - begin[0] - share * way[0], y - begin[1] - share * way[1])
    part[off <= 0.5 * width] = colour.round().astype(np.uint8)


def _disc(
    image: NDArray[np.uint8], centre: Floats, radius: float, colour: tuple[int, int, int]
) -> None:
    y, x = np.ogrid[: image.shape[0], : image.shape[1]]
    image[np.hypot(x - centre[0], y - centre[1]) <= radius] = colour
