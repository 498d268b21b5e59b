"""What params.yaml says of EscapeRoom: constants, search, studies, settings."""

from collections.abc import Mapping
from typing import ClassVar, Protocol

from pydantic import Field, model_validator

from bilevelrl.core.blocks import SearchBlock, StudyParams
from bilevelrl.core.entries import Estimators, Registered
from bilevelrl.core.games import AscentParams
from bilevelrl.core.problem import Constants, ProblemBlock, TrainingBlock
from bilevelrl.core.settings import Name, Role, Setting
from bilevelrl.core.validation import (
    Block,
    Choices,
    ConfigError,
    Content,
    Count,
    NonNegative,
    Positive,
    Seed,
    UnitInterval,
    Whole,
)
from bilevelrl.models.logit_equilibrium.settings import (
    CovarianceSetting,
    PlayersSetting,
    SampledPlayersSetting,
    ZeroOrderPlayersSetting,
)
from bilevelrl.problems.escape_room.problem import require_arrays


class RoomSize(Protocol):
    """Whatever says how many players there are and how many of them have to pull."""

    @property
    def players(self) -> int:
        """N."""

    @property
    def levers_needed(self) -> int:
        """M, below N."""


def case_of(size: RoomSize) -> str:
    """What tells J of one room from that of another, see `core.search.Searched.add`."""
    return f"players={size.players};levers={size.levers_needed}"


class EscapeRoomParams(Constants):
    """Constants of every room, see `problems.escape_room.problem.EscapeRoom`.

    Attributes:
        discount: of leader and players, at most 1.
        highest_payment: to a player who pulls.
        payment_cost: what a payment of 1 takes from J; see `Payments.cost`.
    """

    door_reward: Positive
    move_cost: NonNegative
    discount: UnitInterval
    highest_payment: Positive
    payment_cost: NonNegative


class RoomSearchParams(Block):
    """One room and the effort of its search, see `core.games.AscentParams`."""

    players: Count
    levers_needed: Count
    starts: Count
    num_updates: Count

    @model_validator(mode="after")
    def _somebody_leaves(self) -> "RoomSearchParams":
        require_arrays(self.players)
        if self.levers_needed >= self.players:
            raise ValueError(
                f"levers_needed = {self.levers_needed} with players = {self.players}: fewer must "
                "pull than there are players"
            )
        return self


class EscapeRoomSearchParams(SearchBlock):
    """Search by exact ascent from many starts θ ~ N(0, spread²), in every room."""

    seed: Seed
    spread: Positive
    step_size: Positive
    rooms: dict[Name, RoomSearchParams] = Field(min_length=1)

    def ascent(self, room: RoomSearchParams) -> AscentParams:
        """The search in one room."""
        return AscentParams(
            temperatures=self.temperatures, seed=self.seed, spread=self.spread,
            step_size=self.step_size, starts=room.starts, num_updates=room.num_updates,
        )  # fmt: skip


class EscapeRoomLeaders(TrainingBlock):
    """What all cells share and an entry may override."""

    players: Count
    levers_needed: Count
    temperature: Positive
    env_steps_per_update: Count
    initial_spread: Positive
    step_size: Positive
    step_size_ratio: UnitInterval
    largest_weight: Positive


class EscapeRoomStudyParams(StudyParams):
    """The estimator-error study in one room: along one exact ascent, from how many transitions.

    Attributes:
        players: N of the room.
        levers_needed: M of the room.
        updates: of that ascent, by Adam, from the θ of the first replicate.
        spread: standard deviation of that θ.
        step_size: of that ascent.
        budgets: transitions per estimate.
        largest_weight: of BC-HG, see `covariance.weights`.
        radius: of the zero-order estimator.
    """

    players: Count
    levers_needed: Count
    updates: Choices[Whole]
    spread: Positive
    step_size: Positive
    budgets: Choices[Count]
    largest_weight: Positive
    radius: Positive

    def whole_episodes(self) -> list[tuple[str, int]]:
        """All budgets."""
        return [("budgets", budget) for budget in self.budgets]


class RoomSetting(PlayersSetting):
    """Settings of EscapeRoom.

    Attributes:
        players: N of the room.
        levers_needed: M of the room.
    """

    roles: ClassVar[Mapping[str, Role]] = {
        "players": "case",
        "levers": "case",
        "env_steps_per_update": "budget",
    }

    players: Count
    levers_needed: Count

    def conditions(self, shared: Content) -> Content:
        """Which room, beside what every setting says."""
        return super().conditions(shared) | {"players": self.players, "levers": self.levers_needed}


class SampledRoomSetting(RoomSetting, SampledPlayersSetting):
    """Of leaders that see states, actions and the players' rewards, and nothing else."""


class CovarianceRoomSetting(RoomSetting, CovarianceSetting):
    """Of BC-HG."""


class ZeroOrderRoomSetting(RoomSetting, ZeroOrderPlayersSetting):
    """Of the zero-order estimator."""


_MODEL = "models.logit_equilibrium.estimators"
ESTIMATORS: Estimators = {
    ("bc_hg", "improved"): Registered(CovarianceRoomSetting, f"{_MODEL}:bc_hg"),
    ("uncoupled", "improved"): Registered(SampledRoomSetting, f"{_MODEL}:uncoupled"),
    ("naive", "improved"): Registered(SampledRoomSetting, f"{_MODEL}:naive"),
    ("zero_order", "improved"): Registered(ZeroOrderRoomSetting, "core.model_based:zero_order"),
    ("exact", "improved"): Registered(RoomSetting, "core.model_based:exact"),
    ("exact_uncoupled", "improved"): Registered(RoomSetting, f"{_MODEL}:exact_uncoupled"),
}


class EscapeRoomBlock(ProblemBlock):
    """See `ProblemBlock`."""

    estimators = ESTIMATORS

    constants: EscapeRoomParams
    search: EscapeRoomSearchParams
    learner: None
    learning: None
    training: EscapeRoomLeaders
    gradients: EscapeRoomStudyParams

    @model_validator(mode="after")
    def _every_room_is_another_and_the_study_is_in_one(self) -> "EscapeRoomBlock":
        cases = [case_of(room) for room in self.search.rooms.values()]
        if len(set(cases)) < len(cases):
            raise ValueError(f"search.rooms: {cases} has a room twice")
        if (studied := case_of(self.gradients)) not in cases:
            raise ValueError(f"gradients: {studied}: allowed are search.rooms, {cases}")
        return self

    def check(self, setting: Setting, where: str) -> None:
        """Refuse a room in which nobody searches, and what `ProblemBlock.check` refuses.

        Raises:
            ConfigError: if so; the message starts with `where`.
        """
        super().check(setting, where)
        assert isinstance(setting, RoomSetting)
        allowed = [(room.players, room.levers_needed) for room in self.search.rooms.values()]
        if (setting.players, setting.levers_needed) not in allowed:
            raise ConfigError(
                f"{where}: (players, levers_needed) = ({setting.players}, "
                f"{setting.levers_needed}): allowed are those of search.rooms, {allowed}"
            )


BLOCK = EscapeRoomBlock
