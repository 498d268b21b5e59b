"""Hyper-parameters of thermal control's estimators, with what their leaders believe."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from bilevelrl.core.settings import (
    PER_RUN,
    AscentSetting,
    BatchSetting,
    BoltzmannBelief,
    Component,
    Setting,
    Share,
)
from bilevelrl.core.validation import Count, NonNegative, Positive, UnitInterval
from bilevelrl.models.deep.settings import SacFollowerSetting


class ThermalSetting(Setting):
    """Settings of building thermal control.

    Attributes:
        initial_spread: standard deviation of θ at the start.
        max_gradient_norm: clip of the gradient, insulation and airflow apart.
    """

    initial_spread: Annotated[Positive, PER_RUN]
    max_gradient_norm: Positive


class ThermalBatchSetting(ThermalSetting, BatchSetting):
    """Of estimators that sample; transitions per update are whole episodes."""


class ThermalAscentSetting(ThermalSetting, AscentSetting):
    """Of leaders that step along their estimates."""


class ThermalSampledSetting(ThermalBatchSetting, ThermalAscentSetting):
    """Of leaders that step along estimates from samples."""


class QuadraticCriticParams(Component):
    """Least squares."""

    kind: Literal["quadratic"] = "quadratic"


class ReleasedCriticParams(Component):
    """The released code's.

    Attributes:
        steps: of Adam, per update of the leader, each from the start.
        step_size: of these.
    """

    kind: Literal["network"]
    steps: Count
    step_size: UnitInterval

    @property
    def conditions(self) -> dict[str, object]:
        """That it is the network."""
        return {"critic": self.kind}


class ThermalReleasedSetting(ThermalSampledSetting):
    """Of the released code's estimators.

    Attributes:
        max_score_norm: clip of every score in the direct part.
        critic: of the leader, and of the sensitivity in HPGD.
    """

    max_score_norm: Positive
    critic: Annotated[QuadraticCriticParams | ReleasedCriticParams, Field(discriminator="kind")] = (
        QuadraticCriticParams()
    )


class ThermalActionSetting(ThermalReleasedSetting):
    """Of those among them that need Q_L.

    Attributes:
        follower_samples: draws that estimate E_a[Q_L].
    """

    follower_samples: Count


class RegulatorBeliefParams(BoltzmannBelief):
    """The follower's mean action is linear in the state."""

    kind: Literal["linear"]
    information: Literal["rewards"]


class FeatureBeliefParams(BoltzmannBelief):
    """The follower's mean action is a regression on random features of the state.

    Attributes:
        features: how many.
        ridge: relative penalty of the regression.
    """

    kind: Literal["random_features"]
    information: Literal["rewards"]
    features: Count
    ridge: Positive

    @property
    def conditions(self) -> dict[str, object]:
        """What the leader sees, and how it learns from that."""
        return super().conditions | {"belief": self.kind}


class IdentifiedBuildingParams(BoltzmannBelief):
    """A building that the leader identifies from what it sees, and plans in.

    Attributes:
        worth: see `planning_leader.PlanningLeader`.
    """

    kind: Literal["identified"]
    information: Literal["rewards"]
    worth: NonNegative

    @property
    def conditions(self) -> dict[str, object]:
        """What the leader sees, and that it plans."""
        return super().conditions | {"model": self.kind}


class ThermalImprovedSetting(ThermalBatchSetting, SacFollowerSetting):
    """Of the improved BC-HG, which may only watch its follower.

    Attributes:
        sensitivity: "sampled" along the trajectory, or "expected" under the leader's model of its
            building.
        step_size: of a leader that steps along its estimates; one that plans has none.
        momentum: weight of an estimate against the next in the mean that θ follows; 0 follows the
            newest estimate.
        belief: None reads the follower.
    """

    sensitivity: Literal["sampled", "expected"]
    step_size: Annotated[Positive | None, PER_RUN] = None
    momentum: Annotated[Share, PER_RUN] = 0.0
    belief: (
        Annotated[
            RegulatorBeliefParams | FeatureBeliefParams | IdentifiedBuildingParams,
            Field(discriminator="kind"),
        ]
        | None
    ) = None

    @property
    def plans(self) -> bool:
        """Whether it chooses designs in a building that it identified."""
        return self.belief is not None and self.belief.kind == "identified"

    @model_validator(mode="after")
    def _steps_are_taken(self) -> "ThermalImprovedSetting":
        if self.plans and (self.step_size is not None or self.momentum):
            key = "momentum" if self.step_size is None else "step_size"
            raise ValueError(
                f"{key} = {getattr(self, key)} does not go with belief.kind = identified, which "
                "plans and takes no steps; leave it out"
            )
        if not self.plans and self.step_size is None:
            raise ValueError("step_size is missing; allowed is any number above 0")
        return self

    @model_validator(mode="after")
    def _information_is_enough(self) -> "ThermalImprovedSetting":
        if self.belief is None:
            return self
        if self.belief.kind == "identified" and self.sensitivity == "sampled":
            raise ValueError(
                "sensitivity = sampled does not go with belief.kind = identified, which has a "
                "model to take the expectation in; allowed is 'expected'"
            )
        if self.belief.kind != "identified" and self.sensitivity == "expected":
            raise ValueError(
                "sensitivity = expected does not go with a belief: it is an expectation under the "
                "follower's own solution; allowed is 'sampled'"
            )
        return self


class ThermalPerturbedSetting(ThermalSampledSetting):
    """Of the perturbed follower, whose two answers share the episodes equally.

    Attributes:
        epsilon: ε, the share of the leader's reward that the follower is paid.
        two_sided: whether it is also charged that share; else its second answer is without pay.
    """

    epsilon: Annotated[Positive, PER_RUN]
    two_sided: bool


class ThermalZeroOrderSetting(ThermalAscentSetting):
    """Of the zero-order estimator.

    Attributes:
        radius: half the distance of two evaluations of J.
    """

    radius: Annotated[Positive, PER_RUN]
