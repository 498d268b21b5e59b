"""BilevelLQR: from settings to leader, critic, follower and estimator."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bilevelrl.core.acting_leader import num_episodes, score_function, training
from bilevelrl.core.blocks import FollowerParams
from bilevelrl.core.cell import Context, Training, believed_temperature, per_run
from bilevelrl.core.control_variate import ControlVariate
from bilevelrl.core.observations import Observations
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.score_function import ScoreFunction
from bilevelrl.core.settings import GameSetting
from bilevelrl.core.validation import refusing
from bilevelrl.models.deep.settings import SacParams
from bilevelrl.problems.bilevel_lqr.belief import LinearBelief, blinded
from bilevelrl.problems.bilevel_lqr.duel import LinearDuel
from bilevelrl.problems.bilevel_lqr.follower import MaxEntropyLQR
from bilevelrl.problems.bilevel_lqr.game import LinearGame, LinearWorld
from bilevelrl.problems.bilevel_lqr.model_critic import LinearModelCritic
from bilevelrl.problems.bilevel_lqr.model_leader import ModelLeader
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR
from bilevelrl.problems.bilevel_lqr.released_critic import LinearNetworkCritic
from bilevelrl.problems.bilevel_lqr.released_leader import NetworkLinearLeader
from bilevelrl.problems.bilevel_lqr.response import LinearGaussianResponse
from bilevelrl.problems.bilevel_lqr.rollout import LinearRollout
from bilevelrl.problems.bilevel_lqr.settings import BilevelLQRLeaders, BilevelLQRParams


def make_problem(constants: BilevelLQRParams, leader_noise: float) -> BilevelLQR:
    """The problem with the constants of params.yaml."""
    with refusing("params.yaml: problems.bilevel_lqr.constants"):
        return BilevelLQR.from_numbers(**constants.model_dump(), leader_noise=leader_noise)


def group_key(setting: GameSetting) -> tuple[object, ...]:
    """Runs with equal keys can share one batch."""
    own = {"step_size", "critic_step_size", "temperature", "radius", "initial_spread",
           "first_seed", "num_seeds", "study"}  # fmt: skip
    return tuple(value for key, value in setting if key not in own)


def make_game(
    settings: Sequence[GameSetting], constants: BilevelLQRParams, followers: FollowerParams[Any]
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
    estimator: str,
    settings: Sequence[GameSetting],
    context: Context[BilevelLQRParams, SacParams, BilevelLQRLeaders],
) -> Training[LinearGaussianResponse]:
    """All that the training loop needs for runs with equal `group_key`."""
    game = make_game(settings, context.constants, context.followers)
    built = training(estimator, settings, game, sampled)
    if settings[0].follower == "sac":
        return _against_sac(built, settings, game, context.followers)
    return built


def _against_sac(
    built: Training[Any],
    settings: Sequence[GameSetting],
    game: LinearGame,
    followers: FollowerParams[SacParams],
) -> Training[Any]:
    """The same with agents that learn; torch is imported here."""
    from bilevelrl.models.deep.build import sac_game
    from bilevelrl.models.deep.game import SacWorld

    duel = LinearDuel(game.problem, game.return_discount)
    world = SacWorld(duel, num_episodes(settings, game.problem))
    assert isinstance(built.estimator, Sampled)
    return replace(
        built,
        game=sac_game(game, duel, settings[0], followers.learner),
        estimator=replace(built.estimator, world=world),
    )


def sampled(
    estimator: str, settings: Sequence[GameSetting], game: LinearGame
) -> Sampled[Observations]:
    """BC-HG or Naive-PGD of the runs' variant."""
    problem, information = game.problem, settings[0].information
    noise = per_run(settings, "leader_noise")
    rollout = LinearRollout(problem, num_episodes(settings, problem), noise)
    known, belief = problem, None
    if information != "full":
        known = blinded(problem)
        belief = LinearBelief(
            known, believed_temperature(settings), noise, settings[0].belief or "evaluated"
        )
    behind = learner(estimator, settings, known, game.return_discount)
    return Sampled(LinearWorld(rollout, information), behind, belief)


def learner(
    estimator: str, settings: Sequence[GameSetting], problem: BilevelLQR, discount: float
) -> ScoreFunction:
    """The estimator behind the simulator; of the problem it knows what `problem` tells."""
    shared, noise = settings[0], per_run(settings, "leader_noise")
    if shared.variant == "published":
        network = network_leader(settings, problem)
        return score_function(network, estimator, settings, problem, discount)
    pathwise = shared.variant == "improved"
    leader = ModelLeader(
        problem, noise, LinearModelCritic(problem, noise), "pathwise" if pathwise else "score"
    )
    return replace(
        score_function(leader, estimator, settings, problem, discount),
        control=control_variate(problem) if shared.control_variate else None,
        expectation=leader if pathwise else None,
    )


def control_variate(problem: BilevelLQR) -> ControlVariate:
    """Regression on quadratic functions of the state."""
    states = len(problem.state_matrix)
    return ControlVariate(1 + states * (states + 1) // 2, problem.num_parameters)


def network_leader(settings: Sequence[GameSetting], problem: BilevelLQR) -> NetworkLinearLeader:
    """The released code's leader and critic."""
    shared = settings[0]
    assert shared.critic_steps is not None  # checked by config, like all that follow
    assert shared.target_rate is not None
    assert shared.minibatch is not None
    assert shared.leader_samples is not None
    critic = LinearNetworkCritic(
        problem,
        shared.critic_steps,
        per_run(settings, "critic_step_size"),
        shared.target_rate,
        shared.minibatch,
    )
    return NetworkLinearLeader(
        problem,
        per_run(settings, "leader_noise"),
        critic,
        shared.leader_samples,
        shared.follower_samples or 1,
        shared.target_rate,
    )
