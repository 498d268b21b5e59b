"""Houses that learn from what happens to them: soft Q-learning on the grid.

The rule is that of `core.soft_q_rule`: one step per transition, every day replayed backwards when
it ends. Two things keep values small, and change no choice: a house is rewarded for what it saves
against leaving its battery alone in that hour; and of every reward a share `pull` of the value of
an empty battery at midnight is taken off, as in relative value iteration (Abounadi, Bertsekas and
Borkar 2001). Without, the entropy of all hours to come, about β log A / (1 - γ) and the same for
all, has to be learned in every entry for itself. Rewards are means over the hour's noise.
"""

from dataclasses import dataclass, field
from typing import Literal

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import parallel_kernel
from bilevelrl.core.seeding import Streams
from bilevelrl.core.soft_q_rule import (
    SoftQOptions,
    choose,
    replay_backwards,
    soft_value,
    steps_of_answer,
)
from bilevelrl.problems.home_battery.kernels import plan
from bilevelrl.problems.home_battery.planner import HouseholdResponse, check_temperature
from bilevelrl.problems.home_battery.problem import HomeBattery
from bilevelrl.problems.home_battery.profiles import HOURS


@parallel_kernel
def _learn(  # type: ignore[no-untyped-def]
    reward, allowed, lower, share, temperature, discount, exploration, schedule, pull, uniforms,
    table, visits,
):  # fmt: skip
    num_rows, num_hours, num_charges, num_actions = reward.shape
    num_steps = uniforms.shape[1]
    for n in numba.prange(num_rows):
        place, following = np.empty(num_hours, np.int64), np.empty(num_hours, np.int64)
        action, goes_on = np.empty(num_hours, np.int64), np.ones(num_hours, np.bool_)
        rewards = np.empty(num_hours)
        possible = np.empty(num_actions, np.int64)
        for x in range(num_hours * num_charges):
            for a in range(num_actions):
                if not allowed[x % num_charges, a]:
                    table[n, x, a] = -np.inf
        c, usual = 0, pull * soft_value(table[n, 0], temperature[n])
        for t in range(num_steps):
            h, draw = t % num_hours, uniforms[n, t]
            x = h * num_charges + c
            if draw[1] < exploration:
                number = 0
                for a in range(num_actions):
                    if allowed[c, a]:
                        possible[number] = a
                        number += 1
                a = possible[min(int(draw[0] * number), number - 1)]
            else:
                a = choose(table[n, x], temperature[n], 0.0, draw[0], draw[1])
            place[h], action[h], rewards[h] = x, a, reward[n, h, c, a] - usual
            c = lower[c, a] + (draw[2] < share[c, a])
            following[h] = (h + 1) % num_hours * num_charges + c
            if h == num_hours - 1 or t == num_steps - 1:
                replay_backwards(
                    place,
                    action,
                    rewards,
                    following,
                    goes_on,
                    h + 1,
                    temperature[n],
                    discount,
                    schedule,
                    table[n],
                    visits[n],
                )
                usual = pull * soft_value(table[n, 0], temperature[n])  # fmt: skip


@parallel_kernel
def _answer(table, temperature, policy, value):  # type: ignore[no-untyped-def]
    num_rows, num_hours, num_charges, num_actions = policy.shape
    for n in numba.prange(num_rows):
        for h in range(num_hours):
            for c in range(num_charges):
                row = table[n, h * num_charges + c]
                value[n, h, c] = soft_value(row, temperature[n])
                for a in range(num_actions):
                    policy[n, h, c, a] = np.exp((row[a] - value[n, h, c]) / temperature[n])


@dataclass(frozen=True, eq=False)
class LearningHousehold:
    """Implements `planner.Household`.

    Attributes:
        problem: the houses.
        temperature: β of each run, in $, shape (R,).
        first_steps: hours that every house lives before its first answer.
        steps: hours before each later one.
        options: of the learning rule.
        pull: share of the value at midnight that is taken off every reward.
        start_from: "carry" goes on from the last answer, "reset" starts again from nothing.

    Raises:
        ValueError: if a temperature or a number of hours is not positive, or `pull` is negative.
    """

    problem: HomeBattery
    temperature: Floats
    first_steps: int
    steps: int
    options: SoftQOptions = field(default_factory=SoftQOptions)
    pull: float = 0.2
    start_from: Literal["carry", "reset"] = "carry"

    def __post_init__(self) -> None:
        check_temperature(self.temperature)
        for name in ("first_steps", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0.0 <= self.pull < np.inf:
            raise ValueError(f"pull must be finite, not negative, got {self.pull}")
        if self.start_from not in ("carry", "reset"):
            raise ValueError(f"start_from must be 'carry' or 'reset', got {self.start_from!r}")

    def start(self, num_runs: int, streams: Streams | None = None) -> Floats:
        """Q and visits, all zero, shape (R, 2, H, 24 C, A)."""
        del streams
        charges, actions = self.problem.grid.energy.shape
        return np.zeros((num_runs, 2, self.problem.num_houses, HOURS * charges, actions))

    def respond(self, reward: Floats, memory: Floats, streams: Streams) -> HouseholdResponse:
        """Live under r_F, shape (R, H, 24, C, A), in $, and answer; updates `memory` in place.

        `value` is what a house believes, up to a constant; `certified` bounds its error but for
        that, as a day of planning in the model tells.
        """
        problem, grid, options = self.problem, self.problem.grid, self.options
        steps = steps_of_answer(self, memory)
        shape = reward.shape[:2]
        idle = len(grid.action) // 2
        saved = (reward - reward[..., idle : idle + 1]).reshape(-1, *reward.shape[2:])
        table, visits = (
            np.ascontiguousarray(memory[:, place]).reshape(len(saved), *memory.shape[3:])
            for place in range(2)
        )
        uniforms = streams.uniforms("follower", (shape[1], steps, 3)).reshape(-1, steps, 3)
        temperature = np.repeat(self.temperature, shape[1])
        _learn(
            saved, grid.allowed, grid.lower, grid.share, temperature, problem.follower_discount,
            options.exploration, options.schedule, self.pull, uniforms, table, visits,
        )  # fmt: skip
        memory[:, 0], memory[:, 1] = (each.reshape(memory[:, 0].shape) for each in (table, visits))
        policy, value = np.empty_like(saved), np.empty(saved.shape[:3])
        _answer(table, temperature, policy, value)
        planned, accuracy = value.copy(), np.empty(len(saved))
        plan(
            saved, grid.allowed, grid.lower, grid.share, temperature, problem.follower_discount,
            0.0, np.ones(len(saved), np.int64), planned, np.empty_like(saved), accuracy,
            np.empty(len(saved), np.int64),
        )  # fmt: skip
        daily = problem.follower_discount**HOURS
        return HouseholdResponse(
            policy.reshape(reward.shape),
            value.reshape(reward.shape[:4]),
            (accuracy / daily).reshape(shape),
            np.zeros(shape, np.int64),
            steps * shape[1],
        )
