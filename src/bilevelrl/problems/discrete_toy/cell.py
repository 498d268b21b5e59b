"""The discrete toy: from settings to the game that is trained."""

from collections.abc import Callable, Sequence
from typing import Any

from bilevelrl.core.cell import Context, Training
from bilevelrl.core.estimator import Estimator
from bilevelrl.core.finite_settings import SoftQParams
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.games import GameLeaders
from bilevelrl.models.finite_game.estimators import training
from bilevelrl.models.finite_game.markov_game import MarkovGame
from bilevelrl.models.finite_game.settings import FiniteGameSetting
from bilevelrl.problems.discrete_toy.problem import STATE_NAMES, discrete_toy
from bilevelrl.problems.discrete_toy.settings import DiscreteToyParams

#: The number that J depends on: how often the leader sends the follower home.
PROBABILITY = "f(1|A)"


def make_game(constants: DiscreteToyParams) -> MarkovGame:
    """The toy with the constants of params.yaml."""
    return discrete_toy(**constants.model_dump())


def build(
    make: Callable[[Any], Estimator[BestResponse]],
    settings: Sequence[FiniteGameSetting],
    context: Context[DiscreteToyParams, SoftQParams, GameLeaders],
) -> Training[BestResponse]:
    """All that the training loop needs for runs that can share a batch."""
    # A is the one state where the leader's action matters.
    shown = {PROBABILITY: (STATE_NAMES.index("A"), 1)}
    return training(make, settings, make_game(context.constants), context.followers, shown)
