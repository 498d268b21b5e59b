"""What a leader of the guided cart-pole makes of what it sees: a model to plan in.

How cart and pole move, where episodes begin and end, and what is paid for.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.random_features import Memory, fit, regression, sums
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.guided_cartpole.rollout import CartPoleBatch

#: Exponents of (φ, φ̇, w, u) in what changes of the speeds are linear in: all cubics.
_CUBICS = np.array([each for each in itertools.product(range(4), repeat=4) if sum(each) <= 3])
#: What φ is divided by there.
_ANGLE = 0.2
#: Relative penalty of every regression.
_RIDGE = 1e-12
#: Positions are told apart to a centimetre, up to so many metres; what is paid beyond
#: `_CLOSE` of those that were seen is taken for nothing.
_CELL, _FARTHEST, _CLOSE = 0.01, 4.0, 0.1
#: First states that are remembered.
_STARTS = 200
#: Where no end was seen: so many times the |x| and |φ| that were survived.
_LEEWAY = np.array([2.0, 1.1])


def cubics(angle: Floats, rotation: Floats, wind: Floats, push: Floats) -> Floats:
    """All products of up to three of (φ, φ̇, w, u), shape (..., 35), each of shape (...)."""
    inputs = np.stack([angle / _ANGLE, rotation, wind, push], axis=-1)
    rows = np.ones((*angle.shape, len(_CUBICS)))
    for coordinate in range(4):
        powers = inputs[..., coordinate, None] ** np.arange(4)
        rows *= powers[..., _CUBICS[:, coordinate]]
    return rows


@dataclass(frozen=True, eq=False)
class IdentifiedMechanics:
    """Implements `planning.mechanics.Mechanics` by what one run has seen.

    Attributes:
        limit: see there.
        angle_limit: see there.
        starts: see there.
        follower_reward: mean of those seen.
        drifts: (intercept, slope) of the changes of x in ẋ, and of φ in φ̇, shape (2, 2).
        kicks: coefficients of the changes of ẋ and φ̇ in `cubics`, shape (35, 2).
        paid: mean r_L of steps that ended at each centimetre of x.
    """

    limit: float
    angle_limit: float
    starts: tuple[Floats, Floats]
    follower_reward: float
    drifts: Floats
    kicks: Floats
    paid: Floats

    def drift(self, speed: Floats, rotation: Floats) -> tuple[Floats, Floats]:
        """See `Mechanics`."""
        (cart, cart_slope), (pole, pole_slope) = self.drifts.T
        return cart + cart_slope * speed, pole + pole_slope * rotation

    def kick(
        self, angle: Floats, rotation: Floats, wind: Floats, push: Floats
    ) -> tuple[Floats, Floats]:
        """See `Mechanics`."""
        changes = cubics(angle, rotation, wind, push) @ self.kicks
        return changes[..., 0], changes[..., 1]

    def leader_reward(self, position: Floats) -> Floats:
        """See `Mechanics`."""
        rewards: Floats = self.paid[_cell(position)]
        return rewards


def _cell(position: Floats) -> Any:
    inside = np.clip(position, -_FARTHEST, _FARTHEST)
    return np.floor((inside + _FARTHEST) / _CELL).astype(np.int64).clip(0, _CELLS - 1)


_CELLS = round(2 * _FARTHEST / _CELL)


@dataclass(frozen=True, eq=False)
class IdentifiedBelief:
    """Implements `sampled.Belief`: what it learns takes the place of the follower's answer.

    Attributes:
        winds: that the leader chooses from, shape (A,).
        horizon: T.
    """

    winds: Floats
    horizon: int

    def start(self, streams: Streams) -> Memory:
        """Nothing seen."""
        number = len(streams.seeds)
        memory = {
            "survived": np.zeros((number, 2)),  # |x| and |φ| at most
            "ended": np.full((number, 2), np.inf),  # and at least, where that ended an episode
            "arrivals": np.zeros((number, 2, _CELLS)),  # how often, and what was paid in all
            "follower": np.zeros((number, 2)),  # steps, and what the follower was paid in all
            "starts": np.zeros((number, 0, 4)),
        }
        for name, size, outputs in (("cart", 2, 1), ("pole", 2, 1), ("kick", len(_CUBICS), 2)):
            memory |= sums(size, outputs, number, name)
        return memory

    def learn(
        self, theta: Floats, seen: CartPoleBatch, memory: Memory
    ) -> list[IdentifiedMechanics]:
        """A model per run; updates `memory` in place.

        Raises:
            ValueError: if the follower's rewards were not seen.
        """
        del theta
        first = seen.state[:, :: self.horizon]
        memory["starts"] = np.concatenate([memory["starts"], first], axis=1)[:, -_STARTS:]
        for run in range(len(seen.alive)):
            self._remember(seen, memory, run)
        return [identified(memory, run) for run in range(len(seen.alive))]

    def _remember(self, batch: CartPoleBatch, memory: Memory, run: int) -> None:
        alive = batch.alive[run]
        state, after = batch.state[run][alive], batch.next_state[run][alive]
        fell = batch.terminated[run][alive]
        wind = self.winds[batch.leader_action[run][alive]]
        change, ones = after - state, np.ones(len(state))
        rows = cubics(state[:, 2], state[:, 3], wind, batch.follower_action[run][alive][:, 0])
        line = {name: np.stack([ones, state[:, place]], axis=1)
                for name, place in (("cart", 1), ("pole", 3))}  # fmt: skip
        for name, inputs, outputs in (
            ("cart", line["cart"], change[:, [0]]),
            ("pole", line["pole"], change[:, [2]]),
            ("kick", rows, change[:, [1, 3]]),
        ):
            fit(memory, name, run, regression(inputs, outputs, ones), keep=1.0, ridge=_RIDGE)
        survived, ended = memory["survived"][run], memory["ended"][run]
        reached = np.abs(after[:, [0, 2]])
        survived[:] = np.maximum(survived, reached[~fell].max(axis=0, initial=0.0))
        for last in reached[fell]:
            beyond = last > survived
            if beyond.sum() == 1:  # else nobody can tell what ended it
                ended[beyond] = np.minimum(ended, last)[beyond]
        cells = _cell(after[:, 0])
        arrivals = memory["arrivals"][run]
        np.add.at(arrivals[0], cells, 1.0)
        np.add.at(arrivals[1], cells, batch.leader_reward[run][alive])
        memory["follower"][run] += len(state), batch.follower_rewards()[run][alive].sum()


def identified(memory: Memory, run: int) -> IdentifiedMechanics:
    """What one run has learned."""
    survived, ended = memory["survived"][run], memory["ended"][run]
    limits = np.where(np.isfinite(ended), 0.5 * (survived + ended), _LEEWAY * survived)
    starts = memory["starts"][run]
    times, paid = memory["arrivals"][run]
    seen = np.flatnonzero(times)
    middle = np.arange(_CELLS)
    after = np.clip(np.searchsorted(seen, middle), 0, len(seen) - 1)
    before = np.maximum(after - 1, 0)
    closer = np.where(middle - seen[before] < seen[after] - middle, seen[before], seen[after])
    known = np.abs(middle - closer) <= _CLOSE / _CELL
    steps, follower = memory["follower"][run]
    drifts = np.concatenate(
        [memory[f"{name}_coefficients"][run] for name in ("cart", "pole")], axis=1
    )
    return IdentifiedMechanics(
        float(limits[0]),
        float(limits[1]),
        (starts, np.full(len(starts), 1.0 / len(starts))),
        float(follower / steps),
        drifts,
        memory["kick_coefficients"][run],
        np.where(known, paid[closer] / np.maximum(times[closer], 1.0), 0.0),
    )
