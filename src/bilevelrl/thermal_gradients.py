"""Replicated estimates in building thermal control, beside the exact hypergradient.

The rows of `LADDER` change one thing about BC-HG each, and what that does to bias and variance is
measured rather than argued. `directions` asks what the published step rule makes of an estimate.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bilevelrl.cells.thermal_control import ESTIMATORS, GROUPS, Group, make_game
from bilevelrl.config import Params, ThermalSetting
from bilevelrl.config.families import expand
from bilevelrl.critics.thermal import ExactThermalCritic
from bilevelrl.estimators.control_variate import ControlVariate
from bilevelrl.estimators.protocol import Estimate
from bilevelrl.estimators.sampled import Sampled
from bilevelrl.estimators.transition_hpgd import TransitionHPGD
from bilevelrl.estimators.transition_score import TransitionScore
from bilevelrl.execution import run_tasks
from bilevelrl.group_ascent import GroupAscent
from bilevelrl.problems.thermal_control import ThermalControl
from bilevelrl.records import DIRECTION_COLUMNS
from bilevelrl.seeding import Streams
from bilevelrl.thermal_game import ThermalWorld
from bilevelrl.training import ascend

Floats = NDArray[np.float64]
Learners = TransitionScore | TransitionHPGD
PROBLEM = "thermal_control"
_TOGETHER = 20  # replicates of a worker's batch; a row of it takes some 100 MB
_GROUP_NAMES = ("insulation", "airflow")


@dataclass(frozen=True, eq=False)
class Rung:
    """One estimator of the ladder.

    Attributes:
        estimator: name in params.yaml.
        variant: as there.
        critic: what `records.GRADIENT_COLUMNS` calls critic: the critic, and how BC-HG uses it.
        change: turns the variant's learner into this one.
        entry: hyper-parameters that are not shared by the problem's cells.
        warm_up: batches that a regression sees before the estimate counts.
    """

    estimator: str
    variant: str
    critic: str
    change: Callable[[Learners, ThermalControl], Learners] = lambda learner, problem: learner
    entry: Mapping[str, Any] | None = None
    warm_up: int = 0


def _exact_critic(learner: Learners, problem: ThermalControl) -> Learners:
    samples = getattr(learner.critic, "samples", None)
    return replace(learner, critic=ExactThermalCritic(problem, samples))


def _centred(learner: Learners, problem: ThermalControl) -> Learners:
    del problem
    return replace(learner, form="centred")


def _centred_with_control(learner: Learners, problem: ThermalControl) -> Learners:
    zones, size = problem.num_zones, problem.num_parameters
    assert isinstance(learner, TransitionScore)
    control = ControlVariate(1 + zones * (zones + 1) // 2, size)
    return replace(learner, form="centred", control=control)


def _no_control(learner: Learners, problem: ThermalControl) -> Learners:
    del problem
    assert isinstance(learner, TransitionScore)
    return replace(learner, control=None)


_SAMPLED, _EXPECTED = {"sensitivity": "sampled"}, {"sensitivity": "expected"}
LADDER = (
    Rung("bc_hg", "published", "quadratic"),
    Rung("bc_hg", "published", "exact", _exact_critic),
    Rung("bc_hg", "corrected", "quadratic"),
    Rung("bc_hg", "corrected", "quadratic, centred value", _centred),
    Rung("bc_hg", "corrected", "quadratic, centred value, doubly centred",
         _centred_with_control, warm_up=5),
    Rung("bc_hg", "improved", "quadratic, singly centred", _no_control, _SAMPLED),
    Rung("bc_hg", "improved", "quadratic, doubly centred", entry=_SAMPLED, warm_up=5),
    Rung("bc_hg", "improved", "quadratic", entry=_EXPECTED),
    Rung("bc_hg", "improved", "exact", _exact_critic, _EXPECTED),
    Rung("hpgd_mc", "published", "quadratic"),
    Rung("hpgd_td", "published", "quadratic"),
    Rung("naive", "published", "quadratic"),
)  # fmt: skip
#: Whose step directions are studied.
DIRECTIONS = (
    Rung("bc_hg", "published", "quadratic"),
    Rung("bc_hg", "published", "exact", _exact_critic),
    Rung("hpgd_mc", "published", "quadratic"),
    Rung("hpgd_mc", "published", "exact", _exact_critic),
    Rung("hpgd_td", "published", "quadratic"),
    Rung("hpgd_td", "published", "exact", _exact_critic),
    Rung("naive", "published", "quadratic"),
    Rung("naive", "published", "exact", _exact_critic),
    Rung("bc_hg", "improved", "quadratic", entry=_EXPECTED),
)


@dataclass(frozen=True, eq=False)
class ThermalStudy:
    """One rung at one design with one budget, for some of the replicates.

    Attributes:
        point: name of the design.
        theta: shape (D,).
        rung: the estimator.
        budget: transitions per estimate.
        seeds: one per replicate.
        params: all of params.yaml.
        mirrored: with the transitions' noise flipped.
    """

    point: str
    theta: Floats
    rung: Rung
    budget: int
    seeds: range
    params: Params
    mirrored: bool = False

    @property
    def estimator(self) -> str:
        """Name in params.yaml."""
        return self.rung.estimator

    @property
    def variant(self) -> str:
        """Name in params.yaml."""
        return self.rung.variant

    @property
    def critic(self) -> str:
        """See `Rung.critic`."""
        return self.rung.critic


def points(params: Params, updates: Collection[int] | None = None) -> dict[str, Floats]:
    """Designs on the way of an exact ascent from θ = 0, of all `updates` of the study if None."""
    own = params.gradients.of(PROBLEM)
    updates = own.updates if updates is None else updates
    group = _group(params, "exact", {"variant": "published", "num_seeds": 1})
    game = replace(group.game, initial_spread=np.zeros(1))
    steps = ascend(
        game,
        ESTIMATORS["exact"](group),
        Streams([0]),
        rule=GroupAscent(
            np.array([own.step_size]), group.shared.max_gradient_norm, GROUPS, np.zeros(1)
        ),
        num_updates=max(updates) + 1,
    )
    wanted = {step.update: step.theta[0] for step in steps if step.update in updates}
    return {f"exact ascent, update {update}": wanted[update] for update in sorted(updates)}


def _group(params: Params, estimator: str, entry: Mapping[str, Any]) -> Group:
    own = params.gradients.of(PROBLEM)
    chosen = {"temperature": own.temperature, "step_size": own.step_size, **entry}
    (setting,) = expand(chosen, PROBLEM, estimator, params.shared(PROBLEM), "gradients")
    assert isinstance(setting, ThermalSetting)
    settings = [setting] * setting.num_seeds
    return Group(
        settings, make_game(settings, params.problems.of(PROBLEM), params.followers.of(PROBLEM))
    )


def replicate(study: ThermalStudy) -> tuple[Floats, Floats]:
    """Independent estimates at one design, direct and indirect parts, each (n, D)."""
    rung = study.rung
    entry = {
        "variant": rung.variant,
        "num_seeds": len(study.seeds),
        "env_steps_per_update": study.budget,
        **(rung.entry or {}),
    }
    group = _group(study.params, rung.estimator, entry)
    made: Any = ESTIMATORS[rung.estimator](group)
    assert isinstance(made, Sampled)
    assert isinstance(made.learner, TransitionScore | TransitionHPGD)
    rollout = replace(group.rollout(), mirrored=study.mirrored)
    estimator = replace(
        made,
        world=ThermalWorld(rollout, group.shared.information),
        learner=rung.change(made.learner, group.game.problem),
    )
    streams = Streams(list(study.seeds))
    theta = np.tile(study.theta, (len(study.seeds), 1))
    answer = group.game.follower.respond(theta)
    memory = estimator.start(streams)
    estimate: Estimate = estimator.estimate(theta, answer, memory, streams)
    for _ in range(rung.warm_up):
        estimate = estimator.estimate(theta, answer, memory, streams)
    return estimate.direct, estimate.indirect


def _in_parts(study: ThermalStudy, number: int) -> list[ThermalStudy]:
    first = study.seeds.start
    starts = range(first, first + number, _TOGETHER)
    return [
        replace(study, seeds=range(start, min(start + _TOGETHER, first + number)))
        for start in starts
    ]


def _gathered(
    studies: list[ThermalStudy], number: int, params: Params, description: str
) -> Iterator[tuple[Floats, Floats]]:
    tasks = [part for study in studies for part in _in_parts(study, number)]
    done: dict[int, tuple[Floats, Floats]] = dict(
        run_tasks(replicate, tasks, params.runtime, description=description)
    )
    each = len(tasks) // len(studies)
    for place in range(len(studies)):
        parts = [done[place * each + part] for part in range(each)]
        direct, indirect = (np.concatenate(some) for some in zip(*parts, strict=True))
        yield direct, indirect


def exact_parts(params: Params, theta: Floats) -> tuple[Floats, Floats]:
    """Direct and indirect part of dJ/dθ at θ, each (D,)."""
    game = _group(params, "exact", {"variant": "published", "num_seeds": 1}).game
    truth = game.hypergradient(theta[None], game.follower.respond(theta[None]))
    return truth.direct[0], truth.indirect[0]


def replicate_all(params: Params) -> Iterator[tuple[ThermalStudy, Floats, Floats]]:
    """Run every study; yields (study, estimates (n, D), exact hypergradient (D,))."""
    own = params.gradients.of(PROBLEM)
    seeds = range(own.first_seed, own.first_seed + own.replicates)
    studies = [
        ThermalStudy(name, theta, rung, budget, seeds, params)
        for budget in sorted(own.budgets, reverse=True)
        for rung in LADDER
        for name, theta in points(params).items()
    ]
    results = _gathered(studies, own.replicates, params, f"gradients of {PROBLEM}")
    for study, (direct, indirect) in zip(studies, results, strict=True):
        yield study, direct + indirect, np.add(*exact_parts(params, study.theta))


def directions(params: Params) -> pd.DataFrame:
    """Columns `DIRECTION_COLUMNS`: antithetic pairs of estimates at θ = 0."""
    own = params.gradients.of(PROBLEM)
    theta = np.zeros(2 * len(params.problems.of(PROBLEM).base_matrix))
    seeds = range(own.first_seed, own.first_seed + own.drift_replicates)
    studies = [
        ThermalStudy("start", theta, rung, own.drift_budget, seeds, params, mirrored)
        for rung in DIRECTIONS
        for mirrored in (False, True)
    ]
    number, described = own.drift_replicates, f"directions of {PROBLEM}"
    results = list(_gathered(studies, number, params, described))
    rows = []
    for place, rung in enumerate(DIRECTIONS):
        pair = results[2 * place], results[2 * place + 1]
        for group, name in enumerate(_GROUP_NAMES):
            known = {"estimator": rung.estimator, "variant": rung.variant, "critic": rung.critic}
            known |= {"group": name, "env_steps_per_update": own.drift_budget, "pairs": number}
            rows.append(known | _direction(pair, exact_parts(params, theta), group))
    return pd.DataFrame(rows, columns=list(DIRECTION_COLUMNS))


def _direction(
    pair: tuple[tuple[Floats, Floats], tuple[Floats, Floats]],
    exact: tuple[Floats, Floats],
    group: int,
) -> dict[str, float]:
    size = len(exact[0]) // GROUPS
    own = slice(group * size, (group + 1) * size)
    parts = [tuple(part[:, own] for part in one) for one in pair]
    totals = [direct + indirect for direct, indirect in parts]
    units = [total / np.linalg.norm(total, axis=1, keepdims=True) for total in totals]
    drift = 0.5 * (units[0] + units[1]).sum(axis=1) / np.sqrt(size)
    indirect = 0.5 * (parts[0][1] + parts[1][1]).mean(axis=1)
    root = np.sqrt(len(drift))
    norm = np.linalg.norm(totals[0], axis=1)
    truth = {"total": np.add(*exact)[own], "direct": exact[0][own], "indirect": exact[1][own]}
    cosines: dict[str, float] = {}
    for name, direction in truth.items():
        each = 0.5 * (units[0] + units[1]) @ direction / np.linalg.norm(direction)
        cosines[f"cosine_{name}"] = float(each.mean())
        cosines[f"cosine_{name}_error"] = float(each.std(ddof=1) / root)
    return {
        "drift": float(drift.mean()),
        "drift_error": float(drift.std(ddof=1) / root),
        "direct_sd": _spread(parts[0][0]),
        "indirect_sd": _spread(parts[0][1]),
        "indirect_mean": float(indirect.mean()),
        "indirect_mean_error": float(indirect.std(ddof=1) / root),
        "estimate_norm": float(np.median(norm)),
        "estimate_norm_mean": float(norm.mean()),
        "estimate_norm_max": float(norm.max()),
    } | cosines


def _spread(estimates: Floats) -> float:
    """Root mean square over components of the standard deviation."""
    return float(np.sqrt(estimates.var(axis=0, ddof=1).mean()))
