"""Which estimators are compared with the exact hypergradient in thermal control, and where.

The rungs of `LADDER` change one thing about BC-HG each, and what that does to bias and variance is
measured rather than argued. `directions` asks what the published step rule makes of an estimate.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.cell import Group
from bilevelrl.core.ladder import Level, Rung
from bilevelrl.core.model_based import exact
from bilevelrl.core.problem import Problem
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import ascend
from bilevelrl.problems.thermal_control import cell
from bilevelrl.problems.thermal_control.critic import ExactThermalCritic
from bilevelrl.problems.thermal_control.estimator_settings import ThermalSetting
from bilevelrl.problems.thermal_control.game import ThermalGame
from bilevelrl.problems.thermal_control.group_ascent import GroupAscent
from bilevelrl.problems.thermal_control.rollout import ThermalBatch, ThermalRollout
from bilevelrl.problems.thermal_control.settings import ThermalControlBlock
from bilevelrl.problems.thermal_control.transition import TransitionDirect
from bilevelrl.problems.thermal_control.transition_score import control_variate

Estimator = Sampled[ThermalBatch]
#: Replicates of a worker's batch; a row of it takes some 100 MB.
TOGETHER = 20


def _change(estimator: Estimator, game: ThermalGame, **options: Any) -> Estimator:
    """The estimator with other options of its learner."""
    del game
    assert isinstance(estimator.learner, TransitionDirect)
    return replace(estimator, learner=replace(estimator.learner, **options))


def _exact_critic(estimator: Estimator, game: ThermalGame) -> Estimator:
    assert isinstance(estimator.learner, TransitionDirect)
    samples = getattr(estimator.learner.critic, "samples", None)
    return _change(estimator, game, critic=ExactThermalCritic(game.problem, samples))


def _centred_with_control(estimator: Estimator, game: ThermalGame) -> Estimator:
    control = control_variate(game.problem.design)
    return _change(estimator, game, form="centred", control=control)


_centred, _no_control = partial(_change, form="centred"), partial(_change, control=None)
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
    Rung("perturbed", "corrected", "none", "two-sided", {"epsilon": 0.002, "two_sided": True}),
    Rung("perturbed", "corrected", "none", "one-sided", {"epsilon": 0.002, "two_sided": False}),
    Rung("zero_order", "published", "none", entry={"radius": 0.01}, samples=False),
)  # fmt: skip
LEVELS = (Level(), Level({"kind": "linear", "information": "rewards"}))
#: Hyper-parameters of the study of `LEVELS`.
INFORMATION = {"variant": "improved", **_SAMPLED}
#: Whose step directions are studied.
DIRECTIONS = (
    *(
        rung
        for estimator in ("bc_hg", "hpgd_mc", "hpgd_td", "naive")
        for rung in (
            Rung(estimator, "published", "quadratic"),
            Rung(estimator, "published", "exact", "exact critic", change=_exact_critic),
        )
    ),
    Rung("bc_hg", "improved", "quadratic", entry=_EXPECTED),
)


def group(
    problem: Problem[ThermalControlBlock], settings: Sequence[ThermalSetting]
) -> cell.Runs[ThermalSetting]:
    """Replicates that are computed together."""
    game = cell.make_game(settings, problem.block.constants, problem.followers)
    return Group(settings, game)


def mirrored(estimator: Estimator, game: ThermalGame) -> Estimator:
    """The same with the transitions' noise flipped."""
    del game
    assert isinstance(estimator.sampler, ThermalRollout)
    return replace(estimator, sampler=replace(estimator.sampler, mirrored=True))


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
    study = problem.block.gradients
    entry = {"variant": "published", "num_seeds": 1, "temperature": study.temperature}
    entry |= {"step_size": study.step_size}
    settings: Sequence[Any] = problem.block.expanded("exact", entry, "gradients")
    own, step_size = group(problem, settings), np.array([study.step_size])
    steps = ascend(
        replace(own.game, initial_spread=np.zeros(1)),
        exact(own),
        Streams([0]),
        rule=GroupAscent(step_size, own.shared.max_gradient_norm, cell.GROUPS, np.zeros(1)),
        num_updates=max(updates) + 1,
    )
    wanted = {step.update: step.theta[0] for step in steps if step.update in updates}
    return {f"exact ascent, update {update}": wanted[update] for update in sorted(updates)}


def num_parameters(problem: Problem[ThermalControlBlock]) -> int:
    """D: levels of insulation and of airflow."""
    return cell.GROUPS * len(problem.block.constants.base_matrix)


def groups(problem: Problem[ThermalControlBlock]) -> dict[str, slice]:
    """Which parameters have an optimiser of their own, by name."""
    zones = len(problem.block.constants.base_matrix)
    return {"insulation": slice(0, zones), "airflow": slice(zones, 2 * zones)}
