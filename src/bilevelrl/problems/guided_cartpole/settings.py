"""What params.yaml says of the guided cart-pole: constants, shared settings, settings."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from bilevelrl.core.blocks import SearchBlock, StudyParams
from bilevelrl.core.entries import Estimators, Registered
from bilevelrl.core.games import Discount, Inside
from bilevelrl.core.problem import Constants, ProblemBlock, TrainingBlock
from bilevelrl.core.settings import (
    AscentSetting,
    BatchSetting,
    Component,
    Setting,
    Share,
    WatchingBelief,
)
from bilevelrl.core.validation import Choices, ConfigError, Count, Positive, Whole
from bilevelrl.models.deep.settings import SacFollower, SacParams
from bilevelrl.problems.guided_cartpole.planning.grid import GridParams

#: Of hidden layers.
Units = Annotated[tuple[Count, ...], Field(min_length=1, strict=False)]


class GuidedCartPoleParams(Constants):
    """Constants, see `problems.guided_cartpole.problem.GuidedCartPole`, which checks them."""

    gravity: Positive
    cart_mass: Positive
    pole_mass: Positive
    half_length: Positive
    push: Positive
    wind: Positive
    time_step: Positive
    limit: Positive
    angle_limit: Positive
    goal: Annotated[tuple[float, float], Field(strict=False)]
    initial_spread: Positive
    leader_discount: Discount
    follower_discount: Discount


class CriticParams(Component):
    """The leader's value function: a regression on random features.

    Attributes:
        features: how many.
        ridge: relative penalty of the regression.
        forgetting_factor: weight of all earlier batches against the newest.
    """

    kind: Literal["random_features"]
    features: Count
    ridge: Positive
    forgetting_factor: Share


class BeliefParams(WatchingBelief):
    """What the leader believes of its follower's policy and value: regressions, likewise.

    Attributes:
        features: random features of the policy.
        ridge: relative penalty of the value.
        policy_ridge: and of the policy.
        forgetting_factor: weight of all earlier batches against the newest.
    """

    kind: Literal["random_features"]
    information: Literal["rewards"]
    features: Count
    ridge: Positive
    policy_ridge: Positive
    forgetting_factor: Share


class IdentifiedParams(WatchingBelief):
    """A model that the leader identifies from what it sees, and plans in."""

    kind: Literal["identified"]
    information: Literal["rewards"]

    @property
    def conditions(self) -> dict[str, Any]:
        """What the leader sees, and that it plans."""
        return super().conditions | {"model": "identified"}


class TrustingParams(IdentifiedParams):
    """The same, of a leader that reckons with its follower's response.

    Attributes:
        most_surprise: see `planning_leader.PlanningLeader`.
    """

    most_surprise: Positive


class ReferenceGrid(GridParams):
    """Nodes of the ground truth."""

    kind: Literal["grid"]


class PlannedCritic(GridParams):
    """Values in the model that the leader identified, and the grid that it plans on."""

    kind: Literal["planned"]


class GuidedCartPoleLeaders(TrainingBlock):
    """What all cells share and an entry may override; see `GuidedCartPoleSetting`."""

    temperature: Positive
    step_size: Positive
    max_gradient_norm: Positive
    winds: Choices[float]
    units: Units
    evaluation_episodes: Count
    reference: ReferenceGrid
    exact_interval: Count
    follower: SacFollower
    env_steps_per_update: Count
    critic: CriticParams
    belief: BeliefParams


class GuidedCartPoleSetting(AscentSetting):
    """Settings of the guided cart-pole.

    Attributes:
        winds: that the leader chooses from, in [-1, 1].
        units: of the leader's hidden layers.
        evaluation_episodes: simulated for every J, with the same random numbers.
        reference: what the ground truth is computed on.
        exact_interval: updates from one ground truth to the next.
        follower: balances the pole; transitions of an answer are a multiple of its environments.
    """

    winds: Choices[float]
    units: Units
    evaluation_episodes: Count
    reference: ReferenceGrid
    exact_interval: Count
    follower: SacFollower

    @model_validator(mode="after")
    def _winds_are_a_choice(self) -> "GuidedCartPoleSetting":
        if len(self.winds) < 2 or any(abs(wind) > 1.0 for wind in self.winds):
            raise ValueError(f"winds must be at least two numbers in [-1, 1], got {self.winds}")
        return self

    def conditions(self, shared: dict[str, Any]) -> dict[str, Any]:
        """What every setting says, and the study: "main" if it is no other."""
        # There is no exact follower to compare with, so that followers that learn are no study.
        return {"study": "main"} | super().conditions(shared) | {"information": "rewards"}


class CartPoleLearningSetting(GuidedCartPoleSetting, BatchSetting):
    """Of leaders that learn; a pole that falls leaves the rest of its episode unused.

    Attributes:
        max_gradient_norm: clip of the gradient before Adam.
        critic: of the leader.
        belief: about its follower.
    """

    max_gradient_norm: Positive
    critic: Annotated[CriticParams | PlannedCritic, Field(discriminator="kind")]
    belief: Annotated[BeliefParams | IdentifiedParams, Field(discriminator="kind")]

    @model_validator(mode="after")
    def _plans_in_a_model(self) -> "CartPoleLearningSetting":
        if (self.critic.kind == "planned") != (self.belief.kind == "identified"):
            raise ValueError(
                f"critic.kind = {self.critic.kind} does not go with belief.kind = "
                f"{self.belief.kind}: a leader plans both or neither"
            )
        return self


class SplitHalfParams(Component):
    """How far a sampled indirect term is trusted, see `core.split_half`.

    Attributes:
        longest: see `SplitHalf`.
    """

    kind: Literal["split_half"]
    longest: Inside


class CartPoleBcHgSetting(CartPoleLearningSetting):
    """Of BC-HG.

    Attributes:
        shrinkage: of a sampled indirect term; None shrinks nothing.
    """

    belief: Annotated[BeliefParams | TrustingParams, Field(discriminator="kind")]
    shrinkage: SplitHalfParams | None = None

    @model_validator(mode="after")
    def _shrinks_what_is_sampled(self) -> "CartPoleBcHgSetting":
        if self.shrinkage is not None and self.belief.kind == "identified":
            raise ValueError(
                f"shrinkage.kind = {self.shrinkage.kind} does not go with belief.kind = "
                "identified, whose indirect term is not sampled: allowed is None"
            )
        return self


ESTIMATORS: Estimators = {
    ("bc_hg", "improved"): Registered(CartPoleBcHgSetting, "cell:bc_hg"),
    ("naive", "improved"): Registered(CartPoleLearningSetting, "cell:naive"),
    ("random", "improved"): Registered(GuidedCartPoleSetting, "cell:idle"),
}


class CartPoleGradientParams(StudyParams):
    """The estimator-error study: along one exact ascent of the direct term.

    Attributes:
        updates: of that ascent, at which estimators are compared.
        step_size: Adam's.
        budgets: transitions of an estimate.
        planner: grid of the leaders that plan.
        reference: grid of the exact hypergradient.
    """

    updates: Choices[Whole]
    step_size: Positive
    budgets: Choices[Count]
    planner: PlannedCritic
    reference: ReferenceGrid

    def whole_episodes(self) -> list[tuple[str, int]]:
        """All budgets."""
        return [("budgets", each) for each in self.budgets]


class GuidedCartPoleBlock(ProblemBlock):
    """See `ProblemBlock`: nobody has searched for the best J, and no follower is compared."""

    estimators = ESTIMATORS

    constants: GuidedCartPoleParams
    search: SearchBlock
    training: GuidedCartPoleLeaders
    learner: SacParams
    learning: None
    gradients: CartPoleGradientParams

    def check(self, setting: Setting, where: str) -> None:
        """Batches are whole episodes; all environments of a follower take equally many steps."""
        super().check(setting, where)
        steps, horizon = (
            getattr(setting, "env_steps_per_update", 0),
            self.constants.max_episode_steps,
        )
        if getattr(setting, "shrinkage", None) and steps < 2 * horizon:
            raise ConfigError(
                f"{where}: env_steps_per_update = {steps} does not go with shrinkage.kind = "
                f"split_half: at least two episodes, {2 * horizon}, are needed"
            )
        follower: SacFollower = getattr(setting, "follower", self.training.follower)
        for key in ("first_steps", "steps"):
            steps = getattr(follower, key) or 0
            if steps % self.learner.n_envs:
                raise ConfigError(
                    f"{where}: follower.{key} = {steps} must be a multiple of learner.n_envs = "
                    f"{self.learner.n_envs}"
                )


BLOCK = GuidedCartPoleBlock
