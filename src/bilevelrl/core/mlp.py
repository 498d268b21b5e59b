"""Stacks of multilayer perceptrons with two hidden ReLU layers, one network per run.

Kernels rather than a tensor library: a run must give the same bits alone, in a batch and on any
number of threads, which batched matrix products do not promise.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import kernel, parallel_kernel


@kernel
def _views(parameters, num_inputs, width, num_outputs):  # type: ignore[no-untyped-def]
    # Weights as (inputs, outputs) so that inner loops run over adjacent numbers.
    first = num_inputs * width
    second = first + width + width * width
    third = second + width + width * num_outputs
    return (
        parameters[:first].reshape(num_inputs, width),
        parameters[first : first + width],
        parameters[first + width : second].reshape(width, width),
        parameters[second : second + width],
        parameters[second + width : third].reshape(width, num_outputs),
        parameters[third:],
    )


@kernel
def _layer(weights, bias, inputs, outputs, rectify):  # type: ignore[no-untyped-def]
    outputs[:] = bias
    for i in range(len(inputs)):
        x = inputs[i]
        if x != 0.0:
            for j in range(len(outputs)):
                outputs[j] += x * weights[i, j]
    if rectify:
        for j in range(len(outputs)):
            outputs[j] = max(outputs[j], 0.0)


@parallel_kernel
def _forward(parameters, width, inputs, outputs):  # type: ignore[no-untyped-def]
    num_inputs, num_outputs = inputs.shape[2], outputs.shape[2]
    for r in numba.prange(len(parameters)):
        w1, b1, w2, b2, w3, b3 = _views(parameters[r], num_inputs, width, num_outputs)
        first, second = np.empty(width), np.empty(width)
        for n in range(inputs.shape[1]):
            _layer(w1, b1, inputs[r, n], first, True)
            _layer(w2, b2, first, second, True)
            _layer(w3, b3, second, outputs[r, n], False)


@parallel_kernel
def _pull_back(parameters, width, inputs, weights, gradient):  # type: ignore[no-untyped-def]
    num_inputs, num_outputs = inputs.shape[2], weights.shape[2]
    for r in numba.prange(len(parameters)):
        w1, b1, w2, b2, w3, _ = _views(parameters[r], num_inputs, width, num_outputs)
        gradient[r] = 0.0
        g1, gb1, g2, gb2, g3, gb3 = _views(gradient[r], num_inputs, width, num_outputs)
        transposed = w2.T.copy()
        first, second = np.empty(width), np.empty(width)
        to_first, to_second = np.empty(width), np.empty(width)
        for n in range(inputs.shape[1]):
            used = False
            for o in range(num_outputs):
                used = used or weights[r, n, o] != 0.0
            if not used:
                continue
            _layer(w1, b1, inputs[r, n], first, True)
            _layer(w2, b2, first, second, True)
            to_first[:] = 0.0
            for j in range(width):
                to_second[j] = 0.0
                if second[j] > 0.0:
                    for o in range(num_outputs):
                        to_second[j] += w3[j, o] * weights[r, n, o]
                        g3[j, o] += second[j] * weights[r, n, o]
                    for i in range(width):
                        to_first[i] += to_second[j] * transposed[j, i]
            for o in range(num_outputs):
                gb3[o] += weights[r, n, o]
            for j in range(width):
                gb2[j] += to_second[j]
            for i in range(width):
                if first[i] > 0.0:
                    gb1[i] += to_first[i]
                    for j in range(width):
                        g2[i, j] += first[i] * to_second[j]
                else:
                    to_first[i] = 0.0
            for k in range(num_inputs):
                x = inputs[r, n, k]
                if x != 0.0:
                    for i in range(width):
                        g1[k, i] += x * to_first[i]


@dataclass(frozen=True)
class Mlp:
    """num_inputs -> width -> width -> num_outputs, ReLU between, nothing after."""

    num_inputs: int
    num_outputs: int
    width: int = 64

    @property
    def num_parameters(self) -> int:
        """P, weights and biases of all layers."""
        return sum(rows * columns + columns for rows, columns in self._layers())

    def _layers(self) -> Iterator[tuple[int, int]]:
        return pairwise((self.num_inputs, self.width, self.width, self.num_outputs))

    def xavier(self, unit: Floats) -> Floats:
        """Initial parameters (R, P) from centred unit-variance numbers (R, P), biases 0.

        Each layer's weights get variance 2 / (inputs + outputs) (Glorot and Bengio 2010).
        """
        parameters = np.zeros_like(unit)
        start = 0
        for rows, columns in self._layers():
            stop = start + rows * columns
            parameters[:, start:stop] = unit[:, start:stop] * np.sqrt(2.0 / (rows + columns))
            start = stop + columns
        return parameters

    def forward(self, parameters: Floats, inputs: Floats) -> Floats:
        """Outputs (R, N, num_outputs) of parameters (R, P) on inputs (R, N, num_inputs)."""
        outputs = np.empty((*inputs.shape[:2], self.num_outputs))
        _forward(parameters, self.width, inputs, outputs)
        return outputs

    def pull_back(self, parameters: Floats, inputs: Floats, weights: Floats) -> Floats:
        """Gradient (R, P) of Σ_no w(n, o) output(n, o) for weights w (R, N, num_outputs)."""
        gradient = np.empty_like(parameters)
        _pull_back(parameters, self.width, inputs, weights, gradient)
        return gradient
