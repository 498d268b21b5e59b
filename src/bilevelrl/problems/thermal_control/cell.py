"""Building thermal control: from settings to the estimator and critic that a name stands for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.blocks import FollowerParams
from bilevelrl.core.cell import Context, Training, believed_temperature, per_run
from bilevelrl.core.control_variate import ControlVariate
from bilevelrl.core.estimator import Estimator
from bilevelrl.core.exact import Exact
from bilevelrl.core.random_features import RandomFeatures
from bilevelrl.core.sampled import Learner, Sampled
from bilevelrl.core.validation import refusing
from bilevelrl.core.zero_order import ZeroOrder
from bilevelrl.models.deep.settings import SacParams
from bilevelrl.problems.thermal_control.belief import Curve, RegulatorBelief
from bilevelrl.problems.thermal_control.critic import (
    QuadraticActionCritic,
    QuadraticStateCritic,
    ThermalCritic,
)
from bilevelrl.problems.thermal_control.duel import ThermalDuel
from bilevelrl.problems.thermal_control.exact import ExactNaive
from bilevelrl.problems.thermal_control.follower import RegulatorResponse, ThermalRegulator
from bilevelrl.problems.thermal_control.game import ThermalGame, ThermalWorld
from bilevelrl.problems.thermal_control.group_ascent import GroupAscent
from bilevelrl.problems.thermal_control.problem import ThermalControl
from bilevelrl.problems.thermal_control.rollout import ThermalBatch, ThermalRollout
from bilevelrl.problems.thermal_control.settings import (
    ThermalControlParams,
    ThermalLeaders,
    ThermalSetting,
)
from bilevelrl.problems.thermal_control.transition_hpgd import (
    Benefit,
    MeanSensitivity,
    TransitionHPGD,
)
from bilevelrl.problems.thermal_control.transition_score import TransitionScore

Floats = NDArray[np.float64]
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
    """Problem and follower of runs with equal `group_key`."""
    problem = make_problem(constants)
    follower = ThermalRegulator(
        problem, per_run(settings, "temperature"), followers.tolerance, followers.max_iterations
    )
    return ThermalGame(problem, follower, per_run(settings, "initial_spread"))


def group_key(setting: ThermalSetting) -> tuple[object, ...]:
    """Runs with equal keys can share one batch."""
    own = {"step_size", "momentum", "temperature", "radius", "initial_spread", "first_seed",
           "num_seeds", "study"}  # fmt: skip
    return tuple(value for key, value in setting if key not in own)


@dataclass(frozen=True, eq=False)
class Group:
    """Runs that train together: their settings agree in everything that fixes array shapes.

    Network critics are imported where they are asked for, because importing torch takes seconds.

    Attributes:
        settings: one per run.
        game: the problem with the followers of the runs.
    """

    settings: Sequence[ThermalSetting]
    game: ThermalGame

    @property
    def shared(self) -> ThermalSetting:
        """A setting to read what all runs share from."""
        return self.settings[0]

    @property
    def temperature(self) -> Floats:
        """β of each run, shape (R,)."""
        return per_run(self.settings, "temperature")

    def rollout(self) -> ThermalRollout:
        """On-policy batches."""
        problem, steps = self.game.problem, self.shared.env_steps_per_update
        assert steps is not None  # checked by config
        return ThermalRollout(problem, steps // problem.max_episode_steps)

    def action_critic(self) -> ThermalCritic:
        """Of Q_L."""
        problem, shared = self.game.problem, self.shared
        if shared.critic == "network":
            from bilevelrl.problems.thermal_control.released_critic import NetworkActionCritic

            return NetworkActionCritic(problem, *self.network, shared.follower_samples)
        published = shared.variant == "published"
        return QuadraticActionCritic(
            problem.design, expected=not published, samples=shared.follower_samples
        )

    def state_critic(self) -> ThermalCritic:
        """Of V_L."""
        if self.shared.critic == "network":
            from bilevelrl.problems.thermal_control.released_critic import NetworkStateCritic

            return NetworkStateCritic(self.game.problem, *self.network)
        return QuadraticStateCritic(self.game.problem.design)

    def sensitivity_critic(self) -> MeanSensitivity | None:
        """Of ∇V_F, for HPGD; None is its own least squares."""
        if self.shared.critic != "network":
            return None
        from bilevelrl.problems.thermal_control.released_critic import TDNetwork, network_mean

        problem = self.game.problem
        sizes = problem.num_zones, problem.num_parameters
        network = TDNetwork(problem, *sizes, *self.network)
        return lambda batch, own, streams: network_mean(network, batch.state, own, streams)

    @property
    def network(self) -> tuple[int, float]:
        """Steps and step size of network critics."""
        shared = self.shared
        assert shared.critic_steps is not None  # checked by config, like the next
        assert shared.critic_step_size is not None
        return shared.critic_steps, shared.critic_step_size


def _bc_hg(group: Group) -> TransitionScore:
    design, shared = group.game.problem.design, group.shared
    improved, expected = shared.variant == "improved", shared.sensitivity == "expected"
    zones = design.num_zones
    control = ControlVariate(1 + zones * (zones + 1) // 2, design.num_parameters)
    return TransitionScore(
        design,
        group.action_critic(),
        believed_temperature(group.settings),
        form="pathwise" if improved else "score",
        noise=None if improved else group.game.problem.noise,
        max_score_norm=shared.max_score_norm,
        control=control if improved and not expected else None,
        expectation=group.game.follower if expected else None,
    )


def _naive(group: Group) -> TransitionScore:
    return TransitionScore(
        group.game.problem.design,
        group.state_critic(),
        None,
        noise=group.game.problem.noise,
        max_score_norm=group.shared.max_score_norm,
    )


def _hpgd(benefit: Benefit) -> Callable[[Group], TransitionHPGD]:
    def make(group: Group) -> TransitionHPGD:
        critic = group.state_critic() if benefit == "return" else group.action_critic()
        return TransitionHPGD(
            group.game.problem.design,
            critic,
            group.temperature,
            benefit,
            noise=group.game.problem.noise,
            max_score_norm=group.shared.max_score_norm,
            mean=group.sensitivity_critic(),
        )

    return make


def _curve(setting: ThermalSetting, zones: int) -> Curve | None:
    if setting.belief != "random_features":
        return None
    assert setting.policy_features is not None  # checked by config, like the next
    assert setting.policy_ridge is not None
    return Curve(
        RandomFeatures((_FREQUENCY,) * zones, setting.policy_features), setting.policy_ridge
    )


def _sampled(
    learner: Callable[[Group], Learner[ThermalBatch]],
) -> Callable[[Group], Sampled[ThermalBatch]]:
    def make(group: Group) -> Sampled[ThermalBatch]:
        design, information = group.game.problem.design, group.shared.information
        belief = None
        if information != "full":
            believed = believed_temperature(group.settings)
            horizon, curve = design.max_episode_steps, _curve(group.shared, design.num_zones)
            belief = RegulatorBelief(believed, design.discount, horizon, curve)
        return Sampled(ThermalWorld(group.rollout(), information), learner(group), belief)

    return make


ESTIMATORS: Mapping[str, Callable[[Group], Estimator[RegulatorResponse]]] = MappingProxyType(
    {
        "bc_hg": _sampled(_bc_hg),
        "naive": _sampled(_naive),
        "hpgd_mc": _sampled(_hpgd("return")),
        "hpgd_td": _sampled(_hpgd("action_value")),
        "zero_order": lambda group: ZeroOrder(group.game, per_run(group.settings, "radius")),
        "exact": lambda group: Exact(group.game),
        "exact_naive": lambda group: ExactNaive(group.game),
    }
)


def _against_sac(group: Group, followers: FollowerParams[SacParams]) -> tuple[Any, Estimator[Any]]:
    """The game against agents that learn, and BC-HG from watching them; torch is imported here."""
    from bilevelrl.models.deep.build import sac_game
    from bilevelrl.models.deep.game import SacWorld

    duel = ThermalDuel(group.game.problem)
    game = sac_game(group.game, duel, group.shared, followers.learner)
    world = SacWorld(duel, group.rollout().num_episodes)
    return game, replace(_sampled(_bc_hg)(group), world=world)


def build(
    estimator: str,
    settings: Sequence[ThermalSetting],
    context: Context[ThermalControlParams, SacParams, ThermalLeaders],
) -> Training[Any]:
    """All that the training loop needs for runs with equal `group_key`."""
    game = make_game(settings, context.constants, context.followers)
    rule = GroupAscent(
        per_run(settings, "step_size"),
        settings[0].max_gradient_norm,
        GROUPS,
        per_run(settings, "momentum"),
    )
    group = Group(settings, game)
    if group.shared.follower == "sac":
        return Training(*_against_sac(group, context.followers), rule)
    return Training(game, ESTIMATORS[estimator](group), rule)
