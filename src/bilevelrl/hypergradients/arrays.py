"""NumPy arrays in, NumPy arrays out; PyTorch tensors in, PyTorch tensors out.

PyTorch is imported only where somebody uses it. The functions of this package compute in float64
on the CPU, on one number per transition.
"""

import sys
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard, TypeVar, Union

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
AnyArray: TypeAlias = Union[NDArray[Any], "torch.Tensor"]
Array = TypeVar("Array", NDArray[Any], "torch.Tensor")


def is_tensor(values: object) -> "TypeGuard[torch.Tensor]":
    """Whether it is a tensor of PyTorch; False, without an import, where nobody imported it."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(values, torch.Tensor)


def numbers(name: str, values: AnyArray, shape: tuple[int, ...], valid: Flags) -> Floats:
    """A copy in float64 without gradients, shape (R, N), with zeros where nothing is valid.

    Args:
        name: of the argument, for messages.
        values: one per transition.
        shape: (N,) or (R, N), what the argument's has to be.
        valid: no padding, shape (R, N).

    Raises:
        TypeError: these are no floating-point numbers.
        ValueError: another shape, or a valid number is not finite.
    """
    found = as_numpy(values)
    if not np.issubdtype(found.dtype, np.floating):
        raise TypeError(f"{name} has dtype {found.dtype}; expected floating-point numbers")
    rows = _rows(name, found, shape).astype(np.float64)
    bad = valid & ~np.isfinite(rows)
    if bad.any():
        row, place = (int(index) for index in np.argwhere(bad)[0])
        raise ValueError(
            f"{name} is {rows[row, place]} at transition {place} of row {row} ({bad.sum()} of "
            f"{valid.sum()} are like that); expected finite numbers"
        )
    return np.where(valid, rows, 0.0)


def flags(name: str, values: AnyArray, shape: tuple[int, ...]) -> Flags:
    """A copy as booleans, shape (R, N).

    Args:
        name: of the argument, for messages.
        values: booleans or numbers that are 0 or 1, one per transition.
        shape: (N,) or (R, N), what the argument's has to be.

    Raises:
        TypeError: these are neither booleans nor zeros and ones.
        ValueError: another shape.
    """
    found = as_numpy(values)
    if found.dtype != np.bool_ and not np.isin(found, (0, 1)).all():
        raise TypeError(f"{name} has dtype {found.dtype}; expected booleans, or zeros and ones")
    return _rows(name, found, shape).astype(np.bool_)


def like(values: Floats, model: Array) -> Array:
    """Values (R, N) in the shape, kind, dtype and device of `model`."""
    shaped = values.reshape(tuple(model.shape))
    if isinstance(model, np.ndarray):
        return shaped.astype(model.dtype)
    return model.new_tensor(shaped)


def as_numpy(values: AnyArray) -> NDArray[Any]:
    """The same numbers in NumPy, on the CPU and without gradients."""
    if is_tensor(values):
        found: NDArray[Any] = values.detach().cpu().numpy()
        return found
    return np.asarray(values)


def _rows(name: str, values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    if values.shape != shape:
        raise ValueError(f"{name} has shape {values.shape}; expected {shape}, as of terminated")
    if values.ndim not in (1, 2) or values.size == 0:
        raise ValueError(f"{name} has shape {values.shape}; expected (N,) or (R, N), N >= 1")
    return np.atleast_2d(values)
