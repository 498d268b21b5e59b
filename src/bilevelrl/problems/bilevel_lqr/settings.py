"""What params.yaml says of BilevelLQR: constants, search, studies, settings."""

from typing import Annotated, Any, Literal

from pydantic import model_validator

from bilevelrl.core.blocks import LearningParams
from bilevelrl.core.entries import Estimators, Registered
from bilevelrl.core.games import (
    AscentParams,
    CorrectedGameSetting,
    Discount,
    GameBlock,
    GameLeaders,
    GameSetting,
    GameStudyParams,
    Matrix,
    ReleasedGameSetting,
    SampledGameSetting,
    Vector,
    ZeroOrderGameSetting,
)
from bilevelrl.core.problem import Constants
from bilevelrl.core.settings import PER_RUN, BatchSetting, BoltzmannBelief
from bilevelrl.core.validation import Count, Positive, UnitInterval
from bilevelrl.models.deep.settings import ComparedSacParams, SacFollowerSetting


class BilevelLQRParams(Constants):
    """Constants of BilevelLQR, see `problems.bilevel_lqr.problem.BilevelLQR`, which checks them."""

    state_matrix: Matrix
    follower_matrix: Matrix
    leader_matrix: Matrix
    state_cost: Matrix
    control_cost: Matrix
    target: Vector
    target_scale: Vector
    initial_state: Vector
    leader_reward_scale: Positive
    leader_discount: Discount
    follower_discount: Discount


class BilevelLQRLeaders(GameLeaders):
    """As of the discrete toy, and what continuous actions need."""

    leader_samples: Count
    leader_noise: Positive
    initial_spread: Positive


class LinearSetting(GameSetting):
    """Settings of BilevelLQR.

    Attributes:
        leader_noise: standard deviation of the leader's action.
        initial_spread: standard deviation of θ at the start.
    """

    leader_noise: Positive
    initial_spread: Annotated[Positive, PER_RUN]


class LinearReleasedSetting(ReleasedGameSetting, LinearSetting):
    """Of Naive-PGD.

    Attributes:
        leader_samples: draws that estimate the direct term's baseline.
        max_gradient_norm: clip before Adam; None clips nothing.
    """

    leader_samples: Count
    max_gradient_norm: Positive | None = None


class LinearCovarianceSetting(LinearReleasedSetting):
    """Of the published BC-HG.

    Attributes:
        follower_samples: draws that estimate E_u[Q_L].
    """

    follower_samples: Count


class LinearCorrectedSetting(CorrectedGameSetting, LinearSetting):
    """Of the corrected BC-HG."""


class LqrBeliefParams(BoltzmannBelief):
    """How a watching leader values its follower's policy, see the belief of the problem."""

    kind: Literal["evaluated", "planned"]
    information: Literal["rewards"]

    @property
    def conditions(self) -> dict[str, Any]:
        """What the leader sees, and how it learns from that."""
        return super().conditions | {"belief": self.kind}


class LinearImprovedSetting(SampledGameSetting, LinearSetting, SacFollowerSetting):
    """Of the improved BC-HG, which may only watch its follower.

    Attributes:
        step_size_ratio: what the step size falls to in the end, geometrically, as a share of the
            first one.
        belief: None reads the follower.
    """

    step_size_ratio: UnitInterval = 1.0
    belief: LqrBeliefParams | None = None

    @model_validator(mode="after")
    def _agents_see_theta(self) -> "LinearImprovedSetting":
        if self.follower.kind == "sac" and self.random_updates:
            raise ValueError(
                f"random_updates = {self.random_updates} does not go with follower.kind = sac: "
                "allowed is 0"
            )
        return self


class LinearExactSetting(LinearSetting):
    """Of exact ascent.

    Attributes:
        step_size_ratio: as of the sampled estimators.
    """

    step_size_ratio: UnitInterval = 1.0


class LinearPerturbedSetting(LinearSetting, BatchSetting):
    """Of the perturbed follower, whose two answers share the episodes equally.

    Attributes:
        epsilon: ε, the share of the leader's reward that the follower is paid at the start.
        two_sided: whether it is also charged that share; else its second answer is without pay.
    """

    epsilon: Annotated[Positive, PER_RUN]
    two_sided: bool


class LinearZeroOrderSetting(ZeroOrderGameSetting, LinearSetting):
    """Of the zero-order estimator."""


ESTIMATORS: Estimators = {
    ("bc_hg", "published"): Registered(LinearCovarianceSetting, "cell:released_covariance"),
    ("bc_hg", "corrected"): Registered(LinearCorrectedSetting, "cell:bc_hg_corrected"),
    ("bc_hg", "improved"): Registered(LinearImprovedSetting, "cell:bc_hg_improved"),
    ("naive_on", "published"): Registered(LinearReleasedSetting, "cell:naive_on"),
    ("naive_off", "published"): Registered(LinearReleasedSetting, "cell:naive_off"),
    ("perturbed", "corrected"): Registered(LinearPerturbedSetting, "cell:perturbed"),
    ("zero_order", "published"): Registered(LinearZeroOrderSetting, "core.model_based:zero_order"),
    ("exact", "published"): Registered(LinearExactSetting, "core.model_based:exact"),
    ("exact", "improved"): Registered(LinearExactSetting, "core.model_based:exact"),
}


class GainStudyParams(GameStudyParams[Vector]):
    """A point is the leader's gain."""


class BilevelLQRBlock(GameBlock):
    """See `ProblemBlock`."""

    estimators = ESTIMATORS

    constants: BilevelLQRParams
    search: AscentParams
    learner: ComparedSacParams
    learning: LearningParams
    training: BilevelLQRLeaders
    gradients: GainStudyParams


BLOCK = BilevelLQRBlock
