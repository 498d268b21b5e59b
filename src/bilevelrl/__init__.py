"""Hypergradients for bi-level reinforcement learning, and a reproducible comparison of estimators.

The public names are imported when they are asked for, so that `import bilevelrl` is fast and needs
neither Numba nor PyTorch.
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
    from bilevelrl.hypergradients.advantages import choice_advantages, generalized_advantages
    from bilevelrl.hypergradients.coefficients import (
        Agents,
        Coefficients,
        NotCentredWarning,
        action_coefficients,
        reward_coefficients,
        transition_coefficients,
    )
    from bilevelrl.hypergradients.episodes import Carry, Episodes
    from bilevelrl.hypergradients.surrogate import surrogate

_MODULES = {
    "advantages": ("choice_advantages", "generalized_advantages"),
    "coefficients": (
        "Agents",
        "Coefficients",
        "NotCentredWarning",
        "action_coefficients",
        "reward_coefficients",
        "transition_coefficients",
    ),
    "episodes": ("Carry", "Episodes"),
    "surrogate": ("surrogate",),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            import importlib

            return getattr(importlib.import_module(f"{__name__}.hypergradients.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
