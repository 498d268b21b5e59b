"""Least-squares temporal differences on quadratic features (Bradtke and Barto 1996).

In a linear-quadratic problem every value is zᵀ H z + c, so these features contain the truth: z = s
for a state value (11 features of 4 zones), z = (s, a) for an action value (22 with 2 units).
"""

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import kernel, parallel_kernel
from bilevelrl.core.inner_products import add_inner_products


@dataclass(frozen=True, eq=False)
class Quadratic:
    """zᵀ H z + c for each run, and for each of K outputs.

    Attributes:
        matrix: H, symmetric, shape (R, K, p, p).
        offset: c, shape (R, K).
    """

    matrix: Floats
    offset: Floats

    def __call__(self, inputs: Floats) -> Floats:
        """Values, shape (R, N, K), for z (R, N, p)."""
        result = np.empty((*inputs.shape[:2], self.offset.shape[1]))
        _evaluate(inputs, self.matrix, self.offset, result)
        return result

    def weighted_sum(self, weights: Floats, inputs: Floats) -> Floats:
        """Σ_n w_n f(z_n), shape (R, K), for w (R, N) and z (R, N, p), without the values."""
        size = inputs.shape[2]
        moment = np.zeros((len(inputs), size, size))
        _weighted_moment(weights, inputs, moment)
        total: Floats = (self.matrix * moment[:, None]).sum(axis=(2, 3))
        total += self.offset * weights.sum(axis=1)[:, None]
        return total


@parallel_kernel
def _evaluate(inputs, matrix, offset, result):  # type: ignore[no-untyped-def]
    num_runs, num_steps, size = inputs.shape
    for r in numba.prange(num_runs):
        for n in range(num_steps):
            z = inputs[r, n]
            for k in range(offset.shape[1]):
                total = offset[r, k]
                for i in range(size):
                    inner = 0.0
                    for j in range(size):
                        inner += matrix[r, k, i, j] * z[j]
                    total += z[i] * inner
                result[r, n, k] = total


@parallel_kernel
def _weighted_moment(weights, inputs, moment):  # type: ignore[no-untyped-def]
    num_runs, num_steps, size = inputs.shape
    for r in numba.prange(num_runs):
        for n in range(num_steps):
            for i in range(size):
                for j in range(size):
                    moment[r, i, j] += weights[r, n] * inputs[r, n, i] * inputs[r, n, j]


#: Rows whose products are summed together.
BLOCK = 128


@kernel
def _products(z, y, added, discount, count, phi, difference):  # type: ignore[no-untyped-def]
    # Of `count` rows, z and y (p, BLOCK).
    phi[0, :count], difference[0, :count] = 1.0, 1.0 - discount
    place = 1
    for i in range(len(z)):
        for j in range(i, len(z)):
            here, change = phi[place], difference[place]
            zi, zj, yi, yj, offset = z[i], z[j], y[i], y[j], discount * added[i, j]
            for n in range(count):
                product = zi[n] * zj[n]
                here[n] = product
                change[n] = product - (discount * (yi[n] * yj[n]) + offset)
            place += 1


@parallel_kernel
def _normal_equations(  # type: ignore[no-untyped-def]
    inputs, following, added, reward, left_out, horizon, discount, gram, moment
):
    num_runs, num_steps, size = inputs.shape
    features, outputs = gram.shape[1], moment.shape[2]
    for r in numba.prange(num_runs):
        phi = np.zeros((features + features % 2, BLOCK))
        # Changes of the features, then rewards.
        right = np.zeros((-(-(features + outputs) // 4) * 4, BLOCK))
        sums = np.zeros((len(phi), len(right)))
        z, y = np.empty((size, BLOCK)), np.empty((size, BLOCK))
        count = 0
        for n in range(num_steps):
            # What follows the last step was not recorded.
            if (n + 1) % horizon != 0 and not left_out[r, n]:
                for i in range(size):
                    z[i, count], y[i, count] = inputs[r, n, i], following[r, n, i]
                for k in range(outputs):
                    right[features + k, count] = reward[r, n, k]
                count += 1
            if count == BLOCK or n == num_steps - 1:
                _products(z, y, added[r], discount, count, phi, right)
                phi[:, count:] = 0.0
                add_inner_products(phi, right, sums)
                count = 0
        gram[r] = sums[:features, :features]
        moment[r] = sums[:features, features : features + outputs]


def least_squares_td(
    inputs: Floats,
    following: Floats,
    reward: Floats,
    horizon: int,
    discount: float,
    added: Floats | None = None,
    left_out: NDArray[np.bool_] | None = None,
) -> Quadratic:
    """The quadratic f with f(z) = reward + γ f(z') on average, in the space of the features.

    The last step of an episode is left out, because what follows it is unknown.

    Args:
        inputs: z, shape (R, N, p), whole episodes one after the other.
        following: z' or its mean, shape (R, N, p).
        reward: shape (R, N, K).
        horizon: steps per episode.
        discount: γ.
        added: covariance of z' around `following`, shape (R, p, p); omitted where `following` is
            z' itself.
        left_out: rows that do not count, shape (R, N); none if omitted.
    """
    num_runs, _, size = inputs.shape
    features, outputs = 1 + size * (size + 1) // 2, reward.shape[2]
    if added is None:
        added = np.zeros((num_runs, size, size))
    if left_out is None:
        left_out = np.zeros(inputs.shape[:2], dtype=np.bool_)
    gram = np.empty((num_runs, features, features))
    moment = np.empty((num_runs, features, outputs))
    _normal_equations(inputs, following, added, reward, left_out, horizon, discount, gram, moment)
    # Rows and columns are scaled alike: squares of early and late deviations differ by 10⁵.
    scale = np.sqrt(np.abs(np.diagonal(gram, axis1=1, axis2=2)))
    scale = 1.0 / np.where(scale > 0.0, scale, 1.0)
    scaled = gram * scale[:, :, None] * scale[:, None, :]
    weights = scale[:, :, None] * np.linalg.solve(scaled, moment * scale[:, :, None])
    rows, columns = np.triu_indices(size)
    matrix = np.zeros((num_runs, outputs, size, size))
    half = 0.5 * weights[:, 1:].swapaxes(1, 2)
    matrix[:, :, rows, columns] += half
    matrix[:, :, columns, rows] += half
    return Quadratic(matrix, weights[:, 0])
