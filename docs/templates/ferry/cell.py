"""The ferry: from settings to the game that is trained."""

from collections.abc import Callable, Sequence
from typing import Any

from bilevelrl.core.cell import Context, Training
from bilevelrl.core.finite_settings import SoftQParams
from bilevelrl.core.games import GameLeaders
from bilevelrl.models.finite_game.estimators import training
from bilevelrl.models.finite_game.markov_game import MarkovGame
from bilevelrl.models.finite_game.settings import FiniteGameSetting
from bilevelrl.problems.ferry.problem import HIGH, UPSTREAM, ferry
from bilevelrl.problems.ferry.settings import FerryParams


def make_game(constants: FerryParams) -> MarkovGame:
    """The ferry with the constants of params.yaml."""
    return ferry(**constants.model_dump())


def build(
    make: Callable[[Any], Any],
    settings: Sequence[FiniteGameSetting],
    context: Context[FerryParams, SoftQParams, GameLeaders],
) -> Training[Any]:
    """All that the training loop needs for runs that can share a batch."""
    shown = {"f(high|upstream)": (UPSTREAM, HIGH)}
    return training(make, settings, make_game(context.constants), context.followers, shown)
