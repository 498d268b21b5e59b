"""Which estimators are compared with the exact hypergradient in thermal control, and where.

The rungs of `LADDER` change one thing about BC-HG each, and what that does to bias and variance is
measured rather than argued. `directions` asks what the published step rule makes of an estimate.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.cell import Group
from bilevelrl.core.control_variate import ControlVariate
from bilevelrl.core.ladder import Level, Rung
from bilevelrl.core.model_based import exact
from bilevelrl.core.problem import Problem
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import ascend
from bilevelrl.problems.thermal_control import cell
from bilevelrl.problems.thermal_control.critic import ExactThermalCritic
from bilevelrl.problems.thermal_control.game import ThermalGame
from bilevelrl.problems.thermal_control.group_ascent import GroupAscent
from bilevelrl.problems.thermal_control.settings import ThermalControlBlock, ThermalSetting

Floats = NDArray[np.float64]
#: Replicates of a worker's batch; a row of it takes some 100 MB.
TOGETHER = 20


def _change(estimator: Sampled[Any], **options: Any) -> Sampled[Any]:
    learner: Any = estimator.learner
    return replace(estimator, learner=replace(learner, **options))


def _exact_critic(estimator: Sampled[Any], game: ThermalGame) -> Sampled[Any]:
    learner: Any = estimator.learner
    samples = getattr(learner.critic, "samples", None)
    return _change(estimator, critic=ExactThermalCritic(game.problem, samples))


def _centred(estimator: Sampled[Any], game: ThermalGame) -> Sampled[Any]:
    del game
    return _change(estimator, form="centred")


def _centred_with_control(estimator: Sampled[Any], game: ThermalGame) -> Sampled[Any]:
    zones, size = game.problem.num_zones, game.problem.num_parameters
    control = ControlVariate(1 + zones * (zones + 1) // 2, size)
    return _change(estimator, form="centred", control=control)


def _no_control(estimator: Sampled[Any], game: ThermalGame) -> Sampled[Any]:
    del game
    return _change(estimator, control=None)


_SAMPLED, _EXPECTED = {"sensitivity": "sampled"}, {"sensitivity": "expected"}
LADDER = (
    Rung("bc_hg", "published", "quadratic"),
    Rung("bc_hg", "published", "exact", "exact critic", change=_exact_critic),
    Rung("bc_hg", "corrected", "quadratic"),
    Rung("bc_hg", "corrected", "quadratic", "centred value", change=_centred),
    Rung("bc_hg", "corrected", "quadratic", "centred value, doubly centred",
         change=_centred_with_control, warm_up=5),
    Rung("bc_hg", "improved", "quadratic", "singly centred", entry=_SAMPLED, change=_no_control),
    Rung("bc_hg", "improved", "quadratic", "doubly centred", entry=_SAMPLED, warm_up=5),
    Rung("bc_hg", "improved", "quadratic", entry=_EXPECTED),
    Rung("bc_hg", "improved", "exact", "exact critic", entry=_EXPECTED, change=_exact_critic),
    Rung("hpgd_mc", "published", "quadratic"),
    Rung("hpgd_td", "published", "quadratic"),
    Rung("naive", "published", "quadratic"),
)  # fmt: skip
LEVELS = (Level(), Level({"kind": "linear", "information": "rewards"}))
#: Hyper-parameters of the study of `LEVELS`.
INFORMATION = {"variant": "improved", **_SAMPLED}
#: Whose step directions are studied.
DIRECTIONS = (
    Rung("bc_hg", "published", "quadratic"),
    Rung("bc_hg", "published", "exact", "exact critic", change=_exact_critic),
    Rung("hpgd_mc", "published", "quadratic"),
    Rung("hpgd_mc", "published", "exact", "exact critic", change=_exact_critic),
    Rung("hpgd_td", "published", "quadratic"),
    Rung("hpgd_td", "published", "exact", "exact critic", change=_exact_critic),
    Rung("naive", "published", "quadratic"),
    Rung("naive", "published", "exact", "exact critic", change=_exact_critic),
    Rung("bc_hg", "improved", "quadratic", entry=_EXPECTED),
)


def group(
    problem: Problem[ThermalControlBlock], settings: Sequence[ThermalSetting]
) -> cell.Runs[ThermalSetting]:
    """Replicates that are computed together."""
    game = cell.make_game(settings, problem.block.constants, problem.followers)
    return Group(settings, game)


def mirrored(estimator: Sampled[Any], game: ThermalGame) -> Sampled[Any]:
    """The same with the transitions' noise flipped."""
    del game
    sampler: Any = estimator.sampler
    return replace(
        estimator, sampler=replace(sampler, rollout=replace(sampler.rollout, mirrored=True))
    )


def points(problem: Problem[ThermalControlBlock], best_theta: Floats) -> dict[str, Floats]:
    """Designs at which to compare estimators, by name."""
    del best_theta
    return _on_the_way(problem, problem.block.gradients.updates)


def information_point(
    problem: Problem[ThermalControlBlock], best_theta: Floats
) -> tuple[str, Floats]:
    """Name and θ, shape (D,), at which the study of `LEVELS` estimates."""
    del best_theta
    (found,) = _on_the_way(problem, [problem.block.gradients.information.point]).items()
    return found


def _on_the_way(
    problem: Problem[ThermalControlBlock], updates: Collection[int]
) -> dict[str, Floats]:
    """Designs after so many updates of an exact ascent from θ = 0."""
    block = problem.block
    step_size = block.gradients.step_size
    entry = {"variant": "published", "num_seeds": 1, "temperature": block.gradients.temperature}
    entry |= {"step_size": step_size}
    settings: Sequence[Any] = block.expanded("exact", entry, "gradients")
    own = group(problem, settings)
    steps = ascend(
        replace(own.game, initial_spread=np.zeros(1)),
        exact(own),
        Streams([0]),
        rule=GroupAscent(
            np.array([step_size]), own.shared.max_gradient_norm, cell.GROUPS, np.zeros(1)
        ),
        num_updates=max(updates) + 1,
    )
    wanted = {step.update: step.theta[0] for step in steps if step.update in updates}
    return {f"exact ascent, update {update}": wanted[update] for update in sorted(updates)}


def num_parameters(problem: Problem[ThermalControlBlock]) -> int:
    """D: levels of insulation and of airflow."""
    return cell.GROUPS * len(problem.block.constants.base_matrix)


def groups(problem: Problem[ThermalControlBlock]) -> dict[str, slice]:
    """Which parameters have an optimiser of their own, by name."""
    size = num_parameters(problem) // cell.GROUPS
    names = ("insulation", "airflow")
    return {name: slice(place * size, (place + 1) * size) for place, name in enumerate(names)}
