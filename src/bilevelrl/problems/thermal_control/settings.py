"""What params.yaml says of building thermal control: constants, search, studies, settings."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from bilevelrl.core.blocks import LearningParams, StudyParams
from bilevelrl.core.families import LEARNER_KEYS, WATCHING_KEYS, Family, Keys, table
from bilevelrl.core.games import AscentParams, Matrix, Vector
from bilevelrl.core.problem import Constants, ProblemBlock, TrainingBlock
from bilevelrl.core.settings import Name, Setting
from bilevelrl.core.validation import (
    LARGEST,
    Choices,
    Count,
    NonNegative,
    Positive,
    UnitInterval,
    Whole,
)
from bilevelrl.models.deep.settings import SacParams


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
    discount: Annotated[float, Field(gt=0.0, lt=1.0)]
    stability_weight: NonNegative
    energy_weight: NonNegative
    insulation_weight: NonNegative
    airflow_weight: NonNegative


class ThermalLeaders(TrainingBlock):
    """What all cells share and an entry may override; see `ThermalSetting`."""

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


class ThermalSetting(Setting):
    """Settings of building thermal control.

    Attributes:
        study: name of an ablation that the setting belongs to; None is the main comparison.
        env_steps_per_update: transitions per update, a multiple of the episode's length.
        initial_spread: standard deviation of θ at the start.
        max_gradient_norm: clip of the gradient, insulation and airflow apart.
        momentum: weight of an estimate against the next in the mean that θ follows; 0 follows the
            newest estimate.
        max_score_norm: the same for every score in the direct part (released code).
        follower_samples: draws that estimate E_a[Q_L]; None takes the expectation.
        critic: "quadratic" solves least squares, "network" is the released code's.
        critic_steps: Adam steps of the network critic per update, each from the start.
        critic_step_size: of these.
        sensitivity: "sampled" along the trajectory, or "expected" under the leader's model of its
            building.
        radius: of the zero-order estimator.
        belief: of a watching leader about its follower's mean action: linear in the state, or on
            "random_features".
        policy_features: how many.
        policy_ridge: relative penalty of their regression.
    """

    study: Name | None = None
    env_steps_per_update: Count | None = None
    initial_spread: Positive
    max_gradient_norm: Positive
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    max_score_norm: Positive | None = None
    follower_samples: Count | None = None
    critic: Literal["quadratic", "network"] = "quadratic"
    critic_steps: Count | None = None
    critic_step_size: UnitInterval | None = None
    sensitivity: Literal["sampled", "expected"] = "sampled"
    radius: Positive | None = None
    belief: Literal["linear", "random_features"] | None = None
    policy_features: Count | None = None
    policy_ridge: Positive | None = None

    @model_validator(mode="after")
    def _belief_is_consistent(self) -> "ThermalSetting":
        if self.belief is not None and self.information == "full":
            raise ValueError(f"belief = {self.belief} does not go with information = full")
        for key in ("policy_features", "policy_ridge"):
            if (getattr(self, key) is not None) != (self.belief == "random_features"):
                raise ValueError(
                    f"{key} = {getattr(self, key)} does not go with belief = {self.belief}: set it "
                    "for 'random_features' and only there"
                )
        return self

    @model_validator(mode="after")
    def _information_is_enough(self) -> "ThermalSetting":
        self._refuse_actions()
        self._refuse_followers("truncated", "soft_q")
        self._refuse_reading_sac()
        if self.information != "full" and self.sensitivity == "expected":
            raise ValueError(
                f"sensitivity = expected does not go with information = {self.information}: it is "
                "an expectation under the follower's own solution; allowed is 'sampled'"
            )
        return self

    @model_validator(mode="after")
    def _critic_is_consistent(self) -> "ThermalSetting":
        network = self.critic == "network"
        for key in ("critic_steps", "critic_step_size"):
            if (getattr(self, key) is not None) != network:
                raise ValueError(
                    f"{key} = {getattr(self, key)} does not go with critic = {self.critic}: "
                    "set it for 'network' and only there"
                )
        return self

    def conditions(self, shared: dict[str, Any]) -> dict[str, Any]:
        """Temperature, budget, critic if it is a network, belief, and the ablation if it is one."""
        del shared
        chosen: dict[str, Any] = {"temperature": self.temperature}
        if self.env_steps_per_update is not None:
            chosen["env_steps_per_update"] = self.env_steps_per_update
        if self.critic != "quadratic":
            chosen["critic"] = self.critic
        for key in ("study", "belief"):
            if getattr(self, key) is not None:
                chosen[key] = getattr(self, key)
        return chosen | self.follower_conditions


_CRITIC = frozenset({"critic", "critic_steps", "critic_step_size"})
_SCORED = Keys(frozenset({"env_steps_per_update", "max_score_norm"}), _CRITIC)
_SCORED_ACTIONS = Keys(_SCORED.required | {"follower_samples"}, _CRITIC)
_BATCH = frozenset({"env_steps_per_update"})
FAMILY = Family(
    ThermalSetting,
    frozenset(
        {
            "variant", "temperature", "step_size", "first_seed", "num_seeds", "num_updates",
            "study", "initial_spread", "max_gradient_norm",
        }
    ),
    table(
        {
            ("bc_hg", "published"): _SCORED_ACTIONS,
            ("hpgd_td", "published"): _SCORED_ACTIONS,
            ("hpgd_mc", "published"): _SCORED,
            ("naive", "published"): _SCORED,
            ("bc_hg", "corrected"): Keys(_BATCH),
            ("bc_hg", "improved"): Keys(
                _BATCH | {"sensitivity"},
                WATCHING_KEYS
                | LEARNER_KEYS
                | {"momentum", "belief", "policy_features", "policy_ridge"},
            ),
            ("zero_order", "published"): Keys(frozenset({"radius"})),
            ("exact", "published"): Keys(frozenset()),
            ("exact_naive", "published"): Keys(frozenset()),
        }
    ),
)  # fmt: skip


class ThermalControlBlock(ProblemBlock):
    """See `ProblemBlock`."""

    family = FAMILY

    constants: ThermalControlParams
    search: ThermalSearchParams
    learner: SacParams
    learning: LearningParams
    training: ThermalLeaders
    gradients: ThermalGradientParams


BLOCK = ThermalControlBlock
