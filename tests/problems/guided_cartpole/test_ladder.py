"""The study of estimators on the guided cart-pole: its game, its rungs, its points."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.problem import Problem
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.seeding import Streams
from bilevelrl.core.split_half import SplitHalf
from bilevelrl.problems.guided_cartpole import cell, ladder
from bilevelrl.problems.guided_cartpole.policy import ModulePolicy
from bilevelrl.problems.guided_cartpole.settings import GuidedCartPoleBlock
from bilevelrl.problems.guided_cartpole.view import SCALE
from bilevelrl.runs.params import read_params
from bilevelrl.studies.fixed_theta import Replicates, replicate
from bilevelrl.studies.gradient_errors import quality_rows, replication

Floats = NDArray[np.float64]
COARSE = {
    "positions": 15,
    "speeds": 7,
    "top_speed": 1.6,
    "angles": 15,
    "rotations": 17,
    "pushes": 5,
}
RUNGS = {rung.id: rung for rung in ladder.LADDER}


@cache
def problem() -> Problem[GuidedCartPoleBlock]:
    """The shipped one on a coarse grid, with short batches."""
    shipped: Problem[Any] = read_params().problem("guided_cartpole")
    block = shipped.block
    grid = block.training.reference.model_copy(update=COARSE)
    study = block.gradients.model_copy(
        update={
            "updates": (0, 1),
            "budgets": (800,),
            "replicates": 2,
            "planner": block.gradients.planner.model_copy(update=COARSE),
            "reference": block.gradients.reference.model_copy(update=COARSE | {"positions": 17}),
        }
    )
    training = block.training.model_copy(update={"reference": grid})
    changed = block.model_copy(update={"gradients": study, "training": training})
    return replace(shipped, block=changed)


@cache
def points() -> dict[str, Floats]:
    return ladder.points(problem(), np.zeros(0))


@cache
def found(rung: str, budget: int = 800) -> Replicates:
    theta = points()["direct ascent, update 1"]
    return replicate(
        replication(problem(), RUNGS[rung], "here", theta, budget, range(31000, 31002))
    )


def cosine(one: Floats, other: Floats) -> Floats:
    size = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    share: Floats = (one * other).sum(axis=1) / size
    return share


def test_points_are_an_ascent_of_the_direct_term() -> None:
    first, second = points().values()
    assert [*points()] == ["direct ascent, update 0", "direct ascent, update 1"]
    block = problem().block
    entry = {"variant": "improved", "study": "main"}
    settings: list[Any] = block.expanded("random", entry, "gradients")
    group = ladder.group(problem(), settings[:1])
    streams = Streams([block.gradients.first_seed])
    np.testing.assert_array_equal(first, group.game.rollout.policy.initial_parameters(streams)[0])
    direct = group.game.coarse.hypergradient(first[None], np.array([0.2])).direct[0]
    np.testing.assert_allclose(  # Adam's first step is a step size along every sign
        second - first, block.gradients.step_size * np.sign(direct) * (direct != 0.0), atol=1e-4
    )


@pytest.mark.slow
def test_a_leader_that_plans_has_the_exact_gradient_up_to_what_it_identifies() -> None:
    both, alone = found("bc_hg_improved_planned"), found("naive_improved_planned")
    assert (cosine(both.direct, both.exact_direct) > 0.9).all()  # four first states are few
    assert (cosine(both.indirect, both.exact_indirect) > 0.9).all()
    np.testing.assert_array_equal(alone.indirect, 0.0)
    np.testing.assert_allclose(alone.direct, both.direct)


@pytest.mark.slow
def test_grids_differ_in_their_nodes_alone() -> None:
    own = {name: found(f"bc_hg_improved_true_dynamics_grid_of_{name}")
           for name in ("training", "the_leaders")}  # fmt: skip
    for each in own.values():
        np.testing.assert_array_equal(each.direct[0], each.direct[1])
        assert (cosine(each.estimates, each.exact) > 0.95).all()
        assert (cosine(each.estimates, each.exact) < 1.0 - 1e-6).all()
    planned = found("bc_hg_improved_planned")
    np.testing.assert_allclose(  # both are coarse here, and what is left is what is identified
        own["training"].estimates, own["the_leaders"].estimates, rtol=1e-5
    )
    assert (cosine(planned.estimates, own["the_leaders"].estimates) > 0.8).all()


@pytest.mark.slow
def test_the_direct_term_alone_lacks_the_indirect_one() -> None:
    alone = found("naive_improved_true_dynamics")
    np.testing.assert_array_equal(alone.direct, alone.exact_direct)
    assert np.abs(alone.exact_indirect).max() > 0.0
    np.testing.assert_array_equal(alone.indirect, 0.0)


@pytest.mark.slow
def test_rungs_differ_in_what_their_notes_say() -> None:
    plain, naive = found("bc_hg_improved"), found("naive_improved")
    np.testing.assert_allclose(plain.direct, naive.direct)
    np.testing.assert_array_equal(naive.indirect, 0.0)
    shrunk = found("bc_hg_improved_shrunk")
    np.testing.assert_allclose(shrunk.direct, plain.direct)
    size = [np.linalg.norm(each.indirect, axis=1) for each in (shrunk, plain)]
    along = (shrunk.indirect * plain.indirect).sum(axis=1)
    np.testing.assert_allclose(along, size[0] * size[1], rtol=1e-9)  # also if nothing is left
    assert (np.linalg.norm(shrunk.indirect, axis=1)
            <= 0.5 * np.linalg.norm(shrunk.direct, axis=1) * (1.0 + 1e-9)).all()  # fmt: skip
    for other in ("sampled_sensitivity", "doubly_centred", "exact_follower_value"):
        changed = found(f"bc_hg_improved_{other}")
        np.testing.assert_allclose(changed.direct, plain.direct)
        assert np.linalg.norm(changed.indirect - plain.indirect) > 0.01 * np.linalg.norm(
            plain.indirect
        ), other


def test_a_follower_s_exact_value_is_that_of_the_grid() -> None:
    """At the nodes the step ahead repeats the last backup."""
    block = problem().block
    settings: list[Any] = block.expanded("random", {"variant": "improved"}, "gradients")
    game = ladder.group(problem(), settings[:1]).game
    theta = points()["direct ascent, update 1"]
    player = game.solved(theta[None])[0].player
    grid = player.planner.grid
    inside = (np.abs(grid.states[:, 2]) < 0.05) & (np.abs(grid.states[:, 3]) < 0.3)
    inside &= (np.abs(grid.states[:, 0]) < 1.0) & (np.abs(grid.states[:, 1]) < 0.6)
    rows = np.flatnonzero(inside)[::7]
    state = grid.states[rows] / SCALE
    winds = game.rollout.winds
    policy = game.rollout.policy.probabilities(theta, state)
    values = np.stack(
        [player.soft_value(np.column_stack([state, np.full(len(state), wind)])) for wind in winds],
        axis=1,
    )
    here = 1.0 + (policy * values).sum(axis=1)
    known = player.value.reshape(-1)[rows]
    np.testing.assert_allclose(here, known, rtol=2e-2)


def test_the_gradient_of_each_transition_is_that_of_a_batch_of_one() -> None:
    policy = ModulePolicy(4, 3, (5,))
    theta = policy.initial_parameters(Streams([0]))[0]
    theta = theta + 0.3 * np.random.default_rng(1).standard_normal(len(theta))
    state, weights = (np.random.default_rng(2).standard_normal((7, n)) for n in (4, 3))
    each = policy.pull_back_each(theta, state, weights)
    one_by_one = [
        policy.pull_back(theta, state[[k]], weights[None, [k]])[0] for k in range(len(state))
    ]
    np.testing.assert_allclose(each, one_by_one, rtol=1e-12, atol=1e-15)


def test_the_shrunk_rung_is_the_shipped_leader() -> None:
    shipped: Any = dict(problem().block.settings("guided_cartpole", "bc_hg"))
    own = shipped["problems.guided_cartpole.cells.bc_hg.improved"]
    entry = RUNGS["bc_hg_improved_shrunk"].entry
    assert own.shrinkage.model_dump() == entry["shrinkage"]
    made = cell.bc_hg(ladder.group(problem(), [own]))  # type: ignore[arg-type]
    assert isinstance(made, SplitHalf)
    unshrunk = own.model_copy(update={"shrinkage": None})
    assert isinstance(cell.bc_hg(ladder.group(problem(), [unshrunk])), Sampled)  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_study_has_a_row_per_rung_and_point(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = ("naive_improved", "bc_hg_improved_planned")
    monkeypatch.setattr(ladder, "LADDER", tuple(RUNGS[name] for name in chosen))

    def run_tasks(function: Any, tasks: Any, **_: Any) -> Any:
        return ((place, function(task)) for place, task in enumerate(tasks))

    own = problem().block.gradients.model_copy(update={"updates": (0,)})
    small = replace(problem(), block=problem().block.model_copy(update={"gradients": own}))
    rows = list(quality_rows(small, np.zeros(0), run_tasks))
    assert [row["rung"] for row in rows] == [*chosen]
    assert len({row["exact_norm"] for row in rows}) == 1
    cosines = [row["cosine_mean"] for row in rows]
    assert cosines[1] > 0.9 > cosines[0]
