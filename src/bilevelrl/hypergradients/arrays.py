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
        TypeError: this is no array or tensor of float32 or float64.
        ValueError: another shape, or a valid number is not finite.
    """
    rows = _rows(name, floats(name, values), shape)
    bad = valid & ~np.isfinite(rows)
    if bad.any():
        row, place = (int(index) for index in np.argwhere(bad)[0])
        raise ValueError(
            f"{name} is {rows[row, place]} at transition {place} of row {row} ({bad.sum()} of "
            f"{valid.sum()} are like that); expected finite numbers"
        )
    return np.where(valid, rows, 0.0)


def floats(name: str, values: AnyArray) -> Floats:
    """A copy in float64 without gradients, of the same shape.

    Raises:
        TypeError: this is no array or tensor of float32 or float64.
    """
    expect_array(name, values)
    if str(values.dtype).removeprefix("torch.") not in ("float32", "float64"):
        raise TypeError(f"{name} has dtype {values.dtype}; expected float32 or float64")
    return _numpy(values).astype(np.float64)


def flags(name: str, values: AnyArray, shape: tuple[int, ...]) -> Flags:
    """A copy as booleans, shape (R, N).

    Args:
        name: of the argument, for messages.
        values: booleans or numbers that are 0 or 1, one per transition.
        shape: (N,) or (R, N), what the argument's has to be.

    Raises:
        TypeError: this is no array or tensor, or of other values.
        ValueError: another shape.
    """
    expect_array(name, values)
    found = _numpy(values)
    other = found[~np.isin(found, (0, 1))]
    if other.size:
        raise TypeError(f"{name} holds {other[0]}; expected booleans, or zeros and ones")
    return _rows(name, found, shape).astype(np.bool_)


def expect_array(name: str, values: object) -> None:
    """Raise a TypeError unless this is an array of NumPy or a tensor of PyTorch."""
    if not isinstance(values, np.ndarray) and not is_tensor(values):
        kind = type(values).__name__
        raise TypeError(f"{name} is a {kind}; expected a NumPy array or a PyTorch tensor")


def like(values: Floats, model: Array) -> Array:
    """Values (R, N) in the shape, kind, dtype and device of `model`."""
    shaped = values.reshape(tuple(model.shape))
    if isinstance(model, np.ndarray):
        return shaped.astype(model.dtype)
    return model.new_tensor(shaped)


def integers(name: str, values: AnyArray) -> NDArray[Any]:
    """The same integers in NumPy.

    Raises:
        TypeError: this is no array or tensor of integers.
    """
    expect_array(name, values)
    found = _numpy(values)
    if not np.issubdtype(found.dtype, np.integer):
        raise TypeError(f"{name} has dtype {found.dtype}; expected integers")
    return found


def _numpy(values: AnyArray) -> NDArray[Any]:
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
