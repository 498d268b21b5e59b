"""Categorical leader policies f_θ(a | s): softmax of a table, or of a small network."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.mlp import Mlp
from bilevelrl.core.seeding import Streams


class CategoricalPolicy(Protocol):
    """f_θ(a | s) over finitely many states and leader actions, for R runs."""

    @property
    def num_parameters(self) -> int:
        """D."""

    def initial_parameters(self, streams: Streams) -> Floats:
        """θ at the start, shape (R, D)."""

    def probabilities(self, theta: Floats) -> Floats:
        """f_θ(a | s), shape (R, S, A)."""

    def pull_back(self, theta: Floats, weights: Floats) -> Floats:
        """Σ_sa w(s, a) ∇_θ log f_θ(a | s), shape (R, D), for weights (R, S, A)."""


def softmax(logits: Floats) -> Floats:
    """Probabilities along the last axis."""
    grown = np.exp(logits - logits.max(axis=-1, keepdims=True))
    normalised: Floats = grown / grown.sum(axis=-1, keepdims=True)
    return normalised


def _to_logits(weights: Floats, policy: Floats) -> Floats:
    # ∂ log f(a|s) / ∂ logit(a'|s) = 1[a = a'] - f(a'|s)
    pulled: Floats = weights - weights.sum(axis=-1, keepdims=True) * policy
    return pulled


@dataclass(frozen=True)
class TabularPolicy:
    """θ is the table of logits of S states and A actions; starts uniform."""

    num_states: int
    num_actions: int

    @property
    def num_parameters(self) -> int:
        """D = S A."""
        return self.num_states * self.num_actions

    def initial_parameters(self, streams: Streams) -> Floats:
        """Zeros, shape (R, D)."""
        return np.zeros((len(streams.seeds), self.num_parameters))

    def probabilities(self, theta: Floats) -> Floats:
        """f_θ(a | s), shape (R, S, A)."""
        return softmax(theta.reshape(-1, self.num_states, self.num_actions))

    def pull_back(self, theta: Floats, weights: Floats) -> Floats:
        """Σ_sa w(s, a) ∇_θ log f_θ(a | s), shape (R, D), for weights (R, S, A)."""
        return _to_logits(weights, self.probabilities(theta)).reshape(theta.shape)


@dataclass(frozen=True)
class NetworkPolicy:
    """θ are the weights of a network from one-hot states to logits, Xavier-uniform at the start."""

    num_states: int
    num_actions: int

    @property
    def network(self) -> Mlp:
        """S -> 64 -> 64 -> A."""
        return Mlp(self.num_states, self.num_actions)

    @property
    def num_parameters(self) -> int:
        """D, weights and biases."""
        return self.network.num_parameters

    def initial_parameters(self, streams: Streams) -> Floats:
        """Xavier-uniform weights, zero biases, shape (R, D)."""
        uniforms = streams.uniforms("initial_parameters", (self.num_parameters,))
        return self.network.xavier(np.sqrt(12.0) * (uniforms - 0.5))

    def probabilities(self, theta: Floats) -> Floats:
        """f_θ(a | s), shape (R, S, A)."""
        return softmax(self.network.forward(theta, self._inputs(len(theta))))

    def pull_back(self, theta: Floats, weights: Floats) -> Floats:
        """Σ_sa w(s, a) ∇_θ log f_θ(a | s), shape (R, D), for weights (R, S, A)."""
        logit_weights = _to_logits(weights, self.probabilities(theta))
        return self.network.pull_back(theta, self._inputs(len(theta)), logit_weights)

    def _inputs(self, num_runs: int) -> Floats:
        return np.broadcast_to(np.eye(self.num_states), (num_runs, *(self.num_states,) * 2))
