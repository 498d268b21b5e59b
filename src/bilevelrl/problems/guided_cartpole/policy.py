"""A leader that chooses from finitely many actions by a small network on a continuous state."""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.core.seeding import Streams
from bilevelrl.models.finite_game.policies import softmax


@dataclass(frozen=True)
class StateNetwork:
    """f_θ(a | s): state -> tanh units -> softmax, exactly uniform at the start.

    θ are the weights and biases of the hidden layer, then those of the output. Runs are computed
    one by one, so that the bits of one do not depend on the others.

    Attributes:
        num_inputs: n, length of a state of order one.
        num_actions: A.
        units: of the hidden layer.
        gain: standard deviation of the first hidden weights, times the root of n.
    """

    num_inputs: int
    num_actions: int
    units: int = 32
    gain: float = 2.0

    @property
    def num_parameters(self) -> int:
        """D."""
        return (self.num_inputs + 1) * self.units + (self.units + 1) * self.num_actions

    def initial_parameters(self, streams: Streams) -> Floats:
        """Normal hidden weights, everything else 0, shape (R, D)."""
        theta = np.zeros((len(streams.seeds), self.num_parameters))
        size = self.num_inputs * self.units
        normals = streams.normals("initial_parameters", (size,))
        theta[:, :size] = self.gain / np.sqrt(self.num_inputs) * normals
        return theta

    def probabilities(self, theta: Floats, state: Floats) -> Floats:
        """f_θ(a | s), shape (N, A), of one run's θ (D,) at states (N, n)."""
        return self._forward(theta, state)[1]

    def choose(self, theta: Floats, state: Floats, uniforms: Floats) -> Index:
        """Actions of one run, shape (N,), from uniform numbers (N,)."""
        cumulated = np.cumsum(self.probabilities(theta, state), axis=-1)
        # The last sum may be a rounding error below 1.
        passed = uniforms[:, None] >= cumulated[:, :-1]
        chosen: Index = passed.sum(axis=1)
        return chosen

    def mean_scores(self, theta: Floats, state: Floats, weights: Floats) -> Floats:
        """Σ_a w(k, a) ∇_θ log f_θ(a | s_k) of one run, shape (N, D), for weights (N, A)."""
        hidden, policy = self._forward(theta, state)
        to_logits = weights - weights.sum(axis=1, keepdims=True) * policy
        to_hidden = (to_logits @ self._layers(theta)[2].T) * (1.0 - np.square(hidden))
        outer = [state[:, :, None] * to_hidden[:, None], hidden[:, :, None] * to_logits[:, None]]
        number = len(state)
        first, second = (each.reshape(number, -1) for each in outer)
        rows: Floats = np.concatenate([first, to_hidden, second, to_logits], axis=1)
        return rows

    def pull_back(self, theta: Floats, state: Floats, action: Index, weights: Floats) -> Floats:
        """Σ_k w_k ∇_θ log f_θ(a_k | s_k) of one run, shape (D,), for weights (N,)."""
        hidden, policy = self._forward(theta, state)
        to_logits = (np.eye(self.num_actions)[action] - policy) * weights[:, None]
        to_hidden = (to_logits @ self._layers(theta)[2].T) * (1.0 - np.square(hidden))
        parts = (state.T @ to_hidden, to_hidden.sum(axis=0), hidden.T @ to_logits,
                 to_logits.sum(axis=0))  # fmt: skip
        gradient: Floats = np.concatenate([part.ravel() for part in parts])
        return gradient

    def _layers(self, theta: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        inputs, units, actions = self.num_inputs, self.units, self.num_actions
        ends = np.cumsum([inputs * units, units, units * actions])
        first, bias, second, last = np.split(theta, ends)
        return first.reshape(inputs, units), bias, second.reshape(units, actions), last

    def _forward(self, theta: Floats, state: Floats) -> tuple[Floats, Floats]:
        first, bias, second, last = self._layers(theta)
        hidden: Floats = np.tanh(state @ first + bias)
        return hidden, softmax(hidden @ second + last)
