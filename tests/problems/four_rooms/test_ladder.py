"""The study of estimator errors: every estimator, at points that are what their names say."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from bilevelrl.core.entries import names_of
from bilevelrl.core.problem import Problem
from bilevelrl.core.seeding import stream
from bilevelrl.problems.four_rooms.cell import make_four_rooms
from bilevelrl.problems.four_rooms.ladder import LADDER, points
from bilevelrl.problems.four_rooms.search import leader_return_at
from bilevelrl.problems.four_rooms.settings import ESTIMATORS
from bilevelrl.runs.execution import run_tasks
from bilevelrl.runs.params import Params, parse_params
from bilevelrl.runs.yaml_files import read_mapping
from bilevelrl.studies.fixed_theta import Replication, replicate, replicate_all
from bilevelrl.studies.gradient_errors import replication
from tests.studies.recorded import KEYS, pretend, recorded

Floats = NDArray[np.float64]
ROOT = Path(__file__).parents[3]
BEST = np.linspace(-2.0, 2.0, 105)  # any θ will do
#: CMA-ES estimates no gradient.
STUDIED = [name for name in names_of(ESTIMATORS) if name not in ("exact", "cma_es")]
#: What costs no transitions.
MODEL_BASED = ("zero_order", "amd", "unrolled")


def make_params(jobs: int = 1, **changes: object) -> Params:
    content = read_mapping(ROOT / "params.yaml")
    content["runtime"] |= {"jobs": jobs, "threads": 1}
    content["problems"]["four_rooms"]["gradients"] |= {
        "replicates": 3,
        "warm_up_steps": 250,
        "budgets": {100: 5, 200: 5},
        "oracle_steps_per_update": 500,
        "trajectory_updates": [0, 3],
    } | changes
    return parse_params(content, "params.yaml")


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = numba.get_num_threads()
    yield
    numba.set_num_threads(before)


@pytest.fixture(scope="module")
def problem() -> Problem[Any]:
    return make_params().problem("four_rooms")


def find(
    problem: Problem[Any], point: str, estimator: str, variant: str, critic: str, budget: int
) -> Replication:
    """What the study asks one rung of the ladder."""
    rung = next(
        rung
        for rung in LADDER
        if (rung.estimator, rung.variant, rung.critic) == (estimator, variant, critic)
    )
    study = problem.block.gradients
    seeds = range(study.first_seed, study.first_seed + study.replicates)
    return replication(problem, rung, point, points(problem, BEST)[point], budget, seeds)


def test_every_estimator_is_studied_at_every_point_and_budget(problem: Problem[Any]) -> None:
    listed = [row for row, _, _ in recorded(problem, BEST, pretend)]
    keys = [tuple(row[key] for key in KEYS) for row in listed]
    assert len(set(keys)) == len(keys)
    assert {row["problem"] for row in listed} == {"four_rooms"}
    assert {row["replicates"] for row in listed} == {3}
    assert {row["estimator"] for row in listed} == set(STUDIED)
    for estimator in {row["estimator"] for row in listed}:
        own = [row for row in listed if row["estimator"] == estimator]
        budgets = {0} if estimator in MODEL_BASED else {100, 200}
        assert {row["env_steps_per_update"] for row in own} == budgets
        assert len({row["point"] for row in own}) == 5
    known = {row["rung"] for row in listed}
    assert "bc_hg_corrected_exact_critic" in known
    unsampled = {row["rung"] for row in listed if row["estimator"] in MODEL_BASED}
    assert len(keys) == 5 * (2 * len(known) - len(unsampled))
    budgets = [row["env_steps_per_update"] for row in listed]
    assert budgets == sorted(budgets, reverse=True)


def test_points_are_what_their_names_say(problem: Problem[Any]) -> None:
    own, constants = problem.block.gradients, problem.block.constants
    found = points(problem, BEST)
    assert list(found) == [
        "near zero", "sine", "exact ascent, update 0", "exact ascent, update 3",
        f"{own.best_fraction:g} of the best known",
    ]  # fmt: skip
    np.testing.assert_array_equal(found["sine"], np.sin(np.arange(105.0)))
    np.testing.assert_array_equal(list(found.values())[-1], own.best_fraction * BEST)
    assert 0.005 < found["near zero"].std() < 0.02
    start = stream(own.trajectory_seed, "initial_parameters").standard_normal(105)
    np.testing.assert_array_equal(found["exact ascent, update 0"], own.trajectory_spread * start)
    rooms = make_four_rooms(constants, "published")
    returns = [
        leader_return_at(rooms, found[f"exact ascent, update {update}"], 0.003, problem.followers)
        for update in (0, 3)
    ]
    assert returns[1] > returns[0]


@pytest.mark.parametrize("estimator", STUDIED)
def test_replicates_are_independent_and_repeatable(estimator: str, problem: Problem[Any]) -> None:
    rung = next(rung for rung in LADDER if rung.estimator == estimator)
    budget = 200 if rung.samples else 0
    task = find(problem, "sine", estimator, rung.variant, rung.critic, budget)
    found = replicate(task)
    assert found.estimates.shape == found.exact.shape == (3, 105)
    assert np.isfinite(found.estimates).all()
    alike = estimator in ("amd", "unrolled")
    assert len({row.tobytes() for row in found.estimates}) == (1 if alike else 3)
    np.testing.assert_array_equal(found.estimates, replicate(task).estimates)


def test_more_replicates_extend_fewer(problem: Problem[Any]) -> None:
    wanted = ("sine", "bc_hg", "published", "learned", 100)
    few = replicate(find(problem, *wanted)).estimates
    task = find(make_params(replicates=5).problem("four_rooms"), *wanted)
    many = replicate(task).estimates
    np.testing.assert_array_equal(few, many[:3])
    runner = partial(run_tasks, runtime=make_params().runtime)
    (parts,) = replicate_all([task], runner, together=2, description="")
    np.testing.assert_array_equal(parts.estimates, many)


def test_a_learned_critic_warms_up_before_its_estimate_counts(problem: Problem[Any]) -> None:
    wanted = {"point": "sine", "estimator": "bc_hg", "variant": "corrected", "budget": 200}
    at_once = make_params(warm_up_steps=0).problem("four_rooms")
    warm, cold = (
        {
            critic: replicate(find(given, critic=critic, **wanted)).estimates  # type: ignore[arg-type]
            for critic in ("learned", "exact")
        }
        for given in (problem, at_once)
    )
    assert (warm["learned"] != cold["learned"]).any(axis=1).all()
    np.testing.assert_array_equal(warm["exact"], cold["exact"])


def test_the_exact_critic_is_unbiased_at_the_point_of_the_study() -> None:
    problem = make_params(replicates=400).problem("four_rooms")
    found = replicate(find(problem, "sine", "bc_hg", "corrected", "exact", 200))
    exact = found.exact[0]
    along = found.estimates @ exact / (exact @ exact)
    test = stats.ttest_1samp(along, 1.0)
    assert test.pvalue > 1e-4
    assert 6.0 * along.std() / np.sqrt(len(along)) < 1.0 / 3.0


@pytest.mark.parametrize("variant", ["published", "corrected"])
def test_the_truth_is_the_hypergradient_of_the_studied_variant(
    variant: str, problem: Problem[Any]
) -> None:
    exact = replicate(find(problem, "sine", "naive", variant, "none", 100)).exact
    np.testing.assert_array_equal(exact, exact[:1].repeat(3, axis=0))
    # From an independent implementation, θ_j = sin j at temperature .003, published kernels.
    as_published = np.isclose(np.linalg.norm(exact[0]), 0.004378, rtol=0.0, atol=6e-7)
    assert as_published == (variant == "published")


def test_processes_change_neither_results_nor_order() -> None:
    small = {"budgets": {100: 5}, "trajectory_updates": [0], "warm_up_steps": 0}
    given = [make_params(jobs, **small) for jobs in (1, 2)]
    one, two = (
        recorded(each.problem("four_rooms"), BEST, partial(run_tasks, runtime=each.runtime))
        for each in given
    )
    asked = recorded(given[0].problem("four_rooms"), BEST, pretend)
    assert len(one) == len(two) == len(asked)
    for (row, estimates, exact), (other, again, truth), (wanted, _, _) in zip(
        one, two, asked, strict=True
    ):
        assert row == other
        assert [row[key] for key in KEYS] == [wanted[key] for key in KEYS]
        np.testing.assert_array_equal(estimates, again)
        np.testing.assert_array_equal(exact, truth)
        assert row["exact_norm"] == np.linalg.norm(exact[0])
