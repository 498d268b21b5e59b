"""What params.yaml says of a discrete toy: constants, search, studies, settings."""

from typing import Annotated

from pydantic import Field

from bilevelrl.core.blocks import LearningParams, SearchBlock
from bilevelrl.core.finite_settings import SoftQParams
from bilevelrl.core.games import Discount, GameBlock, GameStudyParams, Inside
from bilevelrl.core.problem import Constants
from bilevelrl.core.validation import LARGEST
from bilevelrl.models.finite_game.settings import ESTIMATORS


class DiscreteToyParams(Constants):
    """Constants of the discrete toy, see `problems.discrete_toy.problem.discrete_toy`."""

    revisit_reward: float
    leader_discount: Discount
    follower_discount: Discount


class LandscapeParams(SearchBlock):
    """Search along the one probability that J of the toy depends on."""

    points: Annotated[int, Field(ge=3, le=LARGEST)]


class ToyStudyParams(GameStudyParams[Inside]):
    """A point is the leader's probability of 1 in state A."""


class DiscreteToyBlock(GameBlock):
    """See `ProblemBlock`."""

    estimators = ESTIMATORS

    constants: DiscreteToyParams
    search: LandscapeParams
    learner: SoftQParams
    learning: LearningParams
    gradients: ToyStudyParams


BLOCK = DiscreteToyBlock
