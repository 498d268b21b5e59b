"""Tabular soft Q-learning as any finite problem has it: one action, one replay, one rule.

    Q(s, a) ← Q(s, a) + α_n [r_F(s, a) + γ β log Σ_a' exp(Q(s', a') / β) - Q(s, a)],

(Haarnoja et al. 2017), α_n of the n-th visit of (s, a) falling from 1 like (n_0 / (n_0 + n - 1))^ω,
ω between 1/2 and 1 (Even-Dar and Mansour 2003). Every episode is replayed once, backwards, when it
ends, so that what was found at its end is known at its start. It is played with the softmax of the
table, and with a share of uniform actions.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import kernel


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


@dataclass(frozen=True)
class SoftQOptions:
    """The learning rule, `settle` being n_0 and `exponent` ω.

    The step size falls no further than to `smallest_step`, which keeps up with a leader that moves.
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
