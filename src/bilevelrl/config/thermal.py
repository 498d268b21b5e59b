"""The blocks of params.yaml that building thermal control has."""

from typing import Annotated

from pydantic import Field

from bilevelrl.config.blocks import Rows, StudyParams
from bilevelrl.config.games import AscentParams, Matrix, Vector
from bilevelrl.config.validation import (
    LARGEST,
    Block,
    Choices,
    Count,
    NonNegative,
    Positive,
    Whole,
)


class ThermalControlParams(Block):
    """Constants, see `problems.thermal_control.ThermalControl`, which checks them."""

    base_matrix: Matrix
    input_matrix: Matrix
    insulation_effect: Vector
    state_cost: Matrix
    control_cost: Matrix
    noise: Positive
    state_limit: Positive
    initial_deviation: Positive
    max_episode_steps: Count
    discount: Annotated[float, Field(gt=0.0, lt=1.0)]
    stability_weight: NonNegative
    energy_weight: NonNegative
    insulation_weight: NonNegative
    airflow_weight: NonNegative


class ThermalLeaders(Block):
    """What all cells share and an entry may override; see `ThermalSetting`."""

    num_updates: Count
    max_rows: Rows
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


class ThermalGradientParams(StudyParams[Whole]):
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
