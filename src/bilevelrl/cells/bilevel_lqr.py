"""BilevelLQR: from settings to leader, critic, follower and estimator."""

from collections.abc import Sequence
from dataclasses import replace

from bilevelrl.ascent import Adam, geometric_decay
from bilevelrl.cells.protocol import Context, Training, per_run
from bilevelrl.config import BilevelLQRLeaders, BilevelLQRParams, FollowerParams, GameSetting
from bilevelrl.critics.linear_model import LinearModelCritic
from bilevelrl.critics.linear_network import LinearNetworkCritic
from bilevelrl.estimators.acting_leader import ScoreFunction
from bilevelrl.estimators.control_variate import ControlVariate
from bilevelrl.estimators.exact import Exact
from bilevelrl.estimators.linear_leader import NetworkLinearLeader
from bilevelrl.estimators.model_leader import ModelLeader
from bilevelrl.estimators.replay import Replay
from bilevelrl.estimators.zero_order import ZeroOrder
from bilevelrl.followers.linear_gaussian import LinearGaussianResponse
from bilevelrl.followers.max_entropy_lqr import MaxEntropyLQR
from bilevelrl.linear_game import LinearGame
from bilevelrl.problems.bilevel_lqr import BilevelLQR
from bilevelrl.problems.linear_rollout import LinearRollout


def make_problem(constants: BilevelLQRParams, leader_noise: float) -> BilevelLQR:
    """The problem with the constants of params.yaml."""
    return BilevelLQR.from_numbers(**constants.model_dump(), leader_noise=leader_noise)


def group_key(setting: GameSetting) -> tuple[object, ...]:
    """Runs with equal keys can share one batch."""
    own = {"step_size", "critic_step_size", "temperature", "radius", "initial_spread",
           "first_seed", "num_seeds", "study"}  # fmt: skip
    return tuple(value for key, value in setting if key not in own)


def make_game(
    settings: Sequence[GameSetting], constants: BilevelLQRParams, followers: FollowerParams
) -> LinearGame:
    """Problem and follower of runs with equal `group_key`."""
    shared = settings[0]
    assert shared.leader_noise is not None  # checked by config
    problem = make_problem(constants, shared.leader_noise)
    follower = MaxEntropyLQR(
        problem, per_run(settings, "temperature"), followers.tolerance, followers.max_iterations
    )
    discount = problem.leader_discount if shared.returns == "discounted" else 1.0
    return LinearGame(problem, follower, per_run(settings, "initial_spread"), discount)


def build(
    estimator: str, settings: Sequence[GameSetting], context: Context
) -> Training[LinearGaussianResponse]:
    """All that the training loop needs for runs with equal `group_key`."""
    assert isinstance(context.constants, BilevelLQRParams)
    assert isinstance(context.leaders, BilevelLQRLeaders)
    game, shared = make_game(settings, context.constants, context.followers), settings[0]
    steps = shared.actor_steps or 1
    decay = geometric_decay(shared.step_size_ratio, shared.num_updates * steps)
    # J grows by three orders of magnitude on the way.
    improved = shared.variant == "improved"
    rule = Adam(per_run(settings, "step_size"), shared.max_gradient_norm, improved, decay)
    if estimator == "exact":
        return Training(game, Exact(game), rule)
    if estimator == "zero_order":
        return Training(game, ZeroOrder(game, per_run(settings, "radius")), rule)
    return Training(game, score_function(estimator, settings, game), rule, steps)


def score_function(
    estimator: str, settings: Sequence[GameSetting], game: LinearGame
) -> ScoreFunction:
    """BC-HG or Naive-PGD of the runs' variant."""
    make = published if settings[0].variant == "published" else converging
    return make(estimator, settings, game)


def control_variate(problem: BilevelLQR) -> ControlVariate:
    """Regression on quadratic functions of the state."""
    states = len(problem.state_matrix)
    return ControlVariate(1 + states * (states + 1) // 2, problem.num_parameters)


def published(estimator: str, settings: Sequence[GameSetting], game: LinearGame) -> ScoreFunction:
    """The released code's BC-HG or Naive-PGD."""
    problem, shared = game.problem, settings[0]
    assert shared.env_steps_per_update is not None  # checked by config, like all that follow
    assert shared.critic_steps is not None
    assert shared.target_rate is not None
    assert shared.minibatch is not None
    assert shared.leader_samples is not None
    horizon = problem.max_episode_steps
    episodes = shared.env_steps_per_update // horizon
    critic = LinearNetworkCritic(
        problem,
        shared.critic_steps,
        per_run(settings, "critic_step_size"),
        shared.target_rate,
        shared.minibatch,
    )
    leader = NetworkLinearLeader(
        LinearRollout(problem, episodes, per_run(settings, "leader_noise")),
        critic,
        shared.leader_samples,
        shared.follower_samples or 1,
        shared.target_rate,
    )
    capacity = episodes * (shared.num_updates if estimator.endswith("_off") else 1)
    return ScoreFunction(
        leader,
        horizon,
        leader.rollout.env_steps,
        problem.leader_discount,
        problem.follower_discount,
        per_run(settings, "temperature") if estimator == "bc_hg" else None,
        replay=Replay(horizon, capacity) if capacity > episodes else None,
        minibatch=shared.minibatch,
        influence_now=True,
        random_updates=shared.random_updates or 0,
        return_discount=game.return_discount,
    )


def converging(estimator: str, settings: Sequence[GameSetting], game: LinearGame) -> ScoreFunction:
    """BC-HG without the quirks ("corrected"), or with pathwise sensitivities ("improved")."""
    problem, shared = game.problem, settings[0]
    assert estimator == "bc_hg"  # checked by config, like the next
    assert shared.env_steps_per_update is not None
    improved, noise = shared.variant == "improved", per_run(settings, "leader_noise")
    horizon = problem.max_episode_steps
    leader = ModelLeader(
        LinearRollout(problem, shared.env_steps_per_update // horizon, noise),
        LinearModelCritic(problem, noise),
        "pathwise" if improved else "score",
    )
    single = ScoreFunction(
        leader,
        horizon,
        leader.rollout.env_steps,
        problem.leader_discount,
        problem.follower_discount,
        per_run(settings, "temperature"),
        expected_sensitivity=improved,
        random_updates=shared.random_updates or 0,
        return_discount=game.return_discount,
    )
    return replace(single, control=control_variate(problem)) if shared.control_variate else single
