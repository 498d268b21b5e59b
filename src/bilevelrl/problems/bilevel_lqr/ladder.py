"""Which estimators are compared with the exact hypergradient in BilevelLQR, and where."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.cell import Group
from bilevelrl.core.ladder import Level, Rung
from bilevelrl.core.observations import Observations
from bilevelrl.core.problem import Problem
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.score_function import ScoreFunction
from bilevelrl.problems.bilevel_lqr import cell
from bilevelrl.problems.bilevel_lqr.game import LinearGame
from bilevelrl.problems.bilevel_lqr.model_leader import ModelLeader
from bilevelrl.problems.bilevel_lqr.settings import BilevelLQRBlock, LinearSetting

#: Replicates of a worker's batch.
TOGETHER = 1000
_NETWORK = {"actor_steps": 1, "critic": {"steps": 5}, "random_updates": 0}
_PLAIN = {"actor_steps": 1, "random_updates": 0}
_DOUBLE = _PLAIN | {"control_variate": True}


def _single(estimator: Sampled[Observations], game: LinearGame) -> Sampled[Observations]:
    del game
    assert isinstance(estimator.learner, ScoreFunction)
    return replace(estimator, learner=replace(estimator.learner, control=None, expectation=None))


def _pathwise_sampled(estimator: Sampled[Observations], game: LinearGame) -> Sampled[Observations]:
    single = _single(estimator, game).learner
    assert isinstance(single, ScoreFunction)
    assert isinstance(single.leader, ModelLeader)
    return replace(estimator, learner=replace(single, control=cell.centring(single.leader)))


LADDER = (
    Rung("bc_hg", "published", "network", entry=_NETWORK, warm_up=25),
    Rung("bc_hg", "corrected", "model", "singly centred", entry=_PLAIN, warm_up=1),
    Rung("bc_hg", "corrected", "model", entry=_DOUBLE, warm_up=5),
    Rung("bc_hg", "improved", "model", "singly centred", entry=_PLAIN, change=_single, warm_up=1),
    Rung("bc_hg", "improved", "model", "sampled sensitivity", _PLAIN, _pathwise_sampled, warm_up=5),
    Rung("bc_hg", "improved", "model", entry=_PLAIN, warm_up=1),
    Rung("naive_on", "published", "network", entry=_NETWORK, warm_up=25),
    Rung("perturbed", "corrected", "none", "two-sided", {"epsilon": 0.01, "two_sided": True}),
    Rung("perturbed", "corrected", "none", "one-sided", {"epsilon": 0.01, "two_sided": False}),
    Rung("zero_order", "published", "none", entry={"radius": 0.01}, samples=False),
)
LEVELS = (
    Level(),
    *(Level({"kind": kind, "information": "rewards"}, kind) for kind in ("evaluated", "planned")),
)
#: Hyper-parameters of the study of `LEVELS`.
INFORMATION = {"variant": "improved", **_PLAIN}


def group(
    problem: Problem[BilevelLQRBlock], settings: Sequence[LinearSetting]
) -> cell.Runs[LinearSetting]:
    """Replicates that are computed together."""
    game = cell.make_game(settings, problem.block.constants, problem.followers)
    return Group(settings, game)


def points(problem: Problem[BilevelLQRBlock], best_theta: Floats) -> dict[str, Floats]:
    """Gains at which to compare estimators, by name."""
    del best_theta
    return dict(_place(point) for point in problem.block.gradients.points)


def information_point(problem: Problem[BilevelLQRBlock], best_theta: Floats) -> tuple[str, Floats]:
    """Name and θ, shape (D,), at which the study of `LEVELS` estimates."""
    del best_theta
    return _place(problem.block.gradients.information.point)


def _place(gain: Sequence[float]) -> tuple[str, Floats]:
    return f"K = ({', '.join(f'{number:g}' for number in gain)})", np.array(gain)
