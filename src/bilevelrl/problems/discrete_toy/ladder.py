"""Which estimators are compared with the exact hypergradient in a discrete toy, and where."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.cell import Group
from bilevelrl.core.ladder import Level, Rung
from bilevelrl.core.problem import Problem
from bilevelrl.core.sampled import Sampled
from bilevelrl.models.finite_game.critics import ExactGameCritic
from bilevelrl.models.finite_game.estimators import Runs, make_follower
from bilevelrl.models.finite_game.game import FiniteGame
from bilevelrl.models.finite_game.policies import TabularPolicy
from bilevelrl.models.finite_game.settings import FiniteGameSetting
from bilevelrl.problems.discrete_toy import cell
from bilevelrl.problems.discrete_toy.problem import STATE_NAMES
from bilevelrl.problems.discrete_toy.settings import DiscreteToyBlock

#: Replicates of a worker's batch.
TOGETHER = 1000
_NETWORK = {"actor_steps": 1, "critic": {"steps": 5}, "random_updates": 0}
_PLAIN = {"actor_steps": 1, "random_updates": 0}
_DOUBLE = _PLAIN | {"control_variate": True}


def _exact_critic(estimator: Sampled[Any], game: FiniteGame) -> Sampled[Any]:
    learner: Any = estimator.learner
    leader = replace(learner.leader, critic=ExactGameCritic(game.game))
    return replace(estimator, learner=replace(learner, leader=leader))


_published = partial(Rung, variant="published", critic="network", entry=_NETWORK)
_corrected = partial(Rung, "bc_hg", "corrected")
LADDER = (
    _published("bc_hg", warm_up=40),
    _published("bc_hg", critic="exact", note="exact critic", change=_exact_critic),
    _corrected("learned", "singly centred", entry=_PLAIN, warm_up=5),
    _corrected("learned", entry=_DOUBLE, warm_up=5),
    _corrected("exact", "exact critic, singly centred", entry=_PLAIN, change=_exact_critic),
    _corrected("exact", "exact critic", entry=_DOUBLE, change=_exact_critic, warm_up=5),
    _published("naive_on", warm_up=40),
    _published("bi_ac_on", warm_up=40),
    *(
        Rung("perturbed", "corrected", "none", note, {"epsilon": 0.01, "two_sided": two_sided})
        for note, two_sided in (("two-sided", True), ("one-sided", False))
    ),
    Rung("zero_order", "published", "none", entry={"radius": 0.01}, samples=False),
    *(
        Rung("unrolled", "corrected", "none", f"K = {sweeps}",
             {"sweeps": sweeps, "start": "answer"}, samples=False)
        for sweeps in (1, 10, 30, 100)
    ),
)  # fmt: skip
LEVELS = (Level(), Level({"kind": "frequencies", "information": "rewards"}))
#: Hyper-parameters of the study of `LEVELS`.
INFORMATION = {"variant": "corrected", **_DOUBLE}


def group(
    problem: Problem[DiscreteToyBlock], settings: Sequence[FiniteGameSetting]
) -> Runs[FiniteGameSetting]:
    """Replicates that are computed together, of a leader whose θ is a table of logits."""
    game = cell.make_game(problem.block.constants)
    follower, exact = make_follower(game, settings, problem.followers)
    policy = TabularPolicy(game.num_states, game.num_leader_actions)
    solved = FiniteGame(game, policy, follower, exact, game.leader_discount)
    return Group(settings, solved)


def table_of(probability: float) -> Floats:
    """θ of the leader's table, shape (D,), with f(1|A) = `probability` and all else uniform."""
    theta = np.zeros((len(STATE_NAMES), 2))
    theta[STATE_NAMES.index("A"), 1] = np.log(probability / (1.0 - probability))
    return theta.ravel()


def points(problem: Problem[DiscreteToyBlock], best_theta: Floats) -> dict[str, Floats]:
    """θ at which to compare estimators, by name."""
    del best_theta
    return dict(_place(point) for point in problem.block.gradients.points)


def information_point(problem: Problem[DiscreteToyBlock], best_theta: Floats) -> tuple[str, Floats]:
    """Name and θ, shape (D,), at which the study of `LEVELS` estimates."""
    del best_theta
    return _place(problem.block.gradients.information.point)


def _place(probability: float) -> tuple[str, Floats]:
    return f"{cell.PROBABILITY} = {probability:g}", table_of(probability)
