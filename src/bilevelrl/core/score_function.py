"""Hypergradients of a leader that acts itself: BC-HG, Naive-PGD and Bi-AC (arXiv 2603.14867).

θ enters through the leader's own policy f_θ(a | s) only, so every estimate has the form
Σ_k c_k ∇_θ log f_θ(a_k | s_k) with scalar coefficients

    c_k = γ_L^k A(k) + (1/β) e_k A_F(k),    e_k = Σ_{t<k} γ_F^{k-t} γ_L^t A_L(t),

A the leader's advantage over its own actions, A_L its advantage over the follower's actions, A_F
the follower's advantage over the leader's. Without the second term this is Naive-PGD, and with
another critic Bi-AC.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from bilevelrl.core.arrays import AnyArray, Floats, Index
from bilevelrl.core.control_variate import ControlVariate
from bilevelrl.core.covariance import covariance_term
from bilevelrl.core.estimator import Estimate, Memory, Response_contra
from bilevelrl.core.observations import Observations, discounted_return
from bilevelrl.core.replay import Replay
from bilevelrl.core.seeding import Streams
from bilevelrl.core.trace import powers, sensitivity_to_come


class ActingLeader(Protocol[Response_contra]):
    """A leader with its policy and critic, for one family of games."""

    def start(self, streams: Streams) -> Memory:
        """The critic before the first batch."""

    def learn(
        self,
        theta: Floats,
        response: Response_contra,
        stored: Observations,
        batch: Observations,
        memory: Memory,
        streams: Streams,
    ) -> None:
        """Let the critic learn; updates `memory` in place."""

    def leader_advantage(
        self,
        theta: Floats,
        response: Response_contra,
        drawn: Observations,
        time: Index,
        memory: Memory,
        streams: Streams,
    ) -> Floats:
        """A at transitions drawn from an episode's step `time`, both (R, n)."""

    def follower_side_advantage(
        self,
        theta: Floats,
        response: Response_contra,
        drawn: Observations,
        time: Index,
        memory: Memory,
        streams: Streams,
    ) -> Floats:
        """A_L at the same transitions, shape (R, n)."""

    def follower_factor(
        self, theta: Floats, response: Response_contra, batch: Observations, memory: Memory
    ) -> Floats:
        """V of the sensitivity ψ = V ∇_θ log f_θ(a | s) at every transition, shape (R, N)."""

    def pull_back(
        self, theta: Floats, state: AnyArray, action: AnyArray, weights: Floats
    ) -> Floats:
        """Σ_k w_k ∇_θ log f_θ(a_k | s_k), shape (R, D), for weights (R, n)."""


class StepwiseLeader(Protocol):
    """A leader that tells the sensitivity of every transition, for control variates alone."""

    def sensitivity(
        self, theta: Floats, response: Any, batch: Observations, memory: Memory
    ) -> Floats:
        """ψ, in P coordinates that depend on the family, at every transition, shape (R, N, P)."""

    def from_coordinates(self, theta: Floats, coordinates: Floats) -> Floats:
        """A sum of sensitivities (R, P) as a gradient, shape (R, D)."""

    def features(self, batch: Observations) -> Floats:
        """What E[∇_θ Q_F | s, a] is regressed on, shape (R, N, F)."""


class SensitivityModel(Protocol):
    """A leader that can tell what its samples of the sensitivity would average to."""

    def expected_sum(
        self,
        theta: Floats,
        response: Any,
        batch: Observations,
        injection: Floats,
        memory: Memory,
    ) -> Floats:
        """Σ_k i_k (E[∇_θ Q_F | s, a, b] - E[∇_θ Q_F | s, a]), (R, D), for injections i (R, N)."""


@dataclass(frozen=True, eq=False)
class Centring:
    """The doubly centred covariance of a leader that acts, see `control_variate`."""

    variate: ControlVariate
    leader: StepwiseLeader

    def baseline(
        self, theta: Floats, batch: Observations, injection: Floats, memory: Memory
    ) -> Floats:
        """Σ_t i_t b(s_t, a_t), shape (R, D), for injections (R, N)."""
        coordinates = self.variate.mean(self.leader.features(batch), injection, memory)
        return self.leader.from_coordinates(theta, coordinates)

    def see(
        self,
        theta: Floats,
        response: Any,
        batch: Observations,
        memory: Memory,
        horizon: int,
        discount: float,
    ) -> None:
        """Remember a batch of whole episodes of `horizon` steps; `discount` is γ_F."""
        sensitivity = self.leader.sensitivity(theta, response, batch, memory)
        to_come = sensitivity_to_come(sensitivity, horizon, discount)
        self.variate.see(self.leader.features(batch), to_come, memory)


@dataclass(frozen=True, eq=False)
class ScoreFunction:
    """The estimators of this module; implements `sampled.Learner`.

    Attributes:
        leader: policy and critic.
        horizon: steps per episode.
        leader_discount: γ_L.
        follower_discount: γ_F.
        temperature: β of each run, shape (R,); None leaves the indirect term out (Naive-PGD).
        replay: what is kept; None keeps the newest batch.
        minibatch: transitions per estimate, drawn in proportion to γ_L^t with replacement (the
            released code replaces on-policy only). The estimate is then of dJ/dθ / Σ_t γ_L^t, as
            in the released code. None takes all, weighted by γ_L^t.
        influence_now: the sensitivity starts at the same step, which only adds noise (released
            code), instead of the next one.
        control: baseline of the follower's side; None has none.
        expectation: takes the place of the trace and of the control variate; None samples.
        random_updates: first updates with a leader that acts at random.
        return_discount: of `Estimate.leader_return_sampled`.
    """

    leader: ActingLeader[Any]
    horizon: int
    leader_discount: float
    follower_discount: float
    temperature: Floats | None
    replay: Replay | None = None
    minibatch: int | None = None
    influence_now: bool = False
    control: Centring | None = None
    expectation: SensitivityModel | None = None
    random_updates: int = 0
    return_discount: float = 1.0

    @property
    def scale(self) -> float:
        """What the mean estimate has to be multiplied by to get dJ/dθ."""
        if self.minibatch is None:
            return 1.0
        return float(powers(self.leader_discount, self.horizon).sum())

    def start(self, streams: Streams) -> Memory:
        """The critic, and a count of updates."""
        control = {} if self.control is None else self.control.variate.start(streams)
        return {"updates": np.zeros(len(streams.seeds)), **self.leader.start(streams), **control}

    def acts_at_random(self, memory: Memory) -> bool:
        """Whether the leader's next actions ignore θ."""
        return bool(memory["updates"][0] < self.random_updates)

    def learn(
        self, theta: Floats, response: Any, batch: Observations, memory: Memory, streams: Streams
    ) -> Estimate:
        """Let the critic learn from a batch under θ, and estimate both terms."""
        memory["updates"] += 1.0
        stored = batch if self.replay is None else self.replay.add(batch, memory)
        self.leader.learn(theta, response, stored, batch, memory, streams)
        if self.control is not None:
            self.control.variate.refresh(memory)
        direct, indirect = self._terms(theta, response, stored, memory, streams)
        if self.control is not None:
            self.control.see(theta, response, batch, memory, self.horizon, self.follower_discount)
        return Estimate(
            direct,
            indirect,
            discounted_return(batch.leader_reward, self.horizon, self.return_discount),
            env_steps=batch.leader_reward.shape[1],
            again=lambda at: np.add(*self._terms(at, response, stored, memory, streams)),
        )

    def _terms(
        self, theta: Floats, response: Any, stored: Observations, memory: Memory, streams: Streams
    ) -> tuple[Floats, Floats]:
        leader = self.leader
        index, weight = self._draw(stored, streams)
        drawn, time = stored.take(index), index % self.horizon
        advantage = leader.leader_advantage(theta, response, drawn, time, memory, streams)
        direct = leader.pull_back(theta, drawn.state, drawn.leader_action, weight * advantage)
        if self.temperature is None:
            return direct, np.zeros_like(direct)
        benefit = leader.follower_side_advantage(theta, response, drawn, time, memory, streams)
        injection = _scatter(index, weight * benefit, stored.leader_reward.shape)
        if self.expectation is not None:
            total = self.expectation.expected_sum(theta, response, stored, injection, memory)
            return direct, total / self.temperature[:, None]
        factor = leader.follower_factor(theta, response, stored, memory)
        baseline = None
        if self.control is not None:
            baseline = self.control.baseline(theta, stored, injection, memory)
        return direct, covariance_term(
            injection,
            lambda w: leader.pull_back(theta, stored.state, stored.leader_action, w * factor),
            self.temperature,
            self.horizon,
            self.follower_discount,
            include_current=self.influence_now,
            baseline=baseline,
        )

    def _draw(self, stored: Observations, streams: Streams) -> tuple[Index, Floats]:
        num_runs, size = stored.leader_reward.shape
        if self.minibatch is None:
            index = np.broadcast_to(np.arange(size), (num_runs, size))
            weight = powers(self.leader_discount, self.horizon) * self.horizon / size
            return index, np.broadcast_to(np.tile(weight, size // self.horizon), index.shape)
        index = discounted_draws(size, self.horizon, self.minibatch, self.leader_discount, streams)
        return index, np.full(index.shape, 1.0 / self.minibatch)


def discounted_draws(
    size: int, horizon: int, number: int, discount: float, streams: Streams
) -> Index:
    """Indices (R, number) of transitions, likely in proportion to γ^t at an episode's step t.

    With replacement, from `size` stored ones: whole episodes of `horizon` steps.
    """
    uniforms = streams.uniforms("actor", (number, 2))
    mass = np.cumsum(powers(discount, horizon))
    time = np.searchsorted(mass, uniforms[:, :, 0] * mass[-1], side="right")
    episode = (uniforms[:, :, 1] * (size // horizon)).astype(np.int64)
    index: Index = episode * horizon + np.minimum(time, horizon - 1)
    return index


def _scatter(index: Index, values: Floats, shape: tuple[int, ...]) -> Floats:
    """Sum of `values` at each place of `index`, both (R, n), in an array of `shape` = (R, N)."""
    flat = index + shape[1] * np.arange(shape[0])[:, None]
    size = shape[0] * shape[1]
    return np.bincount(flat.ravel(), values.ravel(), size).astype(np.float64).reshape(shape)
