"""What a family of problems offers to the worker that trains its runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.ascent import AscentRule
from bilevelrl.core.blocks import FollowerParams, Rule
from bilevelrl.core.estimator import Estimator
from bilevelrl.core.follower import Response
from bilevelrl.core.settings import Setting
from bilevelrl.core.training import Game
from bilevelrl.core.validation import Block

Constants = TypeVar("Constants", bound=Block)
Shared = TypeVar("Shared", bound=Block)


@dataclass(frozen=True)
class Context(Generic[Constants, Rule, Shared]):
    """Blocks of params.yaml that a cell's results depend on, besides its settings.

    Attributes:
        constants: of the problem.
        followers: accuracy of the solvers, and the rule of a follower that learns.
        training: what the cells of the problem share.
    """

    constants: Constants
    followers: FollowerParams[Rule]
    training: Shared


@dataclass(frozen=True, eq=False)
class Training(Generic[Response]):
    """Arguments of `core.training.train` that depend on problem and estimator."""

    game: Game[Response]
    estimator: Estimator[Response]
    rule: AscentRule
    actor_steps: int = 1


class Cell(Protocol):
    """The module `cell` of a problem."""

    def group_key(self, setting: Any) -> tuple[object, ...]:
        """Runs with equal keys can share one batch."""
        ...

    def build(
        self, estimator: str, settings: Sequence[Any], context: Context[Any, Any, Any]
    ) -> Training[Any]:
        """All that the training loop needs for runs with equal `group_key`."""
        ...


def believed_temperature(settings: Sequence[Setting]) -> NDArray[np.float64]:
    """The β that every run's leader reckons with, shape (R,)."""
    return np.array([setting.believed_temperature or setting.temperature for setting in settings])


def per_run(settings: Sequence[Setting], key: str) -> NDArray[np.float64]:
    """One hyper-parameter of every run, shape (R,)."""
    return np.array([getattr(setting, key) for setting in settings], dtype=np.float64)
