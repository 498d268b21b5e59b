"""What params.yaml says of FourRooms: constants, search, studies, settings."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from bilevelrl.core.blocks import InformedStudyParams, LearningParams, SearchBlock
from bilevelrl.core.entries import Estimators, Registered
from bilevelrl.core.finite_settings import (
    FrequencyBelief,
    SoftQParams,
    TabularFollowerSetting,
    UnrolledSetting,
)
from bilevelrl.core.problem import Constants, ProblemBlock, TrainingBlock
from bilevelrl.core.settings import PER_RUN, AscentSetting, BatchSetting, Setting
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
from bilevelrl.models.tabular.settings import IdentifiedModel, SarsaCritic


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


class GradientParams(InformedStudyParams[Positive]):
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


class FourRoomsSetting(TabularFollowerSetting):
    """Settings of FourRooms.

    Attributes:
        initial_spread: standard deviation of θ at the start.
    """

    initial_spread: Annotated[Positive, PER_RUN]

    def conditions(self, shared: dict[str, Any]) -> dict[str, Any]:
        """What every setting says, and the spread where it is not the shared one."""
        chosen = super().conditions(shared)
        if self.initial_spread != shared["initial_spread"]:
            chosen["initial_spread"] = self.initial_spread
        return chosen


class FourRoomsBatchSetting(FourRoomsSetting, BatchSetting):
    """Of estimators that sample.

    Attributes:
        num_envs: E, parallel environments; numbers of transitions are multiples of it.
    """

    num_envs: Count

    @model_validator(mode="after")
    def _divisible(self) -> "FourRoomsBatchSetting":
        for key in ("env_steps_per_update", "oracle_steps_per_update"):
            steps = getattr(self, key, 0)
            if steps % self.num_envs:
                raise ValueError(f"{key} = {steps} is not divisible by num_envs = {self.num_envs}")
        return self


class FourRoomsAscentSetting(FourRoomsSetting, AscentSetting):
    """Of leaders that step along their estimates."""


class FourRoomsSampledSetting(FourRoomsBatchSetting, FourRoomsAscentSetting):
    """Of leaders that step along estimates from samples."""


class FourRoomsCriticSetting(FourRoomsSampledSetting):
    """Of estimators with a learned critic.

    Attributes:
        critic: of the leader.
    """

    critic: SarsaCritic


class CovarianceSetting(FourRoomsCriticSetting):
    """Of the corrected BC-HG, which may only watch its follower.

    Attributes:
        belief: None reads the follower.
    """

    belief: FrequencyBelief | None = None


class IdentifiedSetting(FourRoomsBatchSetting):
    """Of the improved BC-HG, which chooses θ in a model that it identifies.

    Attributes:
        model: how it goes about that.
    """

    model: IdentifiedModel


class OracleSetting(FourRoomsSampledSetting):
    """Of HPGD (oracle).

    Attributes:
        oracle_steps_per_update: transitions of the oracle's batch.
    """

    oracle_steps_per_update: Count


class FourRoomsPerturbedSetting(FourRoomsSampledSetting):
    """Of the perturbed follower, whose two answers share the transitions.

    Attributes:
        epsilon: ε, the share of the leader's reward that the follower is paid.
        two_sided: whether it is also charged that share; else its second answer is without pay.
    """

    epsilon: Annotated[Positive, PER_RUN]
    two_sided: bool

    @model_validator(mode="after")
    def _shared(self) -> "FourRoomsPerturbedSetting":
        if self.env_steps_per_update % (2 * self.num_envs):
            raise ValueError(
                f"env_steps_per_update = {self.env_steps_per_update} must be a multiple of "
                f"{2 * self.num_envs}: two answers share it, in num_envs = {self.num_envs}"
            )
        return self


class FourRoomsUnrolledSetting(FourRoomsAscentSetting, UnrolledSetting):
    """Of the unrolled follower."""


class FourRoomsZeroOrderSetting(FourRoomsAscentSetting):
    """Of the zero-order estimator.

    Attributes:
        radius: c, half the distance of two evaluations of J.
    """

    radius: Annotated[Positive, PER_RUN]


class AMDSetting(FourRoomsAscentSetting):
    """Of AMD.

    Attributes:
        sweeps: of its tables, per update.
    """

    sweeps: Count


class FourRoomsBlackBoxSetting(FourRoomsSetting):
    """Of CMA-ES.

    Attributes:
        spread: standard deviation of the first population.
        population_size: evaluations of J per update.
    """

    spread: Annotated[Positive, PER_RUN]
    population_size: Annotated[Count, Field(ge=3)]


_BOTH: dict[str, Registered] = {
    "bc_hg": Registered(FourRoomsCriticSetting, "cell:bc_hg"),
    "hpgd_mc": Registered(FourRoomsSampledSetting, "cell:hpgd_mc"),
    "hpgd_sa": Registered(FourRoomsCriticSetting, "cell:hpgd_sa"),
    "hpgd_oracle": Registered(OracleSetting, "cell:hpgd_oracle"),
    "sobirl": Registered(FourRoomsSampledSetting, "cell:sobirl"),
    "naive": Registered(FourRoomsSampledSetting, "cell:naive"),
    "zero_order": Registered(FourRoomsZeroOrderSetting, "core.model_based:zero_order"),
    "exact": Registered(FourRoomsAscentSetting, "core.model_based:exact"),
    "amd": Registered(AMDSetting, "models.tabular.amd:amd"),
    "cma_es": Registered(FourRoomsBlackBoxSetting, "core.cma_es:cma_es"),
}
ESTIMATORS: Estimators = {
    (name, variant): each for name, each in _BOTH.items() for variant in ("published", "corrected")
} | {
    ("bc_hg", "corrected"): Registered(CovarianceSetting, "cell:covariance"),
    ("bc_hg", "improved"): Registered(IdentifiedSetting, "identified:bc_hg"),
    ("perturbed", "corrected"): Registered(FourRoomsPerturbedSetting, "cell:perturbed"),
    ("unrolled", "corrected"): Registered(FourRoomsUnrolledSetting, "cell:unrolled"),
}


class FourRoomsBlock(ProblemBlock):
    """See `ProblemBlock`."""

    estimators = ESTIMATORS

    constants: FourRoomsParams
    search: SearchParams
    learner: SoftQParams
    learning: LearningParams
    training: FourRoomsLeaders
    gradients: GradientParams

    def check(self, setting: Setting, where: str) -> None:
        """Batches may cut episodes."""


BLOCK = FourRoomsBlock
