"""Hypergradients of any leader from arrays of transitions, in NumPy or PyTorch."""

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
