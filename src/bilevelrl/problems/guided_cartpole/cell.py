"""The guided cart-pole: from settings to leader, critic, followers and estimator."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.ascent import Adam
from bilevelrl.core.cell import Context, Group, Training, per_run
from bilevelrl.core.estimator import Estimator
from bilevelrl.core.random_features import RandomFeatures
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.score_function import ScoreFunction
from bilevelrl.core.split_half import SplitHalf
from bilevelrl.core.validation import refusing
from bilevelrl.models.deep.game import AgentResponse
from bilevelrl.models.deep.settings import SacParams
from bilevelrl.problems.guided_cartpole.belief import CartPoleBelief
from bilevelrl.problems.guided_cartpole.critic import ArrivalCritic
from bilevelrl.problems.guided_cartpole.game import CartPoleGame, CartPoleSampler
from bilevelrl.problems.guided_cartpole.identified import IdentifiedBelief
from bilevelrl.problems.guided_cartpole.leader import CartPoleLeader, Idle
from bilevelrl.problems.guided_cartpole.planning.grid import GridParams
from bilevelrl.problems.guided_cartpole.planning_leader import PlanningLeader
from bilevelrl.problems.guided_cartpole.policy import ModulePolicy
from bilevelrl.problems.guided_cartpole.problem import GuidedCartPole
from bilevelrl.problems.guided_cartpole.rollout import CartPoleBatch, CartPoleRollout
from bilevelrl.problems.guided_cartpole.settings import (
    BeliefParams,
    CartPoleBcHgSetting,
    CartPoleLearningSetting,
    CriticParams,
    GuidedCartPoleLeaders,
    GuidedCartPoleParams,
    GuidedCartPoleSetting,
    IdentifiedParams,
    PlannedCritic,
    TrustingParams,
)

Own_co = TypeVar("Own_co", bound=GuidedCartPoleSetting, covariant=True)
Runs = Group[Own_co, CartPoleGame]
#: Of random features: how fast they turn in the scaled state, then in the share of an episode that
#: is left, or in the wind.
_STATE = (2.0, 0.7, 0.7, 0.7)
_LEFT, _WIND = 1.0, 0.7


def make_problem(constants: GuidedCartPoleParams) -> GuidedCartPole:
    """The problem with the constants of params.yaml."""
    with refusing("params.yaml: problems.guided_cartpole.constants"):
        return GuidedCartPole(**constants.model_dump())


def make_rollout(
    constants: GuidedCartPoleParams, winds: Sequence[float], units: Sequence[int]
) -> CartPoleRollout:
    """The problem and a leader with hidden layers of so many `units`."""
    policy = ModulePolicy(len(_STATE), len(winds), units)
    return CartPoleRollout(make_problem(constants), policy, np.array(winds))


def build(
    make: Callable[[Runs[GuidedCartPoleSetting]], Estimator[AgentResponse]],
    settings: Sequence[GuidedCartPoleSetting],
    context: Context[GuidedCartPoleParams, SacParams, GuidedCartPoleLeaders],
) -> Training[AgentResponse]:
    """All that the training loop needs for runs that can share a batch."""
    shared = settings[0]
    game = CartPoleGame(
        make_rollout(context.constants, shared.winds, shared.units),
        per_run(settings, "temperature"),
        context.followers.learner,
        shared.follower,
        shared.evaluation_episodes,
        shared.reference,
    )
    rule = Adam(per_run(settings, "step_size"), getattr(shared, "max_gradient_norm", None))
    return Training(game, make(Group(settings, game)), rule, exact_interval=shared.exact_interval)


def idle(g: Runs[GuidedCartPoleSetting]) -> Estimator[AgentResponse]:
    """A leader that never moves."""
    del g
    return Idle()


def bc_hg(g: Runs[CartPoleBcHgSetting]) -> Estimator[AgentResponse]:
    """BC-HG, with what the leader learns about its follower."""
    belief = g.shared.belief
    if isinstance(belief, TrustingParams):
        return _planning(g, belief.most_surprise)
    own = _sampled(g, indirect=True)
    if g.shared.shrinkage is None:
        return own
    horizon = g.game.rollout.problem.max_episode_steps
    return SplitHalf(own, horizon, g.shared.shrinkage.longest)


def naive(g: Runs[CartPoleLearningSetting]) -> Sampled[CartPoleBatch]:
    """The direct part alone."""
    if isinstance(g.shared.belief, IdentifiedParams):
        return _planning(g, None)
    return _sampled(g, indirect=False)


def _planning(
    g: Runs[CartPoleLearningSetting], most_surprise: float | None
) -> Sampled[CartPoleBatch]:
    assert isinstance(g.shared.critic, PlannedCritic)
    return planning(_sampler(g), g.temperature, g.shared.critic, most_surprise)


def planning(
    sampler: CartPoleSampler, temperature: Floats, grid: GridParams, most_surprise: float | None
) -> Sampled[CartPoleBatch]:
    """A leader that plans on a grid; see `PlanningLeader`."""
    rollout = sampler.rollout
    problem, horizon = rollout.problem, rollout.problem.max_episode_steps
    discounts = problem.leader_discount, problem.follower_discount
    learner = PlanningLeader(
        rollout.policy, rollout.winds, temperature, discounts, horizon, grid, most_surprise
    )
    return Sampled(sampler, learner, IdentifiedBelief(rollout.winds, horizon))


def _sampler(g: Runs[CartPoleLearningSetting]) -> CartPoleSampler:
    rollout = g.game.rollout
    episodes = g.shared.env_steps_per_update // rollout.problem.max_episode_steps
    return CartPoleSampler(rollout, episodes)


def _sampled(g: Runs[CartPoleLearningSetting], *, indirect: bool) -> Sampled[CartPoleBatch]:
    rollout, own, watching = g.game.rollout, g.shared.critic, g.shared.belief
    assert isinstance(own, CriticParams)
    assert isinstance(watching, BeliefParams)
    problem, horizon = rollout.problem, rollout.problem.max_episode_steps
    belief = CartPoleBelief(
        rollout.winds,
        g.temperature,
        problem.follower_discount,
        RandomFeatures((*_STATE, _WIND), watching.features),
        watching.forgetting_factor,
        watching.ridge,
        watching.policy_ridge,
    )
    critic = ArrivalCritic(
        RandomFeatures((*_STATE, _LEFT), own.features),
        horizon,
        problem.leader_discount,
        own.forgetting_factor,
        own.ridge,
    )
    leader = CartPoleLeader(rollout.policy, critic, expected=indirect)
    learner = ScoreFunction(
        leader,
        horizon,
        problem.leader_discount,
        problem.follower_discount,
        g.temperature if indirect else None,
        expectation=leader if indirect else None,
        return_discount=problem.leader_discount,
    )
    return Sampled(_sampler(g), learner, belief)
