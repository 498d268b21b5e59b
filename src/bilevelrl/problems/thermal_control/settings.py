"""What params.yaml says of building thermal control: constants, search, studies, estimators."""

from typing import Annotated

from pydantic import Field

from bilevelrl.core.blocks import InformedStudyParams, LearningParams
from bilevelrl.core.entries import Estimators, Registered
from bilevelrl.core.games import AscentParams, Inside, Matrix, Vector
from bilevelrl.core.problem import Constants, ProblemBlock, TrainingBlock
from bilevelrl.core.validation import (
    LARGEST,
    Choices,
    Count,
    NonNegative,
    Positive,
    Whole,
)
from bilevelrl.models.deep.settings import ComparedSacParams
from bilevelrl.problems.thermal_control.estimator_settings import (
    ThermalActionSetting,
    ThermalAscentSetting,
    ThermalImprovedSetting,
    ThermalPerturbedSetting,
    ThermalReleasedSetting,
    ThermalSampledSetting,
    ThermalZeroOrderSetting,
)


class ThermalControlParams(Constants):
    """Constants, see `problems.thermal_control.problem.ThermalControl`, which checks them."""

    base_matrix: Matrix
    input_matrix: Matrix
    insulation_effect: Vector
    state_cost: Matrix
    control_cost: Matrix
    noise: Positive
    state_limit: Positive
    initial_deviation: Positive
    discount: Inside
    stability_weight: NonNegative
    energy_weight: NonNegative
    insulation_weight: NonNegative
    airflow_weight: NonNegative


class ThermalLeaders(TrainingBlock):
    """What all cells share and an entry may override."""

    temperature: Positive
    env_steps_per_update: Count
    initial_spread: Positive
    max_gradient_norm: Positive
    max_score_norm: Positive
    follower_samples: Count


class ThermalSearchParams(AscentParams):
    """Search by exact ascent, and the paper's random search."""

    samples: Count
    sample_episodes: Count


class ThermalGradientParams(InformedStudyParams[Whole]):
    """The estimator-error study: along one exact ascent from θ = 0, from how many transitions.

    `information.point` is an update of that ascent.
    """

    updates: Choices[Whole]
    step_size: Positive
    budgets: Choices[Count]
    drift_budget: Count
    drift_replicates: Annotated[int, Field(ge=2, le=LARGEST)]

    def whole_episodes(self) -> list[tuple[str, int]]:
        """All budgets."""
        return [*(("budgets", each) for each in self.budgets), ("drift_budget", self.drift_budget)]

    def seed_counts(self) -> dict[str, int]:
        """Beside those of every study, the ones of the drift."""
        return super().seed_counts() | {"drift_replicates": self.drift_replicates}


ESTIMATORS: Estimators = {
    ("bc_hg", "published"): Registered(ThermalActionSetting, "cell:bc_hg_published"),
    ("bc_hg", "corrected"): Registered(ThermalSampledSetting, "cell:bc_hg_corrected"),
    ("bc_hg", "improved"): Registered(ThermalImprovedSetting, "cell:bc_hg_improved"),
    ("hpgd_mc", "published"): Registered(ThermalReleasedSetting, "cell:hpgd_mc"),
    ("hpgd_td", "published"): Registered(ThermalActionSetting, "cell:hpgd_td"),
    ("naive", "published"): Registered(ThermalReleasedSetting, "cell:naive"),
    ("perturbed", "corrected"): Registered(ThermalPerturbedSetting, "cell:perturbed"),
    ("zero_order", "published"): Registered(ThermalZeroOrderSetting, "core.model_based:zero_order"),
    ("exact", "published"): Registered(ThermalAscentSetting, "core.model_based:exact"),
    ("exact_naive", "published"): Registered(ThermalAscentSetting, "cell:exact_naive"),
}


class ThermalControlBlock(ProblemBlock):
    """See `ProblemBlock`."""

    estimators = ESTIMATORS

    constants: ThermalControlParams
    search: ThermalSearchParams
    learner: ComparedSacParams
    learning: LearningParams
    training: ThermalLeaders
    gradients: ThermalGradientParams


BLOCK = ThermalControlBlock
