"""The guided cart-pole: from settings to leader, critic, followers and estimator."""

from collections.abc import Sequence

import numpy as np

from bilevelrl.core.ascent import Adam
from bilevelrl.core.cell import Context, Training, per_run
from bilevelrl.core.random_features import RandomFeatures
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.score_function import ScoreFunction
from bilevelrl.core.validation import refusing
from bilevelrl.models.deep.agent import SacOptions
from bilevelrl.problems.guided_cartpole.belief import CartPoleBelief
from bilevelrl.problems.guided_cartpole.critic import ArrivalCritic
from bilevelrl.problems.guided_cartpole.game import AgentResponse, CartPoleGame, CartPoleWorld
from bilevelrl.problems.guided_cartpole.leader import CartPoleLeader, Idle
from bilevelrl.problems.guided_cartpole.policy import StateNetwork
from bilevelrl.problems.guided_cartpole.problem import GuidedCartPole
from bilevelrl.problems.guided_cartpole.rollout import CartPoleBatch, CartPoleRollout
from bilevelrl.problems.guided_cartpole.settings import (
    GuidedCartPoleLeaders,
    GuidedCartPoleParams,
    GuidedCartPoleSetting,
)

#: Of random features: how fast they turn in the scaled state, then in the share of an episode that
#: is left, or in the wind.
_STATE = (2.0, 0.7, 0.7, 0.7)
_LEFT, _WIND = 1.0, 0.7
_STATES = len(_STATE)


def make_problem(constants: GuidedCartPoleParams) -> GuidedCartPole:
    """The problem with the constants of params.yaml."""
    with refusing("params.yaml: problems.guided_cartpole.constants"):
        return GuidedCartPole(**constants.model_dump())


def group_key(setting: GuidedCartPoleSetting) -> tuple[object, ...]:
    """Runs with equal keys can share one batch."""
    own = {"step_size", "temperature", "first_seed", "num_seeds", "study"}
    return tuple(value for key, value in setting if key not in own)


def make_game(
    settings: Sequence[GuidedCartPoleSetting], constants: GuidedCartPoleParams
) -> CartPoleGame:
    """Problem and followers of runs with equal `group_key`."""
    shared = settings[0]
    assert shared.follower_steps is not None  # checked by config
    policy = StateNetwork(_STATES, len(shared.winds), shared.units)
    options = SacOptions(
        units=shared.follower_units,
        step_size=shared.follower_step_size,
        batch_size=shared.follower_batch,
        target_rate=shared.follower_target_rate,
        start_steps=shared.follower_random_steps,
        capacity=shared.follower_capacity,
        num_envs=shared.follower_envs,
        gradient_steps=shared.follower_gradient_steps,
    )
    return CartPoleGame(
        CartPoleRollout(make_problem(constants), policy, np.array(shared.winds)),
        policy,
        per_run(settings, "temperature"),
        options,
        shared.first_follower_steps or shared.follower_steps,
        shared.follower_steps,
        shared.evaluation_episodes,
    )


def build(
    estimator: str,
    settings: Sequence[GuidedCartPoleSetting],
    context: Context[GuidedCartPoleParams, None, GuidedCartPoleLeaders],
) -> Training[AgentResponse]:
    """All that the training loop needs for runs with equal `group_key`.

    Args:
        estimator: "bc_hg", "naive" (without the indirect term) or "random" (never moves).
        settings: of the runs.
        context: constants of the problem.
    """
    game = make_game(settings, context.constants)
    step_size, largest = per_run(settings, "step_size"), settings[0].max_gradient_norm
    if estimator == "random":
        return Training(game, Idle(), Adam(step_size))
    return Training(game, sampled(estimator, settings, game), Adam(step_size, largest))


def sampled(
    estimator: str, settings: Sequence[GuidedCartPoleSetting], game: CartPoleGame
) -> Sampled[CartPoleBatch]:
    """BC-HG or Naive-PGD, with what the leader learns about its follower."""
    shared, problem, winds = settings[0], game.rollout.problem, game.rollout.winds
    assert shared.env_steps_per_update is not None  # checked by config, like the next ones
    assert shared.critic_features is not None
    assert shared.policy_features is not None
    assert shared.keep is not None
    assert shared.ridge is not None
    assert shared.policy_ridge is not None
    keep, ridge, horizon = shared.keep, shared.ridge, problem.max_episode_steps
    arrival = RandomFeatures((*_STATE, _LEFT), shared.critic_features)
    watched = RandomFeatures((*_STATE, _WIND), shared.policy_features)
    belief = CartPoleBelief(
        winds,
        game.temperature,
        problem.follower_discount,
        watched,
        keep,
        ridge,
        shared.policy_ridge,
    )
    critic = ArrivalCritic(arrival, horizon, problem.leader_discount, keep, ridge)
    covariance = estimator == "bc_hg"
    leader = CartPoleLeader(game.policy, critic, expected=covariance)
    learner = ScoreFunction(
        leader,
        horizon,
        problem.leader_discount,
        problem.follower_discount,
        game.temperature if covariance else None,
        expectation=leader if covariance else None,
        return_discount=problem.leader_discount,
    )
    episodes = shared.env_steps_per_update // horizon
    world = CartPoleWorld(game.rollout, episodes, shared.information)
    return Sampled(world, learner, belief)
