"""Building thermal control: from settings to the estimator and critic that a name stands for."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.blocks import FollowerParams
from bilevelrl.core.cell import Context, Group, Training, believed_temperature, per_run
from bilevelrl.core.control_variate import ControlVariate
from bilevelrl.core.estimator import Estimator
from bilevelrl.core.observations import Information
from bilevelrl.core.random_features import RandomFeatures
from bilevelrl.core.sampled import Learner, Sampled
from bilevelrl.core.validation import refusing
from bilevelrl.models.deep.settings import ComparedSacParams, SacFollower
from bilevelrl.problems.thermal_control.belief import Curve, RegulatorBelief
from bilevelrl.problems.thermal_control.critic import (
    QuadraticActionCritic,
    QuadraticStateCritic,
    ThermalCritic,
)
from bilevelrl.problems.thermal_control.exact import ExactNaive
from bilevelrl.problems.thermal_control.follower import RegulatorResponse, ThermalRegulator
from bilevelrl.problems.thermal_control.follower_task import ThermalFollowerTask
from bilevelrl.problems.thermal_control.game import ThermalGame, ThermalSampler
from bilevelrl.problems.thermal_control.group_ascent import GroupAscent
from bilevelrl.problems.thermal_control.problem import ThermalControl
from bilevelrl.problems.thermal_control.rollout import ThermalBatch, ThermalRollout
from bilevelrl.problems.thermal_control.settings import (
    FeatureBeliefParams,
    QuadraticCriticParams,
    ReleasedCriticParams,
    ThermalActionSetting,
    ThermalBatchSetting,
    ThermalControlParams,
    ThermalImprovedSetting,
    ThermalLeaders,
    ThermalReleasedSetting,
    ThermalSetting,
)
from bilevelrl.problems.thermal_control.transition_hpgd import (
    Benefit,
    MeanSensitivity,
    TransitionHPGD,
)
from bilevelrl.problems.thermal_control.transition_score import TransitionScore

Floats = NDArray[np.float64]
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
    followers: FollowerParams[Any],
) -> ThermalGame:
    """Problem and exact follower of runs that can share a batch."""
    problem = make_problem(constants)
    follower = ThermalRegulator(
        problem, per_run(settings, "temperature"), followers.tolerance, followers.max_iterations
    )
    return ThermalGame(problem, follower, per_run(settings, "initial_spread"))


def _sampled(
    g: Runs[Any],
    learner: Learner[ThermalBatch],
    information: Information = "full",
    belief: RegulatorBelief | None = None,
) -> Sampled[ThermalBatch]:
    problem = g.game.problem
    rollout = ThermalRollout(problem, g.shared.env_steps_per_update // problem.max_episode_steps)
    return Sampled(ThermalSampler(rollout, information), learner, belief)


def bc_hg_published(g: Runs[ThermalActionSetting]) -> Sampled[ThermalBatch]:
    """The published BC-HG."""
    return _sampled(
        g,
        TransitionScore(
            g.game.problem.design,
            _action_critic(g),
            g.temperature,
            form="score",
            noise=g.game.problem.noise,
            max_score_norm=g.shared.max_score_norm,
        ),
    )


def bc_hg_corrected(g: Runs[ThermalBatchSetting]) -> Sampled[ThermalBatch]:
    """The same without clipped scores, and with the critic's mean over actions exact."""
    problem = g.game.problem
    critic = QuadraticActionCritic(problem.design, expected=True)
    learner = TransitionScore(
        problem.design, critic, g.temperature, form="score", noise=problem.noise
    )
    return _sampled(g, learner)


def bc_hg_improved(g: Runs[ThermalImprovedSetting]) -> Sampled[ThermalBatch]:
    """Pathwise, and of a leader that watches its follower if it has a belief."""
    design, own = g.game.problem.design, g.shared.belief
    expected, zones = g.shared.sensitivity == "expected", design.num_zones
    control = ControlVariate(1 + zones * (zones + 1) // 2, design.num_parameters)
    believed = believed_temperature(g.settings)
    learner = TransitionScore(
        design,
        QuadraticActionCritic(design, expected=True),
        believed,
        form="pathwise",
        control=None if expected else control,
        expectation=g.game.follower if expected else None,
    )
    if own is None:
        return _sampled(g, learner)
    curve = None
    if isinstance(own, FeatureBeliefParams):
        curve = Curve(RandomFeatures((_FREQUENCY,) * zones, own.features), own.ridge)
    belief = RegulatorBelief(believed, design.discount, design.max_episode_steps, curve)
    return _sampled(g, learner, own.information, belief)


def naive(g: Runs[ThermalReleasedSetting]) -> Sampled[ThermalBatch]:
    """The direct part alone."""
    return _sampled(
        g,
        TransitionScore(
            g.game.problem.design,
            _state_critic(g),
            None,
            noise=g.game.problem.noise,
            max_score_norm=g.shared.max_score_norm,
        ),
    )


def hpgd_mc(g: Runs[ThermalReleasedSetting]) -> Sampled[ThermalBatch]:
    """HPGD with sampled returns."""
    return _hpgd(g, "return", _state_critic(g))


def hpgd_td(g: Runs[ThermalActionSetting]) -> Sampled[ThermalBatch]:
    """HPGD with a learned Q_L."""
    return _hpgd(g, "action_value", _action_critic(g))


def _hpgd(
    g: Runs[ThermalReleasedSetting],
    benefit: Benefit,
    critic: ThermalCritic,
) -> Sampled[ThermalBatch]:
    return _sampled(
        g,
        TransitionHPGD(
            g.game.problem.design,
            critic,
            g.temperature,
            benefit,
            noise=g.game.problem.noise,
            max_score_norm=g.shared.max_score_norm,
            mean=_sensitivity_critic(g.game.problem, g.shared.critic),
        ),
    )


def exact_naive(g: Runs[ThermalSetting]) -> Estimator[RegulatorResponse]:
    """The exact direct part."""
    return ExactNaive(g.game)


# Network critics are imported where they are asked for, because importing torch takes seconds.


def _action_critic(g: Runs[ThermalActionSetting]) -> ThermalCritic:
    """Of Q_L."""
    problem, own, samples = g.game.problem, g.shared.critic, g.shared.follower_samples
    if isinstance(own, ReleasedCriticParams):
        from bilevelrl.problems.thermal_control.released_critic import NetworkActionCritic

        return NetworkActionCritic(problem, own.steps, own.step_size, samples)
    return QuadraticActionCritic(problem.design, expected=False, samples=samples)


def _state_critic(g: Runs[ThermalReleasedSetting]) -> ThermalCritic:
    """Of V_L."""
    problem, own = g.game.problem, g.shared.critic
    if isinstance(own, ReleasedCriticParams):
        from bilevelrl.problems.thermal_control.released_critic import NetworkStateCritic

        return NetworkStateCritic(problem, own.steps, own.step_size)
    return QuadraticStateCritic(problem.design)


def _sensitivity_critic(
    problem: ThermalControl, own: QuadraticCriticParams | ReleasedCriticParams
) -> MeanSensitivity | None:
    """Of ∇V_F, for HPGD; None is its own least squares."""
    if isinstance(own, QuadraticCriticParams):
        return None
    from bilevelrl.problems.thermal_control.released_critic import TDNetwork, network_mean

    sizes = problem.num_zones, problem.num_parameters
    network = TDNetwork(problem, *sizes, own.steps, own.step_size)
    return lambda batch, other, streams: network_mean(network, batch.state, other, streams)


def build(
    make: Callable[[Runs[Any]], Any],
    settings: Sequence[ThermalSetting],
    context: Context[ThermalControlParams, ComparedSacParams, ThermalLeaders],
) -> Training[Any]:
    """All that the training loop needs for runs that can share a batch."""
    shared, game = settings[0], make_game(settings, context.constants, context.followers)
    momentum = [getattr(setting, "momentum", 0.0) for setting in settings]
    rule = GroupAscent(
        per_run(settings, "step_size"), shared.max_gradient_norm, GROUPS, np.array(momentum)
    )
    estimator = make(Group(settings, game))
    if isinstance(shared, ThermalImprovedSetting) and isinstance(shared.follower, SacFollower):
        from bilevelrl.models.deep.game import SacGame, SacSampler

        task, beta = ThermalFollowerTask(game.problem), game.follower.temperature
        episodes = shared.env_steps_per_update // game.problem.max_episode_steps
        watching = replace(estimator, sampler=SacSampler(task, episodes))
        learning = SacGame(game, beta, task, context.followers.learner, shared.follower)
        return Training(learning, watching, rule)
    return Training(game, estimator, rule)
