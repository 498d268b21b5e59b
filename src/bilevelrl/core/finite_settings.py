"""What params.yaml says of followers and beliefs where states and actions are finitely many."""

from typing import Annotated, Literal

from pydantic import Field

from bilevelrl.core.settings import (
    PER_RUN,
    BoltzmannBelief,
    Component,
    ExactFollower,
    LearningFollower,
    Setting,
    Share,
)
from bilevelrl.core.validation import Block, Content, Count, Positive


class SoftQParams(Block):
    """Tabular soft Q-learning, see `core.soft_q_rule.SoftQOptions`."""

    exploration: Annotated[float, Field(ge=0.0, le=1.0)]
    settle: Positive
    exponent: Annotated[float, Field(gt=0.5, le=1.0)]
    smallest_step: Annotated[float, Field(ge=0.0, lt=1.0)]

    def for_good(self) -> "SoftQParams":
        """The rule without the step size that keeps up with a leader that moves."""
        return self.model_copy(update={"smallest_step": 0.0})


class TruncatedFollower(Component):
    """A follower that improves its policy a few times only, `policy_iterations` per answer.

    It starts as `core.settings.LearningFollower` does.
    """

    kind: Literal["truncated"]
    policy_iterations: Annotated[Count, PER_RUN]
    start: Literal["carry", "reset"]

    @property
    def conditions(self) -> Content:
        """Which follower, and how far it gets."""
        iterations = self.policy_iterations
        return {"follower": self.kind, "policy_iterations": iterations, "start": self.start}

    def cost(self, num_updates: int) -> int:
        """Effort of a run."""
        return num_updates * 100 * self.policy_iterations


class SoftQLearner(LearningFollower):
    """Soft Q-learning by the rule that the problem's `learner` says."""

    kind: Literal["soft_q"]


TabularFollower = Annotated[
    ExactFollower | TruncatedFollower | SoftQLearner, Field(discriminator="kind")
]


class TabularFollowerSetting(Setting):
    """Of estimators that get along with any tabular follower."""

    follower: TabularFollower = ExactFollower()


class UnrolledSetting(Setting):
    """Of estimators that differentiate the follower's sweeps.

    Attributes:
        sweeps: K.
        start: what the sweeps start from, the value of the follower's answer, or 0.
    """

    sweeps: Annotated[Count, PER_RUN]
    start: Literal["answer", "zero"]


class FrequencyBelief(BoltzmannBelief):
    """The follower's policy and the world as counted, see the `belief` modules of the models.

    Attributes:
        forgetting_factor: weight of all earlier batches against the newest.
        smoothing: share of uniform actions in the policy.
    """

    kind: Literal["frequencies"]
    forgetting_factor: Share = 0.0
    smoothing: Share = 0.0
