"""BilevelLQR: from settings to leader, critic, follower and estimator."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from bilevelrl.core.acting_leader import actor_steps, ascent, num_episodes, score_function
from bilevelrl.core.arrays import Floats
from bilevelrl.core.blocks import FollowerParams
from bilevelrl.core.cell import Context, Group, Training, believed_temperature, per_run
from bilevelrl.core.control_variate import ControlVariate
from bilevelrl.core.observations import Information, Observations
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.score_function import Centring, ScoreFunction
from bilevelrl.core.validation import refusing
from bilevelrl.models.deep.settings import ComparedSacParams, SacFollower
from bilevelrl.problems.bilevel_lqr.belief import LinearBelief, blinded
from bilevelrl.problems.bilevel_lqr.follower import MaxEntropyLQR
from bilevelrl.problems.bilevel_lqr.follower_task import LinearFollowerTask
from bilevelrl.problems.bilevel_lqr.game import LinearGame
from bilevelrl.problems.bilevel_lqr.model_critic import LinearModelCritic
from bilevelrl.problems.bilevel_lqr.model_leader import ModelLeader
from bilevelrl.problems.bilevel_lqr.perturbed import PerturbedRegulator
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR
from bilevelrl.problems.bilevel_lqr.released_leader import LinearNetworkCritic, NetworkLinearLeader
from bilevelrl.problems.bilevel_lqr.rollout import LinearRollout
from bilevelrl.problems.bilevel_lqr.settings import (
    BilevelLQRLeaders,
    BilevelLQRParams,
    LinearCorrectedSetting,
    LinearCovarianceSetting,
    LinearImprovedSetting,
    LinearPerturbedSetting,
    LinearReleasedSetting,
    LinearSetting,
)

Own_co = TypeVar("Own_co", bound=LinearSetting, covariant=True)
Runs = Group[Own_co, LinearGame]


def make_problem(constants: BilevelLQRParams, leader_noise: float) -> BilevelLQR:
    """The problem with the constants of params.yaml."""
    with refusing("params.yaml: problems.bilevel_lqr.constants"):
        return BilevelLQR.from_numbers(**constants.model_dump(), leader_noise=leader_noise)


def exact_game(
    constants: BilevelLQRParams,
    followers: FollowerParams[Any],
    shared: LinearSetting | BilevelLQRLeaders,
    temperature: Floats,
    initial_spread: Floats,
) -> LinearGame:
    """Problem and exact follower; `shared` says the leader's noise and which J is reported."""
    problem = make_problem(constants, shared.leader_noise)
    follower = MaxEntropyLQR(problem, temperature, followers.tolerance, followers.max_iterations)
    discount = problem.leader_discount if shared.returns == "discounted" else 1.0
    return LinearGame(problem, follower, initial_spread, discount)


def make_game(
    settings: Sequence[LinearSetting], constants: BilevelLQRParams, followers: FollowerParams[Any]
) -> LinearGame:
    """Problem and exact follower of runs that can share a batch."""
    numbers = (per_run(settings, key) for key in ("temperature", "initial_spread"))
    return exact_game(constants, followers, settings[0], *numbers)


def build(
    make: Callable[[Runs[Any]], Any],
    settings: Sequence[LinearSetting],
    context: Context[BilevelLQRParams, ComparedSacParams, BilevelLQRLeaders],
) -> Training[Any]:
    """All that the training loop needs for runs that can share a batch."""
    shared, game = settings[0], make_game(settings, context.constants, context.followers)
    estimator, rule, steps = make(Group(settings, game)), ascent(settings), actor_steps(shared)
    if isinstance(shared, LinearImprovedSetting) and isinstance(shared.follower, SacFollower):
        # Agents bring torch along, which is imported where there are some.
        from bilevelrl.models.deep.game import SacGame, SacSampler

        task, beta = (
            LinearFollowerTask(game.problem, game.return_discount),
            game.follower.temperature,
        )
        watching = replace(estimator, sampler=SacSampler(task, num_episodes(shared, game.problem)))
        learning = SacGame(game, beta, task, context.followers.learner, shared.follower)
        return Training(learning, watching, rule, steps)
    return Training(game, estimator, rule, steps)


def _sampled(
    g: Runs[Any],
    learner: ScoreFunction,
    information: Information = "full",
    belief: LinearBelief | None = None,
) -> Sampled[Observations]:
    problem = g.game.problem
    rollout = LinearRollout(problem, num_episodes(g.shared, problem), information)
    return Sampled(rollout, learner, belief)


def bc_hg_improved(g: Runs[LinearImprovedSetting]) -> Sampled[Observations]:
    """The improved BC-HG: pathwise, and of a leader that watches its follower if it believes."""
    own, problem = g.shared.belief, g.game.problem
    known = problem if own is None else blinded(problem)
    leader = ModelLeader(known, LinearModelCritic(known), "pathwise")
    made = score_function(leader, g.settings, known, g.game.return_discount)
    learner = replace(made, expectation=leader)
    if own is None:
        return _sampled(g, learner)
    belief = LinearBelief(known, believed_temperature(g.settings), own.kind)
    return _sampled(g, learner, own.information, belief)


def bc_hg_corrected(g: Runs[LinearCorrectedSetting]) -> Sampled[Observations]:
    """The corrected BC-HG."""
    problem = g.game.problem
    leader = ModelLeader(problem, LinearModelCritic(problem), "score")
    learner = score_function(leader, g.settings, problem, g.game.return_discount)
    control = centring(leader) if g.shared.control_variate else None
    return _sampled(g, replace(learner, control=control))


def centring(leader: ModelLeader) -> Centring:
    """Regression of the follower's side on quadratic functions of the state."""
    states, size = len(leader.problem.state_matrix), leader.problem.num_parameters
    return Centring(ControlVariate(1 + states * (states + 1) // 2, size), leader)


def _released(
    g: Runs[LinearReleasedSetting],
    *,
    follower_samples: int = 1,
    indirect: bool = False,
    keep_batches: bool = False,
) -> Sampled[Observations]:
    """The released code's leader and critic."""
    problem, shared = g.game.problem, g.shared
    steps, size = shared.critic.steps, per_run(g.settings, "critic.step_size")
    critic = LinearNetworkCritic(problem, steps, size, shared.target_rate, shared.minibatch)
    leader = NetworkLinearLeader(
        problem, critic, shared.leader_samples, follower_samples, shared.target_rate
    )
    discount, quirks = g.game.return_discount, {"indirect": indirect, "keep_batches": keep_batches}
    return _sampled(g, score_function(leader, g.settings, problem, discount, **quirks))


def released_covariance(g: Runs[LinearCovarianceSetting]) -> Sampled[Observations]:
    """The published BC-HG."""
    return _released(g, follower_samples=g.shared.follower_samples, indirect=True)


def perturbed(g: Runs[LinearPerturbedSetting]) -> PerturbedRegulator:
    """The perturbed follower; an odd episode is not played.

    Raises:
        ValueError: if there is no episode for each of two answers.
    """
    problem, own = g.game.problem, g.shared
    episodes = own.env_steps_per_update // (2 * problem.max_episode_steps)
    if episodes == 0:
        raise ValueError(
            f"env_steps_per_update = {own.env_steps_per_update}: two answers need an episode of "
            f"{problem.max_episode_steps} transitions each"
        )
    epsilon = per_run(g.settings, "epsilon")
    return PerturbedRegulator(problem, g.temperature, epsilon, episodes, own.two_sided)


def naive_on(g: Runs[LinearReleasedSetting]) -> Sampled[Observations]:
    """The direct part alone, from the newest batch."""
    return _released(g)


def naive_off(g: Runs[LinearReleasedSetting]) -> Sampled[Observations]:
    """The direct part alone, from every batch so far."""
    return _released(g, keep_batches=True)
