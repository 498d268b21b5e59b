"""A leader of the guided cart-pole that identifies its model and plans in it.

It learns how cart and pole move, where episodes begin and end and what it is paid for by watching,
plans its follower's best response there, and takes the exact hypergradient of that game.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.observations import Observations, discounted_return
from bilevelrl.core.random_features import fit, regression, sums
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.guided_cartpole.planning.grid import GridParams
from bilevelrl.problems.guided_cartpole.planning.plan import Planner
from bilevelrl.problems.guided_cartpole.planning.player import PlannedPlayer
from bilevelrl.problems.guided_cartpole.policy import ModulePolicy
from bilevelrl.problems.guided_cartpole.rollout import CartPoleBatch
from bilevelrl.problems.guided_cartpole.view import follower_observation

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
class PlanningLeader:
    """Implements `sampled.Learner`; what the follower answers is not looked at.

    Attributes:
        policy: of the leader.
        winds: that it chooses from, shape (A,).
        temperature: β of each run, shape (R,).
        discounts: γ_L and γ_F.
        horizon: T.
        grid: that it plans on.
        most_surprise: nats by which the follower's choices may contradict the plan, see
            `PlannedPlayer.surprise`: from here on, the leader no longer reckons with its response
            to θ; up to half of it, it does in full. None never does.
    """

    policy: ModulePolicy
    winds: Floats
    temperature: Floats
    discounts: tuple[float, float]
    horizon: int
    grid: GridParams
    most_surprise: float | None = None

    def start(self, streams: Streams) -> Memory:
        """Nothing seen."""
        number = len(streams.seeds)
        memory = {
            "survived": np.zeros((number, 2)),  # |x| and |φ| at most
            "ended": np.full((number, 2), np.inf),  # and at least, where that ended an episode
            "arrivals": np.zeros((number, 2, _CELLS)),  # how often, and what was paid in all
            "follower": np.zeros((number, 2)),  # steps, and what the follower was paid in all
            "starts": np.zeros((number, 0, 4)),
            "plan": np.full((number, *self._plan_shape), np.nan, np.float32),  # the last v_F
        }
        for name, size, outputs in (("cart", 2, 1), ("pole", 2, 1), ("kick", len(_CUBICS), 2)):
            memory |= sums(size, outputs, number, name)
        return memory

    @property
    def _plan_shape(self) -> tuple[int, int, int]:
        grid = self.grid
        return grid.angles, grid.rotations, grid.speeds * grid.positions

    def acts_at_random(self, memory: Memory) -> bool:
        """The leader always follows θ."""
        del memory
        return False

    def learn(
        self, theta: Floats, response: Any, batch: Observations, memory: Memory, streams: Streams
    ) -> Estimate:
        """The exact hypergradient of the model as identified so far."""
        del response, streams
        assert isinstance(batch, CartPoleBatch)
        first = batch.state[:, :: self.horizon]
        memory["starts"] = np.concatenate([memory["starts"], first], axis=1)[:, -_STARTS:]
        direct, indirect = np.zeros_like(theta), np.zeros_like(theta)
        discount = self.discounts[1]
        for run, beta in enumerate(self.temperature.tolist()):
            self._remember(batch, memory, run)
            planner = Planner(identified(memory, run), self.policy, self.winds, self.grid)
            last = memory["plan"][run]
            guess = None if np.isnan(last[0, 0, 0]) else last.copy()
            answer = planner.best_response(theta[run], beta, discount, guess)
            trust = self._trust(batch, run, PlannedPlayer(planner, answer.value, beta, discount))
            planned = planner.plan(
                theta[run], answer, beta, self.discounts, self.horizon, indirect=trust > 0.0
            )
            last[:] = answer.value
            direct[run], indirect[run] = planned.direct, trust * planned.indirect
        return Estimate(
            direct,
            indirect,
            discounted_return(batch.leader_reward, self.horizon, self.discounts[0]),
            env_steps=batch.leader_reward.shape[1],
        )

    def _trust(self, batch: CartPoleBatch, run: int, player: PlannedPlayer) -> float:
        if self.most_surprise is None:
            return 0.0
        alive = batch.alive[run]
        wind = self.winds[batch.leader_action[run][alive]]
        seen = follower_observation(batch.state[run][alive], wind)
        surprise = player.surprise(seen, batch.follower_action[run][alive])
        return float(np.clip(2.0 - 2.0 * surprise / self.most_surprise, 0.0, 1.0))

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
