"""Which estimators are compared with the exact hypergradient in FourRooms, and where."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.ascent import GradientAscent
from bilevelrl.core.batches import Batch, TabularObservations
from bilevelrl.core.ladder import Level, Rung
from bilevelrl.core.model_based import exact
from bilevelrl.core.problem import Problem
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.seeding import Streams, stream
from bilevelrl.core.training import ascend
from bilevelrl.models.tabular.boltzmann_covariance import BoltzmannCovariance
from bilevelrl.models.tabular.critic import ExactCritic
from bilevelrl.models.tabular.game import TabularGame
from bilevelrl.models.tabular.monte_carlo import monte_carlo
from bilevelrl.models.tabular.watched_covariance import WatchedCovariance
from bilevelrl.problems.four_rooms.cell import FourRoomsGroup, make_group
from bilevelrl.problems.four_rooms.problem import FourRooms
from bilevelrl.problems.four_rooms.settings import FourRoomsBlock, FourRoomsSetting

#: Replicates of a worker's batch.
TOGETHER = 1000


@dataclass(frozen=True)
class Returns:
    """Implements `models.tabular.critic.Critic`: the mean return after (s, a) in the newest batch.

    Attributes:
        discount: γ_L.
    """

    discount: float

    def start(self, shape: tuple[int, int], streams: Streams) -> Floats:
        """Zeros, shape (R, S, A)."""
        return np.zeros((len(streams.seeds), *shape))

    def update(
        self, table: Floats, batch: Batch, reward: Floats, policy: Floats, streams: Streams
    ) -> None:
        """Average; changes `table` in place."""
        del policy, streams
        table[:] = monte_carlo(batch, reward, self.discount).action_value


def _exact_critic(estimator: BoltzmannCovariance, game: TabularGame) -> BoltzmannCovariance:
    return replace(estimator, critic=ExactCritic(game.problem.planner))


def _returns(
    estimator: BoltzmannCovariance | Sampled[TabularObservations], game: TabularGame
) -> BoltzmannCovariance | Sampled[TabularObservations]:
    assert isinstance(game.problem, FourRooms)
    critic = Returns(game.problem.discount)
    if isinstance(estimator, BoltzmannCovariance):
        return replace(estimator, critic=critic)
    assert isinstance(estimator.learner, WatchedCovariance)
    return replace(estimator, learner=replace(estimator.learner, critic=critic))


LADDER = (
    Rung("bc_hg", "published", "learned", warm_up=None),
    Rung("bc_hg", "corrected", "learned", warm_up=None),
    Rung("bc_hg", "corrected", "exact", "exact critic", change=_exact_critic),
    Rung("hpgd_sa", "published", "learned", warm_up=None),
    Rung("hpgd_mc", "published", "none"),
    Rung("hpgd_oracle", "published", "none"),
    Rung("sobirl", "published", "none"),
    Rung("naive", "published", "none"),
    Rung("naive", "corrected", "none"),
    *(
        Rung("perturbed", "corrected", "none", note, {"epsilon": 0.003, "two_sided": two_sided})
        for note, two_sided in (("two-sided", True), ("one-sided", False))
    ),
    Rung("zero_order", "published", "none", samples=False),
    Rung("amd", "published", "none", "100 sweeps", entry={"sweeps": 100}, samples=False),
    *(
        Rung("unrolled", "corrected", "none", f"K = {sweeps}",
             {"sweeps": sweeps, "start": "answer"}, samples=False)
        for sweeps in (1, 10, 30, 100)
    ),
)  # fmt: skip
_BELIEFS = (
    None,
    *({"kind": "frequencies", "information": seen} for seen in ("rewards", "actions")),
)
LEVELS = (
    *(Level(belief, critic="returns", change=_returns) for belief in _BELIEFS),
    *(Level(belief) for belief in _BELIEFS),
)
#: Hyper-parameters of the study of `LEVELS`: a batch cuts one episode only.
INFORMATION = {"variant": "corrected", "num_envs": 1}


def shared(problem: Problem[FourRoomsBlock], budget: int) -> dict[str, object]:
    """Hyper-parameters of all rungs, as far as they have them."""
    study = problem.block.gradients
    return {
        "initial_spread": 1.0,
        "num_envs": study.budgets.get(budget),
        "critic": {"kind": "sarsa", "step_size": study.critic_step_size},
        "oracle_steps_per_update": study.oracle_steps_per_update,
        "radius": study.radius,
    }


def group(
    problem: Problem[FourRoomsBlock], settings: Sequence[FourRoomsSetting]
) -> FourRoomsGroup[FourRoomsSetting]:
    """Replicates that are computed together."""
    return make_group(settings, problem.block.constants, problem.followers)


def points(problem: Problem[FourRoomsBlock], best_theta: Floats) -> dict[str, Floats]:
    """θ at which to compare estimators: generic, along an exact trajectory, on the way to the best.

    `best_fraction` of the best known θ is where most of the hypergradient is indirect.
    """
    study = problem.block.gradients
    num_updates = max(study.trajectory_updates, default=0) + 1
    setting = FourRoomsSetting(
        variant="published",
        temperature=study.temperature,
        first_seed=study.trajectory_seed,
        num_seeds=1,
        num_updates=num_updates,
        initial_spread=study.trajectory_spread,
    )
    own, seed = group(problem, [setting]), study.trajectory_seed
    size = own.problem.num_parameters
    found = {
        "near zero": 0.01 * stream(seed, "initial_parameters").standard_normal(size),
        "sine": np.sin(np.arange(size, dtype=np.float64)),
    }
    rule, streams = GradientAscent(np.array([0.5]), 1.0), Streams([seed])
    for step in ascend(own.game, exact(own), streams, rule=rule, num_updates=num_updates):
        if step.update in study.trajectory_updates:
            found[f"exact ascent, update {step.update}"] = step.theta[0]
    found[f"{study.best_fraction:g} of the best known"] = study.best_fraction * best_theta
    return found


def information_point(problem: Problem[FourRoomsBlock], best_theta: Floats) -> tuple[str, Floats]:
    """Name and θ, shape (D,), at which the study of `LEVELS` estimates."""
    point = problem.block.gradients.information.point
    return f"{point:g} of the best known", point * best_theta
