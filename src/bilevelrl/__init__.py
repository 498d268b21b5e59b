"""Hypergradients for bi-level reinforcement learning, and a reproducible comparison of estimators.

Importing this registers the environments of all problems with Gymnasium, by name only. They and the
public names are imported when they are asked for, so that `import bilevelrl` costs no more than
Gymnasium does, and loads neither Numba nor PyTorch.
"""

from typing import TYPE_CHECKING, Any

import gymnasium

from bilevelrl.problems import registry

__version__ = "0.1.0"
__all__ = [
    "Agents",
    "Carry",
    "Coefficients",
    "Episodes",
    "NotCentredWarning",
    "action_coefficients",
    "aec_env",
    "choice_advantages",
    "generalized_advantages",
    "reward_coefficients",
    "surrogate",
    "transition_coefficients",
]

if TYPE_CHECKING:
    from bilevelrl.aec import aec_env
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

for _folder, _name in registry.ENVIRONMENTS.items():
    if _name is not None:
        _entry_point = f"bilevelrl.problems.{_folder}.gym:{_name}Env"
        gymnasium.register(f"bilevelrl/{_name}-v0", _entry_point)


def __getattr__(name: str) -> Any:
    if name == "aec_env":
        from bilevelrl.aec import aec_env

        return aec_env
    if name in __all__:
        from bilevelrl import hypergradients

        return getattr(hypergradients, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
