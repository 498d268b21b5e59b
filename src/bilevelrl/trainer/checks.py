"""What is looked at before anything is played."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Space

from bilevelrl.core.arrays import AnyArray
from bilevelrl.trainer.parameters import trainable


def check_leader(leader: object) -> None:
    """Raise unless this is a module with finite parameters that can be trained.

    Raises:
        TypeError: this is no module.
        ValueError: no parameter has a gradient, or one is not finite.
    """
    if not isinstance(leader, torch.nn.Module):
        raise TypeError(f"leader is a {type(leader).__name__}; expected a torch.nn.Module")
    parameters = trainable(leader)
    if not parameters:
        number = len(list(leader.parameters()))
        raise ValueError(
            f"leader has {number} parameters and none with requires_grad; expected at least one"
        )
    for name, values in leader.named_parameters():
        if not bool(torch.isfinite(values).all()):
            raise ValueError(f"leader's parameter {name} is not finite")


def check_follower(follower: object) -> None:
    """Raise a TypeError unless it can learn and predict."""
    for name in ("learn", "predict"):
        if not callable(getattr(follower, name, None)):
            raise TypeError(
                f"follower is a {type(follower).__name__} without {name}(); expected learn(steps) "
                "and predict(observations)"
            )


def check_equal(envs: Sequence[Any], name: str, spaces: Sequence[Space[Any]]) -> None:
    """Raise a ValueError unless all environments have the same space."""
    for i, space in enumerate(spaces[: len(envs)]):
        if space != spaces[0]:
            raise ValueError(f"env[{i}] has {name} {space}; expected {spaces[0]}, as of env[0]")


def check_differentiable(name: str, terms: Sequence[torch.Tensor]) -> None:
    """Raise a ValueError unless what a leader returned depends on its parameters."""
    if not any(term.requires_grad for term in terms):
        raise ValueError(
            f"{name} does not depend on the leader's parameters; expected numbers with gradients "
            "(no detach(), no torch.no_grad())"
        )


def check_same(name: str, several: torch.Tensor, fewer: torch.Tensor) -> None:
    """Raise a ValueError unless the first numbers are the same when fewer were asked for."""
    if not torch.allclose(several[: len(fewer)], fewer, rtol=1e-3, atol=1e-5):
        raise ValueError(
            f"{name} gives other numbers in another batch; expected the same for the same input "
            "(call leader.eval() if it holds dropout or batch normalisation)"
        )


def examples(space: Space[Any], number: int = 3) -> AnyArray:
    """A few elements of a space, whose own random numbers stay as they are."""
    own = copy.deepcopy(space)
    own.seed(0)
    return np.asarray([own.sample() for _ in range(number)])
