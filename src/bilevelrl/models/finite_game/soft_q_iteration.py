"""Followers of a game in which the leader acts: soft Q iteration, to convergence or a few sweeps.

The follower sees the leader's action before its own, so that its tables are indexed by (s, a, b).
In both orders of the backup below, Q depends on the soft values of the S states only, and the
backup of those is a contraction: convex, monotone and with derivative γ times the transition
probabilities of a chain. Newton's method on them (soft policy iteration, in the correct order)
therefore converges from any start.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.core.follower import BestResponse, NotConverged
from bilevelrl.core.seeding import Streams
from bilevelrl.models.finite_game.kernels import solve, sweep
from bilevelrl.models.finite_game.markov_game import MarkovGame

#: "correct" takes the soft maximum for each leader action and averages over them; "published"
#: averages Q over the leader's action first, as if the follower chose before seeing it.
Order = Literal["correct", "published"]
Start = Literal["carry", "reset"]


class SoftQFollower(Protocol):
    """Answers a leader that acts; what it carries to the next answer lives in `memory`."""

    def start(self, num_runs: int, streams: Streams) -> Floats:
        """Memory before the first answer, one row per run."""

    def respond(self, leader_policy: Floats, memory: Floats, streams: Streams) -> BestResponse:
        """Answer f(a | s), shape (R, S, A); updates `memory` in place.

        The answer's policy has shape (R, S, A, B) and its value V_F(s, a) shape (R, S, A).
        """


def _check(temperature: Floats, order: str) -> None:
    if temperature.ndim != 1 or not (temperature > 0.0).all():
        raise ValueError(f"temperature must be positive, one per run, got {temperature}")
    if order not in ("correct", "published"):
        raise ValueError(f"order must be 'correct' or 'published', got {order!r}")


def _checked_leader(game: MarkovGame, leader_policy: Floats, temperature: Floats) -> Floats:
    if len(leader_policy) != len(temperature):
        raise ValueError(f"{len(leader_policy)} leader policies but {len(temperature)} runs")
    return game.checked_leader_policy(leader_policy)


@dataclass(frozen=True, eq=False)
class SoftQIteration:
    """The exact best response, to a certified accuracy.

    Solves Q(s, a, b) = r_F(s, a, b) + γ_F Σ_s' P(s' | s, a, b) v(s'), with v(s') from Q as in
    `kernels.soft_state_values`, by Newton steps v ← v + (I - γ_F P_w)⁻¹ (T v - v). T is a
    γ-contraction, so max|v - v*| ≤ max|T v - v| / (1 - γ), which bounds the error of V_F(s, a) too.

    Attributes:
        temperature: β of each run, shape (R,).
        tolerance: bound on the true error of V_F, in units of reward. Rounding leaves about
            1e-15 max|V_F| / (1 - γ).
        max_iterations: Newton steps allowed before giving up.
        order: of average and soft maximum; "published" is a quirk of the released code.
    """

    game: MarkovGame
    temperature: Floats
    tolerance: float
    max_iterations: int
    order: Order = "correct"

    def __post_init__(self) -> None:
        """Raises ValueError if a temperature is not positive, or there is no such order."""
        _check(self.temperature, self.order)

    def start(self, num_runs: int, streams: Streams | None = None) -> Floats:
        """Soft values v(s) of zero, shape (R, S)."""
        del streams
        return np.zeros((num_runs, self.game.num_states))

    def respond(
        self, leader_policy: Floats, memory: Floats, streams: Streams | None = None
    ) -> BestResponse:
        """The best response to f(a | s), shape (R, S, A), warm-started from `memory`.

        Raises:
            NotConverged: if a run misses the tolerance.
            ValueError: if `leader_policy` has another shape or is none.
        """
        del streams
        game = self.game
        leader = _checked_leader(game, leader_policy, self.temperature)
        policy = np.empty((len(leader), *game.follower_reward.shape))
        value, accuracy = np.empty(leader.shape), np.empty(len(leader))
        iterations = np.empty(len(leader), dtype=np.int64)
        solve(
            game.transition, game.follower_reward, game.follower_discount, leader,
            self.temperature, self.order == "published", self.tolerance, self.max_iterations,
            memory, policy, value, accuracy, iterations,
        )  # fmt: skip
        if not np.all(accuracy <= self.tolerance):
            worst = int(np.argmax(np.where(np.isnan(accuracy), np.inf, accuracy)))
            raise NotConverged(
                f"best response of run {worst} is only accurate to {accuracy[worst]:.2e} "
                f"(tolerance {self.tolerance:.2e}) after {iterations[worst]} iterations"
            )
        return BestResponse(policy, value, accuracy, iterations)


def swept(
    game: MarkovGame, leader: Floats, beta: Floats, table: Floats, sweeps: Index, order: Order
) -> BestResponse:
    """What a Q table, shape (R, S, A, B), answers after `sweeps` (R,) of soft Q iteration."""
    policy, value, accuracy = np.empty(table.shape), np.empty(leader.shape), np.empty(len(leader))
    sweep(
        game.transition, game.follower_reward, game.follower_discount, leader, beta,
        order == "published", sweeps, table, policy, value, accuracy,
    )  # fmt: skip
    return BestResponse(policy, value, accuracy, sweeps)


@dataclass(frozen=True, eq=False)
class TruncatedSoftQ:
    """Plays the softmax of a Q table that had only so many sweeps of soft Q iteration.

    Attributes:
        temperature, order: as of `SoftQIteration`.
        policy_iterations: synchronous sweeps per answer, of each run, shape (R,).
        start_from: the Q table before an answer: "carry" keeps the last answer's, the first one
            zero; "reset" draws a new N(0, 1) table for every answer.
    """

    game: MarkovGame
    temperature: Floats
    policy_iterations: Index
    start_from: Start
    order: Order = "correct"

    def __post_init__(self) -> None:
        """Raises ValueError if a field is impossible."""
        _check(self.temperature, self.order)
        if self.start_from not in ("carry", "reset"):
            raise ValueError(f"start_from must be 'carry' or 'reset', got {self.start_from!r}")
        sweeps = self.policy_iterations
        if sweeps.shape != self.temperature.shape or sweeps.min() < 0:
            raise ValueError(f"policy_iterations must be 0 or more, one per run, got {sweeps}")

    def start(self, num_runs: int, streams: Streams | None = None) -> Floats:
        """A Q table of zeros, shape (R, S, A, B)."""
        del streams
        return np.zeros((num_runs, *self.game.follower_reward.shape))

    def respond(self, leader_policy: Floats, memory: Floats, streams: Streams) -> BestResponse:
        """Sweep `policy_iterations` times; `accuracy` certifies how far that got.

        Raises:
            ValueError: if `leader_policy` has another shape or is none.
        """
        leader = _checked_leader(self.game, leader_policy, self.temperature)
        if self.start_from == "reset":
            memory[:] = streams.normals("follower", memory.shape[1:])
        sweeps, beta = self.policy_iterations, self.temperature
        return swept(self.game, leader, beta, memory, sweeps, self.order)


@dataclass(frozen=True, eq=False)
class UniformFirst:
    """Answers uniformly with V_F = 0 once, then like `follower` from its own start.

    The released code solves for the follower after each update of the leader, so that its first
    update meets a follower that never planned; V_F is then 0 and not the value β log B of a Q table
    of zeros. Memory is NaN until the first answer has been given.
    """

    follower: SoftQFollower
    game: MarkovGame
    temperature: Floats

    def start(self, num_runs: int, streams: Streams) -> Floats:
        """Memory of `follower`'s shape, all NaN."""
        return np.full_like(self.follower.start(num_runs, streams), np.nan)

    def respond(self, leader_policy: Floats, memory: Floats, streams: Streams) -> BestResponse:
        """The uniform answer if it is the first one, else that of `follower`."""
        if not np.isnan(memory).all():
            return self.follower.respond(leader_policy, memory, streams)
        game, leader = self.game, self.game.checked_leader_policy(leader_policy)
        memory[:] = self.follower.start(len(leader), streams)
        num_actions = game.num_follower_actions
        policy = np.full((len(leader), *game.follower_reward.shape), 1.0 / num_actions)
        # What V*_F can be at most: the best reward and the largest entropy bonus in every step.
        largest = np.abs(game.follower_reward).max() + self.temperature * np.log(num_actions)
        accuracy, none = largest / (1.0 - game.follower_discount), np.zeros(len(leader), np.int64)
        return BestResponse(policy, np.zeros(leader.shape), accuracy, none)


def optimality_gap(policy: Floats, optimal: Floats) -> Floats:
    """Mean over (s, a) of Σ_b π (log(π + ε) - log(π* + ε)), ε = 1e-10, shape (R,).

    Of a truncated follower's π(b | s, a) to the exact best response π*, both (R, S, A, B).
    """
    small = 1e-10
    difference = policy * (np.log(policy + small) - np.log(optimal + small))
    return np.array([run.sum(axis=-1).mean() for run in difference])
