"""FourRooms: from settings to the estimator, critic and follower that a name stands for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.ascent import AscentRule, Chosen, GradientAscent
from bilevelrl.core.blocks import FollowerParams
from bilevelrl.core.cell import Context, Group, Training, believed_temperature, per_run
from bilevelrl.core.estimator import Estimator
from bilevelrl.core.finite_settings import SoftQParams, TruncatedFollower
from bilevelrl.core.follower import BestResponse, Follower
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.settings import ExactFollower
from bilevelrl.core.soft_q_rule import SoftQOptions
from bilevelrl.models.tabular.belief import TabularBelief
from bilevelrl.models.tabular.boltzmann_covariance import BoltzmannCovariance
from bilevelrl.models.tabular.game import TabularGame, TabularSampler
from bilevelrl.models.tabular.hpgd import HPGD
from bilevelrl.models.tabular.naive import Naive
from bilevelrl.models.tabular.on_policy import OnPolicy
from bilevelrl.models.tabular.perturbed import PerturbedAgent, SampledWatch
from bilevelrl.models.tabular.rollout import Rollout
from bilevelrl.models.tabular.sarsa import Sarsa
from bilevelrl.models.tabular.sobirl import SoBiRL
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration
from bilevelrl.models.tabular.soft_q_learning import SoftQLearning
from bilevelrl.models.tabular.truncated import Truncated
from bilevelrl.models.tabular.unrolled import UnrolledAgent
from bilevelrl.models.tabular.watched_covariance import WatchedCovariance
from bilevelrl.problems.four_rooms.problem import FourRooms
from bilevelrl.problems.four_rooms.settings import (
    CovarianceSetting,
    FourRoomsAscentSetting,
    FourRoomsBatchSetting,
    FourRoomsCriticSetting,
    FourRoomsLeaders,
    FourRoomsParams,
    FourRoomsPerturbedSetting,
    FourRoomsSetting,
    FourRoomsUnrolledSetting,
    OracleSetting,
)

Own_co = TypeVar("Own_co", bound=FourRoomsSetting, covariant=True)


@dataclass(frozen=True, eq=False)
class FourRoomsGroup(Group[Own_co, TabularGame]):
    """Runs that train together.

    Attributes:
        problem: shared by all.
    """

    problem: FourRooms


def rollout(g: FourRoomsGroup[FourRoomsBatchSetting]) -> Rollout:
    """How the batches of an estimator are drawn."""
    num_envs = g.shared.num_envs
    steps = g.shared.env_steps_per_update // num_envs
    return Rollout(g.problem.simulator, num_envs, steps, g.problem.max_episode_steps)


def _sampling(g: FourRoomsGroup[FourRoomsBatchSetting]) -> OnPolicy:
    """Batches, averaged as the variant averages them."""
    plain = OnPolicy(g.problem, rollout(g), g.problem.discount)
    if g.shared.variant != "published":
        return plain
    return replace(plain, averaging="every_visit", normalisation="finished_episodes")


def _sarsa(g: FourRoomsGroup[FourRoomsCriticSetting]) -> Sarsa:
    published = g.shared.variant == "published"
    return Sarsa(
        per_run(g.settings, "critic.step_size"),
        g.problem.discount,
        initial_spread=1.0 if published else 0.0,
        cuts="termination" if published else "bootstrap",
    )


def covariance(g: FourRoomsGroup[CovarianceSetting]) -> Estimator[BestResponse]:
    """BC-HG, of a leader that watches its follower if it has a belief."""
    belief = g.shared.belief
    if belief is None:
        return bc_hg(g)
    problem, shape = g.problem, (g.problem.planner.num_states, g.problem.planner.num_actions)
    return Sampled(
        TabularSampler(problem, rollout(g), belief.information),
        WatchedCovariance(
            problem.influence, shape, _sarsa(g), believed_temperature(g.settings), problem.discount
        ),
        TabularBelief(shape, belief.forgetting_factor, belief.smoothing),
    )


def bc_hg(g: FourRoomsGroup[FourRoomsCriticSetting]) -> BoltzmannCovariance:
    """BC-HG of a leader that reads its follower."""
    return BoltzmannCovariance(_sampling(g), _sarsa(g), g.temperature)


def hpgd_mc(g: FourRoomsGroup[FourRoomsBatchSetting]) -> HPGD:
    """HPGD with sampled returns."""
    return HPGD(_sampling(g), g.temperature)


def hpgd_sa(g: FourRoomsGroup[FourRoomsCriticSetting]) -> HPGD:
    """HPGD with a learned critic."""
    return HPGD(_sampling(g), g.temperature, critic=_sarsa(g))


def hpgd_oracle(g: FourRoomsGroup[OracleSetting]) -> HPGD:
    """HPGD with batches from uniformly drawn states."""
    steps = g.shared.oracle_steps_per_update // g.shared.num_envs
    oracle = replace(rollout(g), num_steps=steps, consumer="oracle", uniform_starts=True)
    return HPGD(_sampling(g), g.temperature, oracle=oracle)


def sobirl(g: FourRoomsGroup[FourRoomsBatchSetting]) -> SoBiRL:
    """SoBiRL."""
    return SoBiRL(_sampling(g), g.temperature)


def naive(g: FourRoomsGroup[FourRoomsBatchSetting]) -> Naive:
    """The direct part alone."""
    return Naive(_sampling(g))


def perturbed(g: FourRoomsGroup[FourRoomsPerturbedSetting]) -> PerturbedAgent:
    """The perturbed follower, each of whose answers is watched for half of the transitions."""
    sampling, shared = _sampling(g), g.shared
    half = replace(sampling.rollout, num_steps=sampling.rollout.num_steps // 2)
    watch = SampledWatch(replace(sampling, rollout=half))
    return PerturbedAgent(watch, g.game.follower, per_run(g.settings, "epsilon"), shared.two_sided)


def unrolled(g: FourRoomsGroup[FourRoomsUnrolledSetting]) -> UnrolledAgent:
    """The unrolled follower."""
    sweeps = per_run(g.settings, "sweeps").astype(np.int64)
    return UnrolledAgent(g.problem, g.temperature, sweeps, g.shared.start)


def make_four_rooms(constants: FourRoomsParams, variant: str) -> FourRooms:
    """FourRooms with the slip kernels of the variant."""
    return FourRooms(
        **constants.model_dump(),
        slip_kernels="published" if variant == "published" else "corrected",
    )


def exact_follower(
    problem: FourRooms, temperature: Floats, followers: FollowerParams[SoftQParams]
) -> SoftPolicyIteration:
    """The best response of runs with these temperatures (R,), solved as accurately as told."""
    accuracy = followers.tolerance, followers.max_iterations
    return SoftPolicyIteration(problem.planner, temperature, *accuracy)


def best_policy(
    problem: FourRooms, theta: Floats, temperature: float, followers: FollowerParams[SoftQParams]
) -> Floats:
    """The best response to one θ, shape (D,), as a policy, shape (S, A)."""
    follower = exact_follower(problem, np.array([temperature]), followers)
    reward = problem.follower_reward(theta[None])
    policy: Floats = follower.respond(reward, np.zeros((1, problem.num_states))).policy[0]
    return policy


def make_group(
    settings: Sequence[FourRoomsSetting],
    constants: FourRoomsParams,
    followers: FollowerParams[SoftQParams],
) -> FourRoomsGroup[FourRoomsSetting]:
    """Build problem and followers for runs with equal `group_key`."""
    problem = make_four_rooms(constants, settings[0].variant)
    own, temperature = settings[0].follower, per_run(settings, "temperature")
    exact = exact_follower(problem, temperature, followers)
    follower: Follower = exact
    if isinstance(own, TruncatedFollower):
        iterations = per_run(settings, "follower.policy_iterations").astype(np.int64)
        follower = Truncated(problem.planner, temperature, iterations, followers.sweeps, own.start)
    elif not isinstance(own, ExactFollower):
        follower = SoftQLearning(
            problem.simulator,
            temperature,
            own.first_steps or own.steps,
            own.steps,
            problem.max_episode_steps,
            SoftQOptions(**followers.learner.model_dump()),
            own.start,
        )
    game = TabularGame(problem, follower, exact, per_run(settings, "initial_spread"))
    return FourRoomsGroup(settings, game, problem)


def ascent_rule(settings: Sequence[FourRoomsSetting], max_norm: float) -> AscentRule:
    """Steps along estimates, which are clipped at `max_norm`, of leaders that take any."""
    if not isinstance(settings[0], FourRoomsAscentSetting):
        return Chosen()
    return GradientAscent(per_run(settings, "step_size"), max_norm)


def build(
    make: Callable[[FourRoomsGroup[Any]], Estimator[BestResponse]],
    settings: Sequence[FourRoomsSetting],
    context: Context[FourRoomsParams, SoftQParams, FourRoomsLeaders],
) -> Training[BestResponse]:
    """All that the training loop needs for runs that can share a batch."""
    group = make_group(settings, context.constants, context.followers)
    rule = ascent_rule(settings, context.training.max_gradient_norm)
    return Training(group.game, make(group), rule)
