"""Stacks of multilayer perceptrons with parameters of single precision, one flat vector each.

Every stack holds C networks of one shape that see the same or their own inputs. Back-propagation is
written out: the networks are small, and a call of a tensor library takes longer than their sums.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats32 = NDArray[np.float32]
Activation = Literal["relu", "tanh"]


@dataclass(frozen=True)
class Networks:
    """`units[0]` inputs, hidden layers, `units[-1]` outputs; nothing after the last layer.

    Attributes:
        units: of every layer, inputs first.
        activation: between the layers.
    """

    units: tuple[int, ...]
    activation: Activation

    @cached_property
    def num_parameters(self) -> int:
        """P, weights and biases of all layers."""
        return sum(inputs * outputs + outputs for inputs, outputs in pairwise(self.units))

    def layers(self, parameters: Floats32) -> list[tuple[Floats32, Floats32]]:
        """Views of parameters (C, P): weights (C, inputs, outputs), biases (C, 1, outputs)."""
        found, start = [], 0
        for inputs, outputs in pairwise(self.units):
            middle = start + inputs * outputs
            weights = parameters[:, start:middle].reshape(-1, inputs, outputs)
            start = middle + outputs
            found.append((weights, parameters[:, None, middle:start]))
        return found

    def initial(self, count: int, numbers: np.random.Generator) -> Floats32:
        """Parameters (C, P), uniform in ±1/√inputs of their layer, as PyTorch's linear layers."""
        parameters = np.empty((count, self.num_parameters), np.float32)
        for (weights, biases), inputs in zip(self.layers(parameters), self.units, strict=False):
            for array in (weights, biases):
                array[:] = numbers.uniform(-1.0, 1.0, array.shape) / np.sqrt(inputs)
        return parameters

    def forward(self, parameters: Floats32, inputs: Floats32) -> list[Floats32]:
        """What every layer hands on, inputs first: (C, N, units) from inputs (C or 1, N, n)."""
        values, layers = [inputs], self.layers(parameters)
        for place, (weights, biases) in enumerate(layers):
            outputs = values[-1] @ weights
            outputs += biases
            if place < len(layers) - 1:
                if self.activation == "tanh":
                    np.tanh(outputs, out=outputs)
                else:
                    np.maximum(outputs, np.float32(0.0), out=outputs)
            values.append(outputs)
        return values

    def gradient(self, parameters: Floats32, values: list[Floats32], slopes: Floats32) -> Floats32:
        """Of Σ slopes · outputs in the parameters, (C, P), from what `forward` returned."""
        gradient = np.empty_like(parameters)
        own, layers = self.layers(gradient), self.layers(parameters)
        for place in reversed(range(len(layers))):
            weights, biases = own[place]
            np.matmul(values[place].swapaxes(1, 2), slopes, out=weights)
            slopes.sum(axis=1, keepdims=True, out=biases)
            if place:
                slopes = self._before(slopes, layers[place][0], values[place])
        return gradient

    def input_gradient(
        self, parameters: Floats32, values: list[Floats32], slopes: Floats32
    ) -> Floats32:
        """Of Σ slopes · outputs in the inputs, (C, N, n), from what `forward` returned."""
        layers = self.layers(parameters)
        for place in reversed(range(1, len(layers))):
            slopes = self._before(slopes, layers[place][0], values[place])
        gradient: Floats32 = slopes @ layers[0][0].swapaxes(1, 2)
        return gradient

    def _before(self, slopes: Floats32, weights: Floats32, values: Floats32) -> Floats32:
        # Slopes of what goes into a hidden layer's activation, from those of the layer after it.
        before: Floats32 = slopes @ weights.swapaxes(1, 2)
        if self.activation == "tanh":
            before *= np.float32(1.0) - values * values
        else:
            before *= values > 0.0
        return before


class Adam:
    """Adam (Kingma and Ba 2015, algorithm 1) with PyTorch's defaults, on one array.

    It goes down and in place, and stays in single precision; `core.ascent.Adam` climbs with a step
    size per run in double.
    """

    def __init__(self, parameters: Floats32) -> None:
        self._parameters, self._steps = parameters, 0
        self._mean, self._square = np.zeros_like(parameters), np.zeros_like(parameters)

    def step(self, gradient: Floats32, step_size: float) -> None:
        """Change the parameters in place, down the gradient of the same shape."""
        first, second, smallest = 0.9, 0.999, 1e-8
        self._steps += 1
        self._mean += (1.0 - first) * (gradient - self._mean)
        self._square += (1.0 - second) * (gradient * gradient - self._square)
        scale = np.sqrt(self._square)
        scale *= 1.0 / np.sqrt(1.0 - second**self._steps)
        scale += smallest
        np.divide(self._mean, scale, out=scale)
        scale *= step_size / (1.0 - first**self._steps)
        self._parameters -= scale
