"""What params.yaml says of a discrete toy: constants, search, studies, settings."""

from typing import Annotated

from pydantic import Field

from bilevelrl.core.blocks import LearningParams, SearchBlock, StudyParams
from bilevelrl.core.families import (
    ANY_KEYS,
    CORRECTED,
    COUNTING_KEYS,
    MODEL_BASED,
    PUBLISHED,
    PUBLISHED_COVARIANCE,
    SAMPLED,
    Family,
    Keys,
    table,
)
from bilevelrl.core.games import Discount, GameLeaders, Inside
from bilevelrl.core.problem import Constants, ProblemBlock
from bilevelrl.core.settings import GameSetting
from bilevelrl.core.validation import LARGEST, Choices, Count
from bilevelrl.models.tabular.settings import SoftQParams


class DiscreteToyParams(Constants):
    """Constants of the discrete toy, see `problems.discrete_toy.problem.discrete_toy`."""

    revisit_reward: float
    leader_discount: Discount
    follower_discount: Discount


class LandscapeParams(SearchBlock):
    """Search along the one probability that J of the toy depends on."""

    points: Annotated[int, Field(ge=3, le=LARGEST)]


class GameGradientParams(StudyParams[Inside]):
    """The estimator-error study of a game: at which policies, from how many transitions.

    A point is the leader's probability of 1 in state A.
    """

    points: Choices[Inside]
    budgets: Choices[Count]

    def whole_episodes(self) -> list[tuple[str, int]]:
        """All budgets."""
        return [("budgets", budget) for budget in self.budgets]


FAMILY = Family(
    GameSetting,
    ANY_KEYS | {"returns", "study"},
    table(
        {
            ("bc_hg", "published"): PUBLISHED_COVARIANCE,
            ("bc_hg", "corrected"): Keys(SAMPLED, CORRECTED.optional | COUNTING_KEYS),
            ("naive_on", "published"): PUBLISHED,
            ("naive_off", "published"): PUBLISHED,
            ("bi_ac_on", "published"): PUBLISHED,
            ("bi_ac_off", "published"): PUBLISHED,
            **MODEL_BASED,
        }
    ),
)


class DiscreteToyBlock(ProblemBlock):
    """See `ProblemBlock`."""

    family = FAMILY

    constants: DiscreteToyParams
    search: LandscapeParams
    learner: SoftQParams
    learning: LearningParams
    training: GameLeaders
    gradients: GameGradientParams

    @property
    def reported_return(self) -> str:
        """Which J is reported."""
        return self.training.returns


BLOCK = DiscreteToyBlock
