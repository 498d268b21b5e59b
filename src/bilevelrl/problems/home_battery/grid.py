"""One battery on nodes of its charge: what every action does there."""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import AnyArray, Floats, Index

#: Actions may miss the bounds of the battery by so many kWh of charge, which is rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Grid:
    """C charges and A actions.

    Attributes:
        charge: kWh, from empty to full, shape (C,).
        action: kWh on the grid's side, shape (A,).
        energy: what an action takes from the grid, kWh, shape (C, A): the action itself, or what is
            left of it where the battery would leave its bounds.
        allowed: whether the action may be chosen, shape (C, A).
        lower: node at or below the charge to which an action leads, at most C - 2, shape (C, A).
        share: probability that it is the next node above instead, shape (C, A).
        lost: kWh that an action turns into heat, shape (C, A).
    """

    charge: Floats
    action: Floats
    energy: Floats
    allowed: AnyArray
    lower: Index
    share: Floats
    lost: Floats


def grid_of(
    capacity: float,
    power: float,
    efficiency: float,
    num_charges: int,
    num_actions: int,
    *,
    refuse: bool,
) -> Grid:
    """The grid of a battery; actions beyond its bounds are refused, or else cut."""
    charge = np.linspace(0.0, capacity, num_charges)
    action = np.linspace(-power, power, num_actions)
    one_way = np.sqrt(efficiency)
    energy = np.clip(action, -charge[:, None] * one_way, (capacity - charge[:, None]) / one_way)
    allowed = np.abs(energy - action) <= _ROUNDING if refuse else np.ones(energy.shape, np.bool_)
    stored = np.where(energy > 0.0, energy * one_way, energy / one_way)
    after = np.clip(charge[:, None] + stored, 0.0, capacity)
    place = after / capacity * (num_charges - 1)
    # A charge within rounding of a node is on it.
    place = np.where(np.abs(place - np.round(place)) < _ROUNDING, np.round(place), place)
    lower = np.minimum(place.astype(np.int64), num_charges - 2)
    return Grid(charge, action, energy, allowed, lower, place - lower, energy - stored)
