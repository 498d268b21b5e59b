"""What params.yaml says of BilevelLQR: constants, search, studies, settings."""

from bilevelrl.core.blocks import LearningParams, StudyParams
from bilevelrl.core.families import (
    CLIP,
    CORRECTED,
    DECAY,
    LEARNER_KEYS,
    NETWORK,
    SAMPLED,
    WATCHING_KEYS,
    Family,
    Keys,
    table,
)
from bilevelrl.core.games import AscentParams, Discount, GameLeaders, Matrix, Vector
from bilevelrl.core.problem import Constants, ProblemBlock
from bilevelrl.core.settings import GameSetting
from bilevelrl.core.validation import Choices, Count, Positive
from bilevelrl.models.deep.settings import SacParams


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


class LinearGradientParams(StudyParams[Vector]):
    """The estimator-error study of BilevelLQR: at which gains, from how many transitions."""

    points: Choices[Vector]
    budgets: Choices[Count]

    def whole_episodes(self) -> list[tuple[str, int]]:
        """All budgets."""
        return [("budgets", budget) for budget in self.budgets]


_LINEAR = NETWORK | SAMPLED | {"leader_samples"}
FAMILY = Family(
    GameSetting,
    frozenset(
        {
            "variant", "temperature", "step_size", "first_seed", "num_seeds", "num_updates",
            "returns", "study", "leader_noise", "initial_spread",
        }
    ),
    table(
        {
            ("bc_hg", "published"): Keys(_LINEAR | {"follower_samples"}, CLIP),
            ("naive_on", "published"): Keys(_LINEAR, CLIP),
            ("naive_off", "published"): Keys(_LINEAR, CLIP),
            ("bc_hg", "corrected"): CORRECTED,
            ("bc_hg", "improved"): Keys(
                SAMPLED, DECAY | WATCHING_KEYS | LEARNER_KEYS | {"belief"}
            ),
            ("zero_order", "published"): Keys(frozenset({"radius"})),
            ("exact", "published"): Keys(frozenset(), DECAY),
            ("exact", "improved"): Keys(frozenset(), DECAY),
        }
    ),
)  # fmt: skip


class BilevelLQRBlock(ProblemBlock):
    """See `ProblemBlock`."""

    family = FAMILY

    constants: BilevelLQRParams
    search: AscentParams
    learner: SacParams
    learning: LearningParams
    training: BilevelLQRLeaders
    gradients: LinearGradientParams

    @property
    def reported_return(self) -> str:
        """Which J is reported."""
        return self.training.returns


BLOCK = BilevelLQRBlock
