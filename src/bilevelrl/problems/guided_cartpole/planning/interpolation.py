"""Between the nodes of a grid: cubic interpolation where values are smooth, linear where they jump.

Cubic interpolation blurs nothing (an average of neighbours would: linear interpolation of x alone
spreads the cart by half a metre in an episode), but values jump near falls. Where a follower keeps
well inside the states from which it can go on for ever, whatever the wind, cubic is safe.
"""

import numpy as np
from scipy.ndimage import map_coordinates

from bilevelrl.core.arrays import Floats
from bilevelrl.problems.guided_cartpole.planning.mechanics import Flags, Mechanics

#: Radians and rad/s that lie between `safe` states and those without a future.
_MARGIN = (0.03, 0.27)
#: Nodes of φ and φ̇ on which that is found out, and the largest φ̇ of these, in rad/s.
_FINE, _FASTEST = (43, 61), 2.2
#: Steps that a pole is to be held up for at most, and the change that ends the count before.
_MOST_STEPS, _STILL = 100, 1e-3


def lagrange(nodes: Floats, at: Floats) -> Floats:
    """Weights (..., 4) of a cubic through four nodes (..., 4) at a point (...)."""
    weights = np.ones(nodes.shape)
    for a in range(4):
        for b in range(4):
            if a != b:
                gap = nodes[..., a] - nodes[..., b]
                weights[..., a] *= (at - nodes[..., b]) / gap
    return weights


def linear(nodes: Floats, at: Floats) -> Floats:
    """Weights (..., 4) of a line through the two middle ones of four nodes (..., 4)."""
    share = (at - nodes[..., 1]) / (nodes[..., 2] - nodes[..., 1])
    none = np.zeros_like(share)
    return np.stack([none, 1.0 - share, share, none], axis=-1)


def safe(mechanics: Mechanics, winds: Floats, angles: Floats, rotations: Floats) -> Flags:
    """Whether a pole at (φ, φ̇), shape (K, L), is well inside what can be held up, whatever blows.

    The largest set of states from which, for every wind, a push leads back into the set.
    """
    limit, fastest = mechanics.angle_limit, _FASTEST
    fine = tuple(np.linspace(-top, top, number)
                 for top, number in zip((limit, fastest), _FINE, strict=True))  # fmt: skip
    every = np.meshgrid(*fine, winds, np.linspace(-1.0, 1.0, 7), indexing="ij")
    after = every[0] + mechanics.drift(np.zeros(1), every[1])[1]
    turned = every[1] + mechanics.kick(*every)[1]
    lost = (np.abs(after) > limit) | (np.abs(turned) > fastest)
    place = np.stack(
        [(value - nodes[0]) / (nodes[1] - nodes[0])
         for value, nodes in zip((after, turned), fine, strict=True)]
    )  # fmt: skip
    held = np.ones(_FINE)
    for _ in range(_MOST_STEPS):
        last = held
        held = (map_coordinates(held, place, order=1, mode="nearest") * ~lost).max(3).min(2)
        if np.abs(held - last).max() < _STILL:
            break
    close = [
        np.abs(nodes[None] - own[:, None]) <= margin + 1e-9
        for nodes, own, margin in zip(fine, (angles, rotations), _MARGIN, strict=True)
    ]
    open_states = (held <= 0.5).astype(np.float64)
    near = close[0].astype(np.float64) @ open_states @ close[1].T
    inside: Flags = np.abs(angles) + _MARGIN[0] <= limit + 1e-9
    held_up: Flags = inside[:, None] & (near == 0.0)
    return held_up
