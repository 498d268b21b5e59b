"""A follower that stops early: modified policy iteration with a fixed number of improvements."""

from dataclasses import dataclass
from typing import Literal

import numba
import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import kernel, parallel_kernel
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.seeding import Streams
from bilevelrl.models.tabular.model import TabularModel
from bilevelrl.models.tabular.soft_policy_iteration import soft_bellman

Start = Literal["zero", "carry", "reset"]


@kernel
def softmax_policy(table, temperature, policy):  # type: ignore[no-untyped-def]
    """Fill π(a | s) ∝ exp(Q(s, a) / β), shape (S, A),."""
    num_states, num_actions = table.shape
    for s in range(num_states):
        top = table[s].max()
        total = 0.0
        for a in range(num_actions):
            policy[s, a] = np.exp((table[s, a] - top) / temperature)
            total += policy[s, a]
        for a in range(num_actions):
            policy[s, a] /= total


@kernel
def _evaluation_sweeps(model, reward, temperature, policy, num_sweeps, table):  # type: ignore[no-untyped-def]
    # Q ← r + β H(π_s) + γ P Σ_a π Q with π frozen, the entropy H where π ∝ exp(Q / β). The entropy
    # of the current state sits inside Q; it is the same for all actions, so that the softmax does
    # not see it. Between the sweeps only v = Σ_a π Q is needed, by the transition under π.
    num_states, num_actions, num_successors = model.probability.shape
    earned, value, before = np.empty(num_states), np.empty(num_states), np.empty(num_states)
    chain = np.zeros((num_states, num_successors))
    bonus = np.empty(num_states)
    for s in range(num_states):
        top, likeliest = table[s, 0], 0
        for a in range(1, num_actions):
            if table[s, a] > top:
                top, likeliest = table[s, a], a
        value[s], earned[s] = 0.0, 0.0
        for a in range(num_actions):
            value[s] += policy[s, a] * table[s, a]
            earned[s] += policy[s, a] * reward[s, a]
            for k in range(num_successors):
                chain[s, k] += model.discount[s] * policy[s, a] * model.probability[s, a, k]
        # -Σ π log π, because log π(a) = (Q(a) - max Q) / β + log π(the likeliest).
        bonus[s] = (top - value[s]) - temperature * np.log(policy[s, likeliest])
        earned[s] += bonus[s]
    for _ in range(num_sweeps - 1):
        value, before = before, value
        for s in range(num_states):
            value[s] = earned[s]
            for k in range(num_successors):
                value[s] += chain[s, k] * before[model.successor[s, k]]
    for s in range(num_states):
        for a in range(num_actions):
            expected = 0.0
            for k in range(num_successors):
                expected += model.probability[s, a, k] * value[model.successor[s, k]]
            table[s, a] = reward[s, a] + bonus[s] + model.discount[s] * expected


@parallel_kernel
def _respond(  # type: ignore[no-untyped-def]
    model, reward, temperature, num_improvements, num_sweeps, table, policy, value, accuracy
):
    num_runs, num_states, num_actions = reward.shape
    for r in numba.prange(num_runs):
        for _ in range(num_improvements[r]):
            softmax_policy(table[r], temperature[r], policy[r])
            _evaluation_sweeps(model, reward[r], temperature[r], policy[r], num_sweeps, table[r])
        softmax_policy(table[r], temperature[r], policy[r])
        for s in range(num_states):
            value[r, s] = 0.0
            for a in range(num_actions):
                value[r, s] += policy[r, s, a] * table[r, s, a]
        unused, backup = np.empty((num_states, num_actions)), np.empty(num_states)
        soft_bellman(model, reward[r], temperature[r], value[r], unused, backup)
        accuracy[r] = np.abs(backup - value[r]).max() / (1.0 - model.discount.max())


@dataclass(frozen=True, eq=False)
class Truncated:
    """Plays the softmax of a Q table that had only so many policy improvements.

    With start_from="zero" and 100 improvements of 5 sweeps this is, literally, the solver of the
    released code; "carry" and "reset" are its sub-optimal followers.

    Attributes:
        model: the follower's process.
        temperature: β of each run, shape (R,).
        policy_iterations: improvements per answer, of each run, shape (R,).
        sweeps: evaluation sweeps after each improvement.
        start_from: the Q table before an answer: "zero"; "carry" keeps the last answer's, the
            first one drawn from N(0, 1); "reset" draws a new N(0, 1) table for every answer.
    """

    model: TabularModel
    temperature: Floats
    policy_iterations: NDArray[np.int64]
    sweeps: int
    start_from: Start

    def start(self, num_runs: int, streams: Streams) -> Floats:
        """The first Q table, shape (R, S, A)."""
        shape = (self.model.num_states, self.model.num_actions)
        if self.start_from == "carry":
            return streams.normals("follower", shape)
        return np.zeros((num_runs, *shape))

    def respond(self, reward: Floats, memory: Floats, streams: Streams) -> BestResponse:
        """Improve the policy `policy_iterations` times; `accuracy` certifies how far that got."""
        if self.start_from == "reset":
            memory[:] = streams.normals("follower", memory.shape[1:])
        elif self.start_from == "zero":
            memory[:] = 0.0
        policy = np.empty_like(reward)
        value, accuracy = np.empty(reward.shape[:2]), np.empty(len(reward))
        _respond(
            self.model, reward, self.temperature, self.policy_iterations, self.sweeps,
            memory, policy, value, accuracy,
        )  # fmt: skip
        return BestResponse(policy, value, accuracy, self.policy_iterations)
