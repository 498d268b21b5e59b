"""The discrete toy: from settings to leader, critic, follower and estimator."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.acting_leader import num_episodes, score_function, training
from bilevelrl.core.blocks import FollowerParams
from bilevelrl.core.cell import Context, Training, believed_temperature, per_run
from bilevelrl.core.control_variate import ControlVariate
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.games import GameLeaders
from bilevelrl.core.observations import Observations
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.score_function import ScoreFunction
from bilevelrl.core.settings import GameSetting
from bilevelrl.models.finite_game.belief import FiniteBelief
from bilevelrl.models.finite_game.critics import (
    Bootstrap,
    ExpectedBackup,
    GameCritic,
    NetworkCritic,
)
from bilevelrl.models.finite_game.game import FiniteGame, FiniteWorld
from bilevelrl.models.finite_game.leader import FiniteLeader
from bilevelrl.models.finite_game.markov_game import GameSizes, MarkovGame
from bilevelrl.models.finite_game.policies import NetworkPolicy
from bilevelrl.models.finite_game.rollout import GameRollout
from bilevelrl.models.finite_game.soft_q_iteration import (
    Order,
    SoftQFollower,
    SoftQIteration,
    TruncatedSoftQ,
)
from bilevelrl.models.finite_game.soft_q_learning import GameSoftQLearning
from bilevelrl.models.finite_game.uniform_first import UniformFirst
from bilevelrl.models.tabular.settings import SoftQParams
from bilevelrl.models.tabular.soft_q_learning import SoftQOptions
from bilevelrl.problems.discrete_toy.problem import STATE_NAMES, discrete_toy
from bilevelrl.problems.discrete_toy.settings import DiscreteToyParams

Floats = NDArray[np.float64]
#: The number that J depends on: how often the leader sends the follower home.
PROBABILITY = "f(1|A)"


def make_game(constants: DiscreteToyParams) -> MarkovGame:
    """The toy with the constants of params.yaml."""
    return discrete_toy(
        constants.revisit_reward,
        leader_discount=constants.leader_discount,
        follower_discount=constants.follower_discount,
        max_episode_steps=constants.max_episode_steps,
    )


def order_of(variant: str) -> Order:
    """In which order the follower averages over leader actions and takes its soft maximum."""
    return "published" if variant == "published" else "correct"


def group_key(setting: GameSetting) -> tuple[object, ...]:
    """Runs with equal keys can share one batch."""
    return tuple(
        value
        for key, value in setting
        if key not in {"step_size", "critic_step_size", "temperature", "radius", "first_seed",
                       "num_seeds", "policy_iterations"}
    )  # fmt: skip


def make_follower(
    game: MarkovGame, settings: Sequence[GameSetting], followers: FollowerParams[SoftQParams]
) -> tuple[SoftQFollower, SoftQIteration]:
    """What the follower does during training, and the exact best response."""
    order = order_of(settings[0].variant)
    temperature = per_run(settings, "temperature")
    exact = SoftQIteration(game, temperature, followers.tolerance, followers.max_iterations, order)
    shared = settings[0]
    if shared.follower == "exact":
        return exact, exact
    assert shared.start is not None  # checked by config, like follower_steps
    if shared.follower == "truncated":
        iterations = np.array([setting.policy_iterations for setting in settings], dtype=np.int64)
        return TruncatedSoftQ(game, temperature, iterations, shared.start, order), exact
    assert shared.follower_steps is not None
    learning = GameSoftQLearning(
        game,
        temperature,
        shared.first_follower_steps or shared.follower_steps,
        shared.follower_steps,
        SoftQOptions(**followers.learner.model_dump()),
        shared.start,
    )
    return learning, exact


def build(
    estimator: str,
    settings: Sequence[GameSetting],
    context: Context[DiscreteToyParams, SoftQParams, GameLeaders],
) -> Training[BestResponse]:
    """All that the training loop needs for runs with equal `group_key`."""
    game, shared = make_game(context.constants), settings[0]
    policy = NetworkPolicy(game.num_states, game.num_leader_actions)
    follower, exact = make_follower(game, settings, context.followers)
    if shared.random_updates:
        follower = UniformFirst(follower)  # the released code solves after the first update
    discount = game.leader_discount if shared.returns == "discounted" else 1.0
    # A is the one state where the leader's action matters.
    shown = {PROBABILITY: (STATE_NAMES.index("A"), 1)}
    solved = FiniteGame(game, policy, follower, exact, discount, shown)
    return training(estimator, settings, solved, sampled)


def sampled(
    estimator: str, settings: Sequence[GameSetting], solved: FiniteGame
) -> Sampled[Observations]:
    """BC-HG, Naive-PGD or Bi-AC with the quirks of the runs' variant."""
    game, policy, shared = solved.game, solved.policy, settings[0]
    rollout = GameRollout(game, num_episodes(settings, game))
    belief = None
    if shared.information != "full":
        forgetting, smoothing = shared.forgetting or 0.0, shared.smoothing or 0.0
        temperature = believed_temperature(settings)
        belief = FiniteBelief(game.sizes, policy, temperature, forgetting, smoothing)
    world = FiniteWorld(policy, rollout, shared.information)
    return Sampled(world, learner(estimator, settings, solved), belief)


def learner(estimator: str, settings: Sequence[GameSetting], solved: FiniteGame) -> ScoreFunction:
    """The estimator behind the simulator; of the game it knows the sizes."""
    game, shared = solved.game.sizes, settings[0]
    published = shared.variant == "published"
    leader = FiniteLeader(
        solved.policy,
        game,
        network_critic(estimator, settings, game) if published else ExpectedBackup(game),
        baseline="sampled_follower_action" if published else "state",
        follower_samples=shared.follower_samples,
        policy_rate=shared.target_rate or 1.0,
    )
    pairs = game.num_states * game.num_leader_actions
    control = ControlVariate(pairs, pairs) if shared.control_variate else None
    made = score_function(leader, estimator, settings, game, solved.return_discount)
    return replace(made, control=control)


def network_critic(estimator: str, settings: Sequence[GameSetting], game: GameSizes) -> GameCritic:
    """The released code's critic."""
    shared = settings[0]
    assert shared.critic_steps is not None  # checked by config, like the next two
    assert shared.target_rate is not None
    assert shared.minibatch is not None
    bootstrap: Bootstrap = "stackelberg" if estimator.startswith("bi_ac") else "modes"
    return NetworkCritic(
        game,
        shared.critic_steps,
        per_run(settings, "critic_step_size"),
        shared.target_rate,
        shared.minibatch,
        bootstrap,
    )
