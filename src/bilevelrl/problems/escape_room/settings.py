"""What params.yaml says of EscapeRoom: constants, search, studies, settings."""

from pydantic import model_validator

from bilevelrl.core.blocks import StudyParams
from bilevelrl.core.games import AscentParams
from bilevelrl.core.problem import Constants, ProblemBlock, TrainingBlock
from bilevelrl.core.settings import Setting
from bilevelrl.core.validation import (
    Choices,
    ConfigError,
    Content,
    Count,
    NonNegative,
    Positive,
    UnitInterval,
    Whole,
)
from bilevelrl.models.logit_equilibrium.settings import ESTIMATORS, PlayersSetting


class EscapeRoomParams(Constants):
    """Constants, see `problems.escape_room.problem.EscapeRoom`, which checks them.

    Attributes:
        discount: of leader and players, at most 1.
        highest_payment: to a player who pulls.
        payment_cost: what a payment of 1 takes from J; see `Payments.cost`.
    """

    players: Count
    levers_needed: Count
    door_reward: Positive
    move_cost: NonNegative
    discount: UnitInterval
    highest_payment: Positive
    payment_cost: NonNegative


class EscapeRoomLeaders(TrainingBlock):
    """What all cells share and an entry may override."""

    temperature: Positive
    env_steps_per_update: Count
    initial_spread: Positive
    step_size: Positive
    step_size_ratio: UnitInterval
    largest_weight: Positive


class EscapeRoomStudyParams(StudyParams):
    """The estimator-error study: along one exact ascent, from how many transitions.

    Attributes:
        updates: of that ascent, by Adam, from the θ of the first replicate.
        spread: standard deviation of that θ.
        step_size: of that ascent.
        budgets: transitions per estimate.
        largest_weight: of BC-HG, see `covariance.weights`.
        radius: of the zero-order estimator.
    """

    updates: Choices[Whole]
    spread: Positive
    step_size: Positive
    budgets: Choices[Count]
    largest_weight: Positive
    radius: Positive

    def whole_episodes(self) -> list[tuple[str, int]]:
        """All budgets."""
        return [("budgets", budget) for budget in self.budgets]


class EscapeRoomBlock(ProblemBlock):
    """See `ProblemBlock`."""

    estimators = ESTIMATORS

    constants: EscapeRoomParams
    search: AscentParams
    learner: None
    learning: None
    training: EscapeRoomLeaders
    gradients: EscapeRoomStudyParams

    @model_validator(mode="after")
    def _somebody_leaves(self) -> "EscapeRoomBlock":
        own = self.constants
        if own.levers_needed >= own.players:
            raise ValueError(
                f"levers_needed = {own.levers_needed} with players = {own.players}: fewer must "
                "pull than there are players"
            )
        return self

    def shared(self) -> Content:
        """What the cells take over; the number of players is the problem's."""
        return super().shared() | {"players": self.constants.players}

    def check(self, setting: Setting, where: str) -> None:
        """Refuse a setting of another number of players, and what `ProblemBlock.check` refuses.

        Raises:
            ConfigError: if so; the message starts with `where`.
        """
        super().check(setting, where)
        assert isinstance(setting, PlayersSetting)
        if setting.players != self.constants.players:
            raise ConfigError(
                f"{where}: players = {setting.players}: allowed is that of the problem, "
                f"constants.players = {self.constants.players}"
            )


BLOCK = EscapeRoomBlock
