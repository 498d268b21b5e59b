"""What a family of problems offers to the worker that trains its runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.ascent import AscentRule
from bilevelrl.core.blocks import FollowerParams, Rule
from bilevelrl.core.estimator import Estimator
from bilevelrl.core.follower import Response
from bilevelrl.core.settings import Setting
from bilevelrl.core.training import Game
from bilevelrl.core.validation import Block

Constants = TypeVar("Constants", bound=Block)
Shared = TypeVar("Shared", bound=Block)
Own_co = TypeVar("Own_co", bound=Setting, covariant=True)
Game_co = TypeVar("Game_co", covariant=True)


@dataclass(frozen=True)
class Context(Generic[Constants, Rule, Shared]):
    """Blocks of params.yaml that a cell's results depend on, besides its settings."""

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
    exact_interval: int = 1


@dataclass(frozen=True, eq=False)
class Group(Generic[Own_co, Game_co]):
    """Runs that train together, a setting each, and the problem with their followers.

    Settings agree in everything that fixes array shapes.
    """

    settings: Sequence[Own_co]
    game: Game_co

    @property
    def shared(self) -> Own_co:
        """A setting to read what all runs share from."""
        return self.settings[0]

    @property
    def temperature(self) -> Floats:
        """β of each run, shape (R,)."""
        return per_run(self.settings, "temperature")


#: Of a problem that nobody knows beforehand.
AnyContext = Context[Any, Any, Any]
AnyTraining = Training[Any]
#: Builds an estimator from what the module `cell` of its problem hands it.
Maker = Callable[[Any], Any]


class CellModule(Protocol):
    """The module `cell` of a problem."""

    def build(self, make: Maker, settings: Sequence[Any], context: AnyContext) -> AnyTraining:
        """All that the training loop needs for runs that can share a batch, a setting each.

        The estimator's `core.entries.Registered.maker` is `make`.
        """


def believed_temperature(settings: Sequence[Setting]) -> Floats:
    """The β that every run's leader reckons with, shape (R,)."""
    beliefs = [getattr(setting, "belief", None) for setting in settings]
    reckoned = [None if belief is None else belief.temperature for belief in beliefs]
    return np.array([own or each.temperature for own, each in zip(reckoned, settings, strict=True)])


def per_run(settings: Sequence[Setting], key: str) -> Floats:
    """One hyper-parameter of every run, shape (R,); `critic.step_size` is one of a component."""
    read = attrgetter(key)
    return np.array([read(setting) for setting in settings], dtype=np.float64)
