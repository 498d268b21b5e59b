"""Regressions without a penalty, for what has no noise."""

import numpy as np

from bilevelrl.core.arrays import Floats


def least_squares(inputs: Floats, outputs: Floats) -> Floats:
    """X with inputs @ X = outputs as far as possible, shape (p, q), from (N, p) and (N, q).

    Columns are scaled alike first: a leader's noise may be a thousandth of the state.
    """
    size = np.sqrt(np.square(inputs).mean(axis=0))
    scale = np.where(size > 0.0, size, 1.0)
    solution = np.linalg.lstsq(inputs / scale, outputs, rcond=None)[0]
    unscaled: Floats = solution / scale[:, None]
    return unscaled


def quadratic_form(inputs: Floats, outputs: Floats) -> Floats:
    """The symmetric H with zᵀ H z = outputs as far as possible, shape (p, p), from z (N, p)."""
    size = inputs.shape[1]
    rows, columns = np.triu_indices(size)
    products = inputs[:, rows] * inputs[:, columns]
    half = 0.5 * least_squares(products, outputs[:, None])[:, 0]
    form = np.zeros((size, size))
    form[rows, columns] += half
    form[columns, rows] += half
    return form
