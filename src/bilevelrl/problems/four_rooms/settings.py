"""What params.yaml says of FourRooms: constants, search, studies, settings."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from bilevelrl.core.blocks import LearningParams, SearchBlock, StudyParams
from bilevelrl.core.families import ANY_KEYS, COUNTING_KEYS, ROLLOUT_KEYS, Family, Keys, table
from bilevelrl.core.problem import Constants, ProblemBlock, TrainingBlock
from bilevelrl.core.settings import Setting
from bilevelrl.core.validation import (
    Choices,
    Count,
    Distinct,
    NonNegative,
    Positive,
    Seed,
    UnitInterval,
    Whole,
)
from bilevelrl.models.tabular.settings import SoftQParams


class FourRoomsParams(Constants):
    """Constants of FourRooms, see `problems.four_rooms.problem.FourRooms`."""

    discount: Annotated[float, Field(ge=0.0, lt=1.0)]
    fail_probability: Annotated[float, Field(ge=0.0, lt=0.75)]
    incentive_scale: Positive
    incentive_cost: NonNegative


class SearchParams(SearchBlock):
    """Multi-start exact ascent for the best known J."""

    seed: Seed
    random_starts: Count
    random_spreads: Choices[Positive]
    heights: Choices[Positive]
    num_updates: Count
    first_step_size: Positive
    last_step_size: Positive


class FourRoomsLeaders(TrainingBlock):
    """What all cells share; an entry may set its own `initial_spread`."""

    max_gradient_norm: Positive
    initial_spread: Positive


class GradientParams(StudyParams[Positive]):
    """The estimator-error study at fixed θ; `budgets` maps transitions to parallel environments.

    `information.point` is a share of the best known θ, as `best_fraction`.
    """

    warm_up_steps: Whole
    budgets: dict[Count, Count] = Field(min_length=1)
    critic_step_size: UnitInterval
    oracle_steps_per_update: Count
    radius: Positive
    trajectory_seed: Seed
    trajectory_spread: Positive
    trajectory_updates: Distinct[Whole]
    best_fraction: Positive

    @model_validator(mode="after")
    def _divisible(self) -> "GradientParams":
        for budget, num_envs in self.budgets.items():
            for steps in (budget, self.oracle_steps_per_update):
                if steps % num_envs:
                    raise ValueError(
                        f"{steps} transitions are not divisible by the {num_envs} environments "
                        f"of budget {budget}"
                    )
        return self


class FourRoomsSetting(Setting):
    """Settings of FourRooms.

    Attributes:
        initial_spread: standard deviation of θ at the start.
        env_steps_per_update: B, transitions per update.
        num_envs: E, parallel environments; B must be a multiple.
        critic_step_size: α of the SARSA critic.
        oracle_steps_per_update: transitions of the oracle batch.
        radius: c of the zero-order estimator.
    """

    samples_whole_episodes = False

    initial_spread: Positive
    env_steps_per_update: Count | None = None
    num_envs: Count | None = None
    critic_step_size: UnitInterval | None = None
    oracle_steps_per_update: Count | None = None
    radius: Positive | None = None

    @model_validator(mode="after")
    def _divisible(self) -> "FourRoomsSetting":
        self._refuse_followers("sac")
        for key in ("env_steps_per_update", "oracle_steps_per_update"):
            steps = getattr(self, key)
            if steps is not None and self.num_envs is not None and steps % self.num_envs:
                raise ValueError(f"{key} = {steps} is not divisible by num_envs = {self.num_envs}")
        return self

    def conditions(self, shared: dict[str, Any]) -> dict[str, Any]:
        """Temperature, budget, and where it is not the shared one, spread and follower."""
        chosen: dict[str, Any] = {"temperature": self.temperature}
        if self.env_steps_per_update is not None:
            chosen["env_steps_per_update"] = self.env_steps_per_update
        if self.initial_spread != shared["initial_spread"]:
            chosen["initial_spread"] = self.initial_spread
        return chosen | self.follower_conditions


_FOUR_ROOMS = {
    "bc_hg": ROLLOUT_KEYS | {"critic_step_size"},
    "hpgd_mc": ROLLOUT_KEYS,
    "hpgd_sa": ROLLOUT_KEYS | {"critic_step_size"},
    "hpgd_oracle": ROLLOUT_KEYS | {"oracle_steps_per_update"},
    "sobirl": ROLLOUT_KEYS,
    "naive": ROLLOUT_KEYS,
    "zero_order": frozenset({"radius"}),
    "exact": frozenset(),
}
FAMILY = Family(
    FourRoomsSetting,
    ANY_KEYS | {"initial_spread"},
    table(
        {
            (estimator, variant): Keys(keys)
            for estimator, keys in _FOUR_ROOMS.items()
            for variant in ("published", "corrected")
        }
        | {("bc_hg", "corrected"): Keys(_FOUR_ROOMS["bc_hg"], COUNTING_KEYS)}
    ),
)


class FourRoomsBlock(ProblemBlock):
    """See `ProblemBlock`."""

    family = FAMILY

    constants: FourRoomsParams
    search: SearchParams
    learner: SoftQParams
    learning: LearningParams
    training: FourRoomsLeaders
    gradients: GradientParams


BLOCK = FourRoomsBlock
