"""What a family of problems offers to the worker that trains its runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol

import numpy as np
from numpy.typing import NDArray

from bilevelrl.ascent import AscentRule
from bilevelrl.config import FollowerParams, Setting
from bilevelrl.config.validation import Block
from bilevelrl.estimators.protocol import Estimator
from bilevelrl.followers.protocol import Response
from bilevelrl.training import Game


@dataclass(frozen=True)
class Context:
    """Blocks of params.yaml that a cell's results depend on, besides its settings.

    Attributes:
        constants: of the problem.
        followers: accuracy of the solvers.
        leaders: what the cells of the problem share.
    """

    constants: Block
    followers: FollowerParams
    leaders: Block


@dataclass(frozen=True, eq=False)
class Training(Generic[Response]):
    """Arguments of `training.train` that depend on problem and estimator."""

    game: Game[Response]
    estimator: Estimator[Response]
    rule: AscentRule
    actor_steps: int = 1


class Family(Protocol):
    """A module of this package."""

    def group_key(self, setting: Any) -> tuple[object, ...]:
        """Runs with equal keys can share one batch."""
        ...

    def build(self, estimator: str, settings: Sequence[Any], context: Context) -> Training[Any]:
        """All that the training loop needs for runs with equal `group_key`."""
        ...


def believed_temperature(settings: Sequence[Setting]) -> NDArray[np.float64]:
    """The β that every run's leader reckons with, shape (R,)."""
    return np.array([setting.believed_temperature or setting.temperature for setting in settings])


def per_run(settings: Sequence[Setting], key: str) -> NDArray[np.float64]:
    """One hyper-parameter of every run, shape (R,)."""
    return np.array([getattr(setting, key) for setting in settings], dtype=np.float64)
