"""A follower that learns from interaction alone: tabular soft Q-learning.

    Q(s, a) ← Q(s, a) + α_n [r_F(s, a) + γ β log Σ_a' exp(Q(s', a') / β) - Q(s, a)],

(Haarnoja et al. 2017), α_n of the n-th visit of (s, a) falling from 1 like (n_0 / (n_0 + n - 1))^ω,
ω between 1/2 and 1 (Even-Dar and Mansour 2003). Every episode is replayed once, backwards, when it
ends, so that what was found at its end is known at its start. It is played with the softmax of the
table, and with a share of uniform actions.

What the follower may ask of the problem is what an environment gives away: where it is, what it
was paid, where it is next. The model is used to simulate that, and to certify the answer.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import numba
import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.compilation import kernel, parallel_kernel
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.seeding import Streams
from bilevelrl.models.tabular.model import TabularModel
from bilevelrl.models.tabular.soft_policy_iteration import soft_bellman
from bilevelrl.models.tabular.truncated import softmax_policy

Floats = NDArray[np.float64]


@kernel
def soft_value(row, temperature):  # type: ignore[no-untyped-def]
    """β log Σ_a exp(Q(a) / β) of one row."""
    top = row.max()
    total = 0.0
    for a in range(len(row)):
        total += np.exp((row[a] - top) / temperature)
    return top + temperature * np.log(total)


@kernel
def choose(row, temperature, exploration, uniform, other):  # type: ignore[no-untyped-def]
    """An action of the softmax of one row, or with probability `exploration` any."""
    number = len(row)
    if other < exploration:
        return min(int(uniform * number), number - 1)
    top = row.max()
    total = 0.0
    for a in range(number):
        total += np.exp((row[a] - top) / temperature)
    left = uniform * total
    for a in range(number - 1):
        left -= np.exp((row[a] - top) / temperature)
        if left < 0.0:
            return a
    return number - 1


@kernel
def replay_backwards(  # type: ignore[no-untyped-def]
    place,
    action,
    reward,
    following,
    goes_on,
    length,
    temperature,
    discount,
    schedule,
    table,
    visits,
):
    """Learn from one episode, last step first; changes Q and visits, each (places, actions).

    `goes_on` is false where nothing follows a step; `schedule` is (n_0, ω, smallest α).
    """
    for t in range(length - 1, -1, -1):
        x, a = place[t], action[t]
        target = reward[t]
        if goes_on[t]:
            target += discount * soft_value(table[following[t]], temperature)
        step = (schedule[0] / (schedule[0] + visits[x, a])) ** schedule[1]
        visits[x, a] += 1.0
        table[x, a] += max(step, schedule[2]) * (target - table[x, a])


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
        paid = np.empty(limit)
        s, length = start, 0
        for n in range(num_steps):
            draw = uniforms[r, n]
            a = choose(table[r, s], temperature[r], exploration, draw[0], draw[1])
            move = 0
            for k in range(num_successors - 1):
                move += draw[2] >= slip[s, a, k]
            place[length], action[length], paid[length] = s, a, reward[r, s, a]
            following[length], goes_on[length] = successor[s, move], discount[s] > 0.0
            s = following[length]
            length += 1
            if not goes_on[length - 1] or length == limit or n == num_steps - 1:
                replay_backwards(
                    place, action, paid, following, goes_on, length, temperature[r],
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


@dataclass(frozen=True)
class SoftQOptions:
    """The learning rule.

    Attributes:
        exploration: share of uniform actions.
        settle: n_0, visits of (s, a) during which its step size stays near 1.
        exponent: ω of the step size.
        smallest_step: the step size falls no further, which keeps up with a leader that moves.
    """

    exploration: float = 0.5
    settle: float = 10.0
    exponent: float = 0.9
    smallest_step: float = 0.0

    @property
    def schedule(self) -> Floats:
        """(n_0, ω, smallest α)."""
        return np.array([self.settle, self.exponent, self.smallest_step])


class Budget(Protocol):
    """How much a follower learns before it answers; read-only."""

    @property
    def first_steps(self) -> int: ...  # noqa: D102

    @property
    def steps(self) -> int: ...  # noqa: D102

    @property
    def start_from(self) -> Literal["carry", "reset"]: ...  # noqa: D102


def steps_of_answer(budget: Budget, memory: Floats) -> int:
    """Transitions before the next answer; "reset" forgets Q and visits, `memory` (R, 2, ...)."""
    if budget.start_from == "reset":
        memory[:] = 0.0
    return budget.steps if memory[:, 1].any() else budget.first_steps


@dataclass(frozen=True, eq=False)
class SoftQLearning:
    """Implements `protocol.Follower`.

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
    options: SoftQOptions = SoftQOptions()
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
        answers = np.full(len(table), 1, dtype=np.int64)
        return BestResponse(policy, value, accuracy, answers, steps)
