"""Regressions without a penalty."""

import numpy as np

from bilevelrl.models.linear_gaussian.least_squares import least_squares, quadratic_form


def test_regressions_without_noise_are_exact() -> None:
    rng = np.random.default_rng(0)
    inputs, matrix = rng.standard_normal((50, 3)) * [1.0, 1e-2, 10.0], rng.standard_normal((3, 2))
    np.testing.assert_allclose(least_squares(inputs, inputs @ matrix), matrix, rtol=1e-8)
    form = matrix @ matrix.T
    outputs = np.einsum("ni,ij,nj->n", inputs, form, inputs)
    np.testing.assert_allclose(quadratic_form(inputs, outputs), form, rtol=1e-6)
