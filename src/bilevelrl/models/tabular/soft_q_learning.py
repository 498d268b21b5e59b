"""A follower that learns from interaction alone, by the rule of `core.soft_q_rule`.

What the follower may ask of the problem is what an environment gives away: where it is, what it
got, where it is next. The model is used to simulate that, and to certify the answer.
"""

from dataclasses import dataclass, field
from typing import Literal

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import parallel_kernel
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.seeding import Streams
from bilevelrl.core.soft_q_rule import (
    SoftQOptions,
    choose,
    replay_backwards,
    soft_value,
    steps_of_answer,
)
from bilevelrl.models.tabular.model import TabularModel
from bilevelrl.models.tabular.soft_policy_iteration import soft_bellman
from bilevelrl.models.tabular.truncated import softmax_policy


@parallel_kernel
def _interact(  # type: ignore[no-untyped-def]
    successor, discount, slip, start, reward, temperature, uniforms, limit, exploration, schedule,
    table, visits,
):  # fmt: skip
    num_runs, num_steps, _ = uniforms.shape
    num_successors = slip.shape[2]
    for r in numba.prange(num_runs):
        place, following = np.empty(limit, np.int64), np.empty(limit, np.int64)
        action, goes_on = np.empty(limit, np.int64), np.empty(limit, np.bool_)
        rewards = np.empty(limit)
        s, length = start, 0
        for n in range(num_steps):
            draw = uniforms[r, n]
            a = choose(table[r, s], temperature[r], exploration, draw[0], draw[1])
            move = 0
            for k in range(num_successors - 1):
                move += draw[2] >= slip[s, a, k]
            place[length], action[length], rewards[length] = s, a, reward[r, s, a]
            following[length], goes_on[length] = successor[s, move], discount[s] > 0.0
            s = following[length]
            length += 1
            if not goes_on[length - 1] or length == limit or n == num_steps - 1:
                replay_backwards(
                    place, action, rewards, following, goes_on, length, temperature[r],
                    discount.max(), schedule, table[r], visits[r],
                )  # fmt: skip
                s, length = start, 0


@parallel_kernel
def _answer(model, reward, temperature, table, policy, value, accuracy):  # type: ignore[no-untyped-def]
    num_runs, num_states, num_actions = table.shape
    for r in numba.prange(num_runs):
        softmax_policy(table[r], temperature[r], policy[r])
        for s in range(num_states):
            value[r, s] = soft_value(table[r, s], temperature[r])
        unused, backup = np.empty((num_states, num_actions)), np.empty(num_states)
        soft_bellman(model, reward[r], temperature[r], value[r], unused, backup)
        accuracy[r] = np.abs(backup - value[r]).max() / (1.0 - model.discount.max())


@dataclass(frozen=True, eq=False)
class SoftQLearning:
    """Implements `core.follower.Follower`.

    Attributes:
        model: the process that it lives in.
        temperature: β of each run, shape (R,).
        first_steps: transitions before the first answer.
        steps: transitions before each later one.
        max_episode_steps: transitions after which an episode starts again.
        options: of the learning rule.
        start_from: "carry" goes on from the last answer, "reset" starts again from nothing.
    """

    model: TabularModel
    temperature: Floats
    first_steps: int
    steps: int
    max_episode_steps: int
    options: SoftQOptions = field(default_factory=SoftQOptions)
    start_from: Literal["carry", "reset"] = "carry"

    def start(self, num_runs: int, streams: Streams | None = None) -> Floats:
        """Q and visits, all zero, shape (R, 2, S, A)."""
        del streams
        return np.zeros((num_runs, 2, self.model.num_states, self.model.num_actions))

    def respond(self, reward: Floats, memory: Floats, streams: Streams) -> BestResponse:
        """Learn from transitions under r_F(s, a; θ), shape (R, S, A), and answer.

        `value` is what the follower believes, and `accuracy` certifies it from the model.
        """
        model, table = self.model, memory[:, 0]
        steps = steps_of_answer(self, memory)
        uniforms = streams.uniforms("follower", (steps, 3))
        slip = np.cumsum(model.probability, axis=-1)
        (start,) = np.nonzero(model.initial)[0][:1]
        _interact(
            model.successor, model.discount, slip, start, reward, self.temperature, uniforms,
            self.max_episode_steps, self.options.exploration, self.options.schedule, table,
            memory[:, 1],
        )  # fmt: skip
        policy, value = np.empty(table.shape), np.empty(table.shape[:2])
        accuracy = np.empty(len(table))
        _answer(model, reward, self.temperature, table, policy, value, accuracy)
        return BestResponse(policy, value, accuracy, np.ones(len(table), np.int64), steps)
