"""What params.yaml says of the estimators of finite games."""

from typing import Annotated, Literal

from bilevelrl.core.entries import Estimators, Registered
from bilevelrl.core.finite_settings import (
    FrequencyBelief,
    TabularFollowerSetting,
    UnrolledSetting,
)
from bilevelrl.core.games import (
    CorrectedGameSetting,
    GameSetting,
    ReleasedGameSetting,
    ZeroOrderGameSetting,
)
from bilevelrl.core.settings import PER_RUN, BatchSetting, ExactFollower
from bilevelrl.core.validation import Count, Positive


class FiniteGameSetting(GameSetting, TabularFollowerSetting):
    """Settings of a finite game."""


class FiniteReleasedSetting(ReleasedGameSetting, FiniteGameSetting):
    """Of Naive-PGD and Bi-AC."""


class FiniteCovarianceSetting(FiniteReleasedSetting):
    """Of the published BC-HG.

    Attributes:
        follower_samples: draws that estimate E_b[Q_L].
    """

    follower_samples: Count


class GameBelief(FrequencyBelief):
    """The follower's policy as counted, and its value from its rewards."""

    information: Literal["rewards"]


class FiniteCorrectedSetting(CorrectedGameSetting, FiniteGameSetting):
    """Of the corrected BC-HG, which may only watch its follower.

    Attributes:
        belief: None reads the follower.
    """

    belief: GameBelief | None = None


class FinitePerturbedSetting(FiniteGameSetting, BatchSetting):
    """Of the perturbed follower, whose two answers share the episodes equally.

    Attributes:
        follower: an exact one, because what it answers depends on the step.
        epsilon: ε, the share of the leader's rewards that the follower is paid.
        two_sided: whether it is also charged that share; else its second answer is without pay.
    """

    follower: ExactFollower = ExactFollower()
    epsilon: Annotated[Positive, PER_RUN]
    two_sided: bool


class FiniteUnrolledSetting(FiniteGameSetting, UnrolledSetting):
    """Of the unrolled follower."""


class FiniteZeroOrderSetting(ZeroOrderGameSetting, FiniteGameSetting):
    """Of the zero-order estimator."""


_HERE = "models.finite_game.estimators"
ESTIMATORS: Estimators = {
    ("bc_hg", "published"): Registered(FiniteCovarianceSetting, f"{_HERE}:released_covariance"),
    ("bc_hg", "corrected"): Registered(FiniteCorrectedSetting, f"{_HERE}:bc_hg"),
    ("naive_on", "published"): Registered(FiniteReleasedSetting, f"{_HERE}:naive_on"),
    ("naive_off", "published"): Registered(FiniteReleasedSetting, f"{_HERE}:naive_off"),
    ("bi_ac_on", "published"): Registered(FiniteReleasedSetting, f"{_HERE}:bi_ac_on"),
    ("bi_ac_off", "published"): Registered(FiniteReleasedSetting, f"{_HERE}:bi_ac_off"),
    ("perturbed", "corrected"): Registered(FinitePerturbedSetting, f"{_HERE}:perturbed"),
    ("unrolled", "corrected"): Registered(FiniteUnrolledSetting, f"{_HERE}:unrolled"),
    ("zero_order", "published"): Registered(FiniteZeroOrderSetting, "core.model_based:zero_order"),
    ("zero_order", "corrected"): Registered(FiniteZeroOrderSetting, "core.model_based:zero_order"),
    ("exact", "published"): Registered(FiniteGameSetting, "core.model_based:exact"),
    ("exact", "corrected"): Registered(FiniteGameSetting, "core.model_based:exact"),
}
