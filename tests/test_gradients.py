"""The study of estimator errors: every estimator, at points that are what their names say."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numba
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from bilevelrl.cells.four_rooms import ESTIMATORS, make_four_rooms
from bilevelrl.config import Params, read_mapping
from bilevelrl.gradients import Study, points, replicate, replicate_all, studies
from bilevelrl.search import leader_return_at
from bilevelrl.seeding import stream

Floats = NDArray[np.float64]
ROOT = Path(__file__).parents[1]
BEST = np.linspace(-2.0, 2.0, 105)  # any θ will do


def make_params(jobs: int = 1, replicates: int = 3) -> Params:
    content = read_mapping(ROOT / "params.yaml")
    content["runtime"] |= {"jobs": jobs, "threads": 1}
    content["gradients"]["four_rooms"] |= {
        "replicates": replicates,
        "warm_up_steps": 250,
        "budgets": {100: 5, 200: 5},
        "oracle_steps_per_update": 500,
        "trajectory_updates": [0, 3],
    }
    return Params.model_validate(content)


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = numba.get_num_threads()
    yield
    numba.set_num_threads(before)


@pytest.fixture(scope="module")
def params() -> Params:
    return make_params()


def find(params: Params, **wanted: object) -> Study:
    (found,) = (
        study
        for study in studies(params, "four_rooms", BEST)
        if all(getattr(study, key) == value for key, value in wanted.items())
    )
    return found


def test_every_estimator_is_studied_at_every_point_and_budget(params: Params) -> None:
    listed = studies(params, "four_rooms", BEST)
    keys = [(s.point, s.estimator, s.variant, s.critic, s.budget) for s in listed]
    assert len(set(keys)) == len(keys)
    assert {s.estimator for s in listed} == set(ESTIMATORS) - {"exact"}
    assert {s.budget for s in listed if s.estimator != "zero_order"} == {100, 200}
    for estimator in {s.estimator for s in listed}:
        assert len({s.point for s in listed if s.estimator == estimator}) == 5
    assert ("bc_hg", "corrected", "exact") in {(s.estimator, s.variant, s.critic) for s in listed}


def test_points_are_what_their_names_say(params: Params) -> None:
    own, constants = params.gradients.four_rooms, params.problems.four_rooms
    found = points(own, constants, params.followers, BEST)
    assert list(found) == [
        "near zero", "sine", "exact ascent, update 0", "exact ascent, update 3",
        f"{own.best_fraction:g} of the best known",
    ]  # fmt: skip
    np.testing.assert_array_equal(found["sine"], np.sin(np.arange(105.0)))
    np.testing.assert_array_equal(list(found.values())[-1], own.best_fraction * BEST)
    assert 0.005 < found["near zero"].std() < 0.02
    start = stream(own.trajectory_seed, "initial_parameters").standard_normal(105)
    np.testing.assert_array_equal(found["exact ascent, update 0"], own.trajectory_spread * start)
    problem = make_four_rooms(constants, "published")
    returns = [
        leader_return_at(problem, found[f"exact ascent, update {update}"], 0.003, params.followers)
        for update in (0, 3)
    ]
    assert returns[1] > returns[0]


@pytest.mark.parametrize("estimator", sorted(set(ESTIMATORS) - {"exact"}))
def test_replicates_are_independent_and_repeatable(estimator: str, params: Params) -> None:
    study = next(
        s
        for s in studies(params, "four_rooms", BEST)
        if s.estimator == estimator and s.point == "sine"
    )
    estimates, exact = replicate(study)
    assert estimates.shape == (3, 105)
    assert exact.shape == (105,)
    assert np.isfinite(estimates).all()
    assert len({row.tobytes() for row in estimates}) == 3
    np.testing.assert_array_equal(estimates, replicate(study)[0])


def test_more_replicates_extend_fewer(params: Params) -> None:
    wanted = {
        "point": "sine", "estimator": "bc_hg", "variant": "published", "critic": "learned",
        "budget": 100,
    }  # fmt: skip
    few, _ = replicate(find(params, **wanted))
    many, _ = replicate(find(make_params(replicates=5), **wanted))
    np.testing.assert_array_equal(few, many[:3])


def test_a_learned_critic_warms_up_before_its_estimate_counts(params: Params) -> None:
    wanted = {"point": "sine", "estimator": "bc_hg", "variant": "corrected", "budget": 200}
    learned, exact = (find(params, critic=critic, **wanted) for critic in ("learned", "exact"))
    no_warm_up = params.gradients.four_rooms.model_copy(update={"warm_up_steps": 0})
    cold = replicate(replace(learned, params=no_warm_up))[0]
    assert (replicate(learned)[0] != cold).any(axis=1).all()
    same = replicate(replace(exact, params=no_warm_up))[0]
    np.testing.assert_array_equal(replicate(exact)[0], same)


def test_the_exact_critic_is_unbiased_at_the_point_of_the_study() -> None:
    params = make_params(replicates=400)
    wanted = {"point": "sine", "estimator": "bc_hg", "variant": "corrected", "budget": 200}
    estimates, exact = replicate(find(params, critic="exact", **wanted))
    along = estimates @ exact / (exact @ exact)
    test = stats.ttest_1samp(along, 1.0)
    assert test.pvalue > 1e-4
    assert 6.0 * along.std() / np.sqrt(len(along)) < 1.0 / 3.0


@pytest.mark.parametrize("variant", ["published", "corrected"])
def test_the_truth_is_the_hypergradient_of_the_studied_variant(
    variant: str, params: Params
) -> None:
    study = find(
        params, point="sine", estimator="naive", variant=variant, critic="none", budget=100
    )
    _, exact = replicate(study)
    # Spec 9.2, θ_j = sin j at temperature .003, for the published kernels.
    as_published = np.isclose(np.linalg.norm(exact), 0.004378, rtol=0.0, atol=6e-7)
    assert as_published == (variant == "published")


def test_processes_change_neither_results_nor_order(params: Params) -> None:
    few = make_params()
    own = few.gradients.four_rooms.model_copy(
        update={"budgets": {100: 5}, "trajectory_updates": (0,), "warm_up_steps": 0}
    )
    gradients = few.gradients.model_copy(update={"four_rooms": own})
    small = [make_params(jobs).model_copy(update={"gradients": gradients}) for jobs in (1, 2)]
    one, two = ([*replicate_all(p, "four_rooms", BEST)] for p in small)
    assert len(one) == len(two) == len(studies(small[0], "four_rooms", BEST))
    for (study, estimates, exact), (other, again, truth) in zip(one, two, strict=True):
        for key in ("point", "estimator", "variant", "critic", "budget"):
            assert getattr(study, key) == getattr(other, key)
        np.testing.assert_array_equal(estimates, again)
        np.testing.assert_array_equal(exact, truth)
