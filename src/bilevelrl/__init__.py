"""Hypergradients for bi-level reinforcement learning, and a reproducible comparison of estimators.

Public names are imported when they are asked for, so that `import bilevelrl` takes no time and
needs neither Numba nor PyTorch.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "Agents",
    "Carry",
    "Coefficients",
    "Episodes",
    "NotCentredWarning",
    "action_coefficients",
    "choice_advantages",
    "generalized_advantages",
    "reward_coefficients",
    "surrogate",
    "transition_coefficients",
]

if TYPE_CHECKING:
    from bilevelrl.hypergradients import (
        Agents,
        Carry,
        Coefficients,
        Episodes,
        NotCentredWarning,
        action_coefficients,
        choice_advantages,
        generalized_advantages,
        reward_coefficients,
        surrogate,
        transition_coefficients,
    )


def __getattr__(name: str) -> Any:
    if name in __all__:
        from bilevelrl import hypergradients

        return getattr(hypergradients, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
