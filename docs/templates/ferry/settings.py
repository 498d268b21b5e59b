"""What params.yaml says of the ferry."""

from bilevelrl.core.finite_settings import SoftQParams
from bilevelrl.core.games import AscentParams, Discount, GameBlock
from bilevelrl.core.problem import Constants
from bilevelrl.core.validation import NonNegative
from bilevelrl.models.finite_game.settings import ESTIMATORS


class FerryParams(Constants):
    """Constants, see `problems.ferry.problem.ferry`."""

    low_fare: NonNegative
    high_fare: NonNegative
    leader_discount: Discount
    follower_discount: Discount


class FerryBlock(GameBlock):
    """See `core.problem.ProblemBlock`; neither study is asked for."""

    estimators = ESTIMATORS

    constants: FerryParams
    search: AscentParams
    learner: SoftQParams
    learning: None
    gradients: None


BLOCK = FerryBlock
