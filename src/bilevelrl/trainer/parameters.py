"""A module's parameters and gradients as one vector θ."""

import numpy as np
import torch

from bilevelrl.core.arrays import Floats


def trainable(module: torch.nn.Module) -> list[torch.nn.Parameter]:
    """Parameters with gradients, in the module's order."""
    return [each for each in module.parameters() if each.requires_grad]


def read(module: torch.nn.Module) -> Floats:
    """Theta of the module, shape (1, D)."""
    parts = [each.detach().cpu().numpy().ravel() for each in trainable(module)]
    return np.concatenate(parts).astype(np.float64)[None]


def write(module: torch.nn.Module, theta: Floats) -> None:
    """Change the parameters in place to θ, shape (1, D)."""
    start = 0
    with torch.no_grad():
        for each in trainable(module):
            part = theta[0, start : start + each.numel()]
            each.copy_(torch.as_tensor(part, dtype=each.dtype).view_as(each))
            start += each.numel()


def gradient(module: torch.nn.Module, scalar: torch.Tensor) -> Floats:
    """Of a scalar, zero in parameters that it does not depend on, shape (1, D).

    The graph stays, for another scalar of the same forward pass.
    """
    parameters = trainable(module)
    parts = torch.autograd.grad(scalar, parameters, retain_graph=True, allow_unused=True)
    flat = [
        np.zeros(each.numel()) if part is None else part.detach().cpu().numpy().ravel()
        for each, part in zip(parameters, parts, strict=True)
    ]
    return np.concatenate(flat).astype(np.float64)[None]
