"""FourRooms: from settings to the estimator, critic and follower that a name stands for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.ascent import GradientAscent
from bilevelrl.core.blocks import FollowerParams
from bilevelrl.core.cell import Context, Training, believed_temperature, per_run
from bilevelrl.core.estimator import Estimator
from bilevelrl.core.exact import Exact
from bilevelrl.core.follower import BestResponse, Follower
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.trace import Normalisation
from bilevelrl.core.zero_order import ZeroOrder
from bilevelrl.models.tabular.belief import TabularBelief
from bilevelrl.models.tabular.boltzmann_covariance import BoltzmannCovariance
from bilevelrl.models.tabular.game import TabularGame, TabularWorld
from bilevelrl.models.tabular.hpgd import HPGD
from bilevelrl.models.tabular.naive import Averaging, Naive
from bilevelrl.models.tabular.rollout import Rollout
from bilevelrl.models.tabular.sarsa import Sarsa
from bilevelrl.models.tabular.settings import SoftQParams
from bilevelrl.models.tabular.sobirl import SoBiRL
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration
from bilevelrl.models.tabular.soft_q_learning import SoftQLearning, SoftQOptions
from bilevelrl.models.tabular.truncated import Truncated
from bilevelrl.models.tabular.watched_covariance import WatchedCovariance
from bilevelrl.problems.four_rooms.problem import FourRooms
from bilevelrl.problems.four_rooms.settings import (
    FourRoomsLeaders,
    FourRoomsParams,
    FourRoomsSetting,
)

Floats = NDArray[np.float64]


class Quirks(TypedDict):
    """How batches are averaged, see `naive.direct_term` and `trace.episode_weight`."""

    averaging: Averaging
    normalisation: Normalisation


PUBLISHED: Quirks = {"averaging": "every_visit", "normalisation": "finished_episodes"}
CORRECTED: Quirks = {"averaging": "episodes", "normalisation": "started_episodes"}


@dataclass(frozen=True, eq=False)
class Group:
    """Runs that train together: their settings agree in everything that fixes array shapes.

    Attributes:
        settings: one per run.
        problem: shared by all.
        game: the problem with the followers of the runs.
    """

    settings: Sequence[FourRoomsSetting]
    problem: FourRooms
    game: TabularGame

    @property
    def shared(self) -> FourRoomsSetting:
        """A setting to read what all runs share from."""
        return self.settings[0]

    @property
    def quirks(self) -> Quirks:
        """Averaging options of the runs' variant."""
        return PUBLISHED if self.shared.variant == "published" else CORRECTED

    @property
    def temperature(self) -> Floats:
        """β of each run, shape (R,)."""
        return per_run(self.settings, "temperature")

    def rollout(self) -> Rollout:
        """On-policy batches."""
        budget, num_envs = self.shared.env_steps_per_update, self.shared.num_envs
        assert budget is not None  # checked by config, like the next
        assert num_envs is not None
        return Rollout(
            self.problem.simulator, num_envs, budget // num_envs, self.problem.max_episode_steps
        )

    def oracle(self) -> Rollout:
        """Batches from uniformly drawn states, of HPGD (oracle)."""
        budget, num_envs = self.shared.oracle_steps_per_update, self.shared.num_envs
        assert budget is not None  # checked by config, like the next
        assert num_envs is not None
        return Rollout(
            self.problem.simulator,
            num_envs,
            budget // num_envs,
            self.problem.max_episode_steps,
            consumer="oracle",
            uniform_starts=True,
        )

    def sarsa(self) -> Sarsa:
        """The leader's critic."""
        published = self.shared.variant == "published"
        return Sarsa(
            per_run(self.settings, "critic_step_size"),
            self.problem.discount,
            initial_spread=1.0 if published else 0.0,
            cuts="termination" if published else "bootstrap",
        )


def _bc_hg(g: Group) -> Estimator[BestResponse]:
    information = g.shared.information
    if information != "full":
        problem, shape = g.problem, (g.problem.planner.num_states, g.problem.planner.num_actions)
        return Sampled(
            TabularWorld(problem, g.rollout(), information),
            WatchedCovariance(
                problem.influence,
                shape,
                g.sarsa(),
                believed_temperature(g.settings),
                problem.discount,
            ),
            TabularBelief(shape, g.shared.forgetting or 0.0, g.shared.smoothing or 0.0),
        )
    return BoltzmannCovariance(
        g.problem, g.rollout(), g.sarsa(), g.temperature, g.problem.discount, **g.quirks
    )


def _hpgd_mc(g: Group) -> Estimator[BestResponse]:
    return HPGD(g.problem, g.rollout(), g.temperature, g.problem.discount, **g.quirks)


def _hpgd_sa(g: Group) -> Estimator[BestResponse]:
    return HPGD(
        g.problem, g.rollout(), g.temperature, g.problem.discount, critic=g.sarsa(), **g.quirks
    )


def _hpgd_oracle(g: Group) -> Estimator[BestResponse]:
    return HPGD(
        g.problem, g.rollout(), g.temperature, g.problem.discount, oracle=g.oracle(), **g.quirks
    )


def _sobirl(g: Group) -> Estimator[BestResponse]:
    return SoBiRL(g.problem, g.rollout(), g.temperature, g.problem.discount, **g.quirks)


def _naive(g: Group) -> Estimator[BestResponse]:
    return Naive(g.problem, g.rollout(), g.problem.discount, **g.quirks)


def _zero_order(g: Group) -> Estimator[BestResponse]:
    return ZeroOrder(g.game, per_run(g.settings, "radius"))


def _exact(g: Group) -> Estimator[BestResponse]:
    return Exact(g.game)


ESTIMATORS: Mapping[str, Callable[[Group], Estimator[BestResponse]]] = MappingProxyType(
    {
        "bc_hg": _bc_hg,
        "hpgd_mc": _hpgd_mc,
        "hpgd_sa": _hpgd_sa,
        "hpgd_oracle": _hpgd_oracle,
        "sobirl": _sobirl,
        "naive": _naive,
        "zero_order": _zero_order,
        "exact": _exact,
    }
)


def make_four_rooms(constants: FourRoomsParams, variant: str) -> FourRooms:
    """FourRooms with the slip kernels of the variant."""
    return FourRooms(
        **constants.model_dump(),
        slip_kernels="published" if variant == "published" else "corrected",
    )


def group_key(setting: FourRoomsSetting) -> tuple[object, ...]:
    """Runs with equal keys can share one batch."""
    return (
        setting.variant,
        setting.num_updates,
        setting.env_steps_per_update,
        setting.num_envs,
        setting.oracle_steps_per_update,
        setting.follower,
        setting.start,
        setting.information,
        setting.forgetting,
        setting.smoothing,
        setting.follower_steps,
        setting.first_follower_steps,
        setting.believed_temperature,
    )


def make_group(
    settings: Sequence[FourRoomsSetting],
    constants: FourRoomsParams,
    followers: FollowerParams[SoftQParams],
) -> Group:
    """Build problem and followers for runs with equal `group_key`."""
    problem = make_four_rooms(constants, settings[0].variant)
    temperature = per_run(settings, "temperature")
    exact = SoftPolicyIteration(
        problem.planner, temperature, followers.tolerance, followers.max_iterations
    )
    spread, other = per_run(settings, "initial_spread"), make_follower(problem, settings, followers)
    return Group(settings, problem, TabularGame(problem, other or exact, exact, spread))


def make_follower(
    problem: FourRooms, settings: Sequence[FourRoomsSetting], followers: FollowerParams[SoftQParams]
) -> Follower | None:
    """What the follower does during training; None stands for the exact best response."""
    shared, temperature = settings[0], per_run(settings, "temperature")
    if shared.follower == "exact":
        return None
    assert shared.start is not None  # checked by config, like follower_steps
    if shared.follower == "truncated":
        iterations = np.array([setting.policy_iterations for setting in settings], dtype=np.int64)
        return Truncated(problem.planner, temperature, iterations, followers.sweeps, shared.start)
    assert shared.follower_steps is not None
    return SoftQLearning(
        problem.simulator,
        temperature,
        shared.first_follower_steps or shared.follower_steps,
        shared.follower_steps,
        problem.max_episode_steps,
        SoftQOptions(**followers.learner.model_dump()),
        shared.start,
    )


def build(
    estimator: str,
    settings: Sequence[FourRoomsSetting],
    context: Context[FourRoomsParams, SoftQParams, FourRoomsLeaders],
) -> Training[BestResponse]:
    """All that the training loop needs for runs with equal `group_key`."""
    group = make_group(settings, context.constants, context.followers)
    rule = GradientAscent(per_run(settings, "step_size"), context.training.max_gradient_norm)
    return Training(group.game, ESTIMATORS[estimator](group), rule)
