"""Building thermal control: from settings to the estimator and critic that a name stands for."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeVar

import numpy as np

from bilevelrl.core.ascent import AscentRule, Chosen
from bilevelrl.core.blocks import FollowerParams
from bilevelrl.core.cell import Context, Group, Training, believed_temperature, per_run
from bilevelrl.core.random_features import RandomFeatures
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.validation import refusing
from bilevelrl.models.deep.settings import ComparedSacParams, SacFollower
from bilevelrl.problems.thermal_control.belief import Curve, RegulatorBelief
from bilevelrl.problems.thermal_control.critic import (
    QuadraticActionCritic,
    QuadraticStateCritic,
    ThermalCritic,
)
from bilevelrl.problems.thermal_control.estimator_settings import (
    FeatureBeliefParams,
    IdentifiedBuildingParams,
    QuadraticCriticParams,
    ThermalActionSetting,
    ThermalBatchSetting,
    ThermalImprovedSetting,
    ThermalPerturbedSetting,
    ThermalReleasedSetting,
    ThermalSetting,
)
from bilevelrl.problems.thermal_control.exact import ExactNaive
from bilevelrl.problems.thermal_control.follower import ThermalRegulator
from bilevelrl.problems.thermal_control.follower_task import ThermalFollowerTask
from bilevelrl.problems.thermal_control.game import ThermalGame
from bilevelrl.problems.thermal_control.group_ascent import GroupAscent
from bilevelrl.problems.thermal_control.identified import IdentifiedBelief
from bilevelrl.problems.thermal_control.perturbed import PerturbedRegulator
from bilevelrl.problems.thermal_control.problem import ThermalControl
from bilevelrl.problems.thermal_control.rollout import ThermalBatch, ThermalRollout
from bilevelrl.problems.thermal_control.settings import ThermalControlParams, ThermalLeaders
from bilevelrl.problems.thermal_control.transition import TransitionDirect
from bilevelrl.problems.thermal_control.transition_hpgd import Benefit, TransitionHPGD
from bilevelrl.problems.thermal_control.transition_score import TransitionScore, control_variate

Own_co = TypeVar("Own_co", bound=ThermalSetting, covariant=True)
Runs = Group[Own_co, ThermalGame]
#: Insulation and airflow have optimisers of their own.
GROUPS = 2
#: How fast the random features of a believed policy turn, in the state over its root mean square.
_FREQUENCY = 0.35


def make_problem(constants: ThermalControlParams) -> ThermalControl:
    """The problem with the constants of params.yaml."""
    with refusing("params.yaml: problems.thermal_control.constants"):
        return ThermalControl.from_numbers(**constants.model_dump())


def make_game(
    settings: Sequence[ThermalSetting],
    constants: ThermalControlParams,
    followers: FollowerParams[ComparedSacParams],
) -> ThermalGame:
    """Problem and exact follower of runs that can share a batch."""
    problem = make_problem(constants)
    follower = ThermalRegulator(
        problem, per_run(settings, "temperature"), followers.tolerance, followers.max_iterations
    )
    return ThermalGame(problem, follower, per_run(settings, "initial_spread"))


def _episodes(g: Runs[ThermalBatchSetting]) -> int:
    """Of a batch."""
    return g.shared.env_steps_per_update // g.game.problem.max_episode_steps


def _sampled(
    g: Runs[ThermalBatchSetting],
    learner: TransitionDirect,
    information: Literal["full", "rewards"] = "full",
    belief: RegulatorBelief | None = None,
) -> Sampled[ThermalBatch]:
    rollout = ThermalRollout(g.game.problem, _episodes(g), information=information)
    return Sampled(rollout, learner, belief)


def bc_hg_published(g: Runs[ThermalActionSetting]) -> Sampled[ThermalBatch]:
    """The published BC-HG."""
    return _score(g, _action_critic(g), g.shared.max_score_norm)


def bc_hg_corrected(g: Runs[ThermalBatchSetting]) -> Sampled[ThermalBatch]:
    """The same without clipped scores, and with the critic's mean over actions exact."""
    return _score(g, QuadraticActionCritic(g.game.problem.design), None)


def _score(
    g: Runs[ThermalBatchSetting], critic: ThermalCritic, norm: float | None
) -> Sampled[ThermalBatch]:
    problem = g.game.problem
    learner = TransitionScore(
        problem.design, critic, "score", problem.noise, norm, temperature=g.temperature
    )
    return _sampled(g, learner)


def bc_hg_improved(g: Runs[ThermalImprovedSetting]) -> Sampled[ThermalBatch]:
    """Pathwise, and of a leader that watches its follower if it has a belief.

    One that identifies its building plans in that.
    """
    if isinstance(g.shared.belief, IdentifiedBuildingParams):
        return _planning(g, g.shared.belief)
    design, own, believed = g.game.problem.design, g.shared.belief, believed_temperature(g.settings)
    expected = g.shared.sensitivity == "expected"
    learner = TransitionScore(
        design,
        QuadraticActionCritic(design),
        "pathwise",
        temperature=believed,
        control=None if expected else control_variate(design),
        expectation=g.game.follower if expected else None,
    )
    if own is None:
        return _sampled(g, learner)
    curve = None
    if isinstance(own, FeatureBeliefParams):
        curve = Curve(RandomFeatures((_FREQUENCY,) * design.num_zones, own.features), own.ridge)
    belief = RegulatorBelief(believed, design.discount, design.max_episode_steps, curve)
    return _sampled(g, learner, own.information, belief)


def _planning(
    g: Runs[ThermalImprovedSetting], own: IdentifiedBuildingParams
) -> Sampled[ThermalBatch]:
    # Imported where it is asked for, because scipy takes a second.
    from bilevelrl.problems.thermal_control.planning_leader import PlanningLeader

    problem, follower = g.game.problem, g.game.follower
    shape, horizon = problem.input_matrix.shape, problem.max_episode_steps
    learner = PlanningLeader(
        believed_temperature(g.settings), problem.num_parameters, own.worth,
        follower.tolerance, follower.max_iterations,
    )  # fmt: skip
    rollout = ThermalRollout(problem, _episodes(g), information=own.information)
    belief = IdentifiedBelief((shape[0], shape[1]), problem.discount, horizon)
    return Sampled(rollout, learner, belief)


def naive(g: Runs[ThermalReleasedSetting]) -> Sampled[ThermalBatch]:
    """The direct part alone."""
    problem, norm = g.game.problem, g.shared.max_score_norm
    learner = TransitionDirect(problem.design, _state_critic(g), "score", problem.noise, norm)
    return _sampled(g, learner)


def hpgd_mc(g: Runs[ThermalReleasedSetting]) -> Sampled[ThermalBatch]:
    """HPGD with sampled returns."""
    return _hpgd(g, "return", _state_critic(g))


def hpgd_td(g: Runs[ThermalActionSetting]) -> Sampled[ThermalBatch]:
    """HPGD with a learned Q_L."""
    return _hpgd(g, "action_value", _action_critic(g))


def perturbed(g: Runs[ThermalPerturbedSetting]) -> PerturbedRegulator:
    """The perturbed follower; an odd episode is not played.

    Raises:
        ValueError: if there is no episode for each of two answers.
    """
    problem, episodes = g.game.problem, _episodes(g) // 2
    if episodes == 0:
        raise ValueError(
            f"env_steps_per_update = {g.shared.env_steps_per_update}: two answers need an episode "
            f"of {problem.max_episode_steps} transitions each"
        )
    rollout, epsilon = ThermalRollout(problem, episodes), per_run(g.settings, "epsilon")
    return PerturbedRegulator(problem, rollout, g.game.follower, epsilon, g.shared.two_sided)


def exact_naive(g: Runs[ThermalSetting]) -> ExactNaive:
    """The exact direct part."""
    return ExactNaive(g.game)


# Network critics are imported where they are asked for, because importing torch takes seconds.


def _hpgd(
    g: Runs[ThermalReleasedSetting], benefit: Benefit, critic: ThermalCritic
) -> Sampled[ThermalBatch]:
    problem, own, mean = g.game.problem, g.shared.critic, None
    if not isinstance(own, QuadraticCriticParams):
        from bilevelrl.problems.thermal_control.released_critic import NetworkMean

        mean = NetworkMean(problem, own.steps, own.step_size)
    learner = TransitionHPGD(
        problem.design, critic, "score", problem.noise, g.shared.max_score_norm,
        temperature=g.temperature, benefit=benefit, mean=mean,
    )  # fmt: skip
    return _sampled(g, learner)


def _action_critic(g: Runs[ThermalActionSetting]) -> ThermalCritic:
    """Of Q_L."""
    problem, own, samples = g.game.problem, g.shared.critic, g.shared.follower_samples
    if isinstance(own, QuadraticCriticParams):
        return QuadraticActionCritic(problem.design, expected=False, samples=samples)
    from bilevelrl.problems.thermal_control.released_critic import NetworkActionCritic

    return NetworkActionCritic(problem, own.steps, own.step_size, samples)


def _state_critic(g: Runs[ThermalReleasedSetting]) -> ThermalCritic:
    """Of V_L."""
    problem, own = g.game.problem, g.shared.critic
    if isinstance(own, QuadraticCriticParams):
        return QuadraticStateCritic(problem.design)
    from bilevelrl.problems.thermal_control.released_critic import NetworkStateCritic

    return NetworkStateCritic(problem, own.steps, own.step_size)


def build(
    make: Callable[[Runs[Any]], Any],
    settings: Sequence[ThermalSetting],
    context: Context[ThermalControlParams, ComparedSacParams, ThermalLeaders],
) -> Training[Any]:
    """All that the training loop needs for runs that can share a batch."""
    shared, game = settings[0], make_game(settings, context.constants, context.followers)
    rule: AscentRule = Chosen()
    if not (isinstance(shared, ThermalImprovedSetting) and shared.plans):
        momentum = np.array([getattr(setting, "momentum", 0.0) for setting in settings])
        size = per_run(settings, "step_size")
        rule = GroupAscent(size, shared.max_gradient_norm, GROUPS, momentum)
    estimator = make(Group(settings, game))
    if isinstance(shared, ThermalImprovedSetting) and isinstance(shared.follower, SacFollower):
        from bilevelrl.models.deep.game import SacGame, SacSampler

        task, beta = ThermalFollowerTask(game.problem), game.follower.temperature
        sampler = SacSampler(task, _episodes(Group([shared], game)))
        learning = SacGame(game, beta, task, context.followers.learner, shared.follower)
        return Training(learning, replace(estimator, sampler=sampler), rule)
    return Training(game, estimator, rule)
