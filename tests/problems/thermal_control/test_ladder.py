"""The estimator-error study of building thermal control."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bilevelrl.core.problem import Problem, RunTasks
from bilevelrl.problems.thermal_control.exact import thermal_hypergradient
from bilevelrl.problems.thermal_control.follower import ThermalRegulator
from bilevelrl.problems.thermal_control.ladder import DIRECTIONS, LADDER, points
from bilevelrl.problems.thermal_control.problem import ThermalControl
from bilevelrl.runs.execution import run_tasks
from bilevelrl.runs.params import read_params
from bilevelrl.runs.records import DIRECTION_COLUMNS
from bilevelrl.studies.directions import directions
from tests.studies.recorded import recorded

SHIPPED = read_params(Path(__file__).parents[3] / "params.yaml")


NOWHERE = np.full(8, np.nan)  # the best known θ, which nobody asks for


def make_problem(**changes: object) -> Problem[Any]:
    block = SHIPPED.block("thermal_control")
    assert block.gradients is not None
    own = block.gradients.model_copy(update=changes)
    changed = block.model_copy(update={"gradients": own})
    params = SHIPPED.model_copy(update={"problems": {"thermal_control": changed}})
    return params.problem("thermal_control")


def on(jobs: int) -> RunTasks:
    return partial(run_tasks, runtime=SHIPPED.runtime.model_copy(update={"jobs": jobs}))


def test_points_lie_on_the_exact_ascent_from_zero() -> None:
    found = points(make_problem(updates=(0, 2)), NOWHERE)
    assert list(found) == ["exact ascent, update 0", "exact ascent, update 2"]
    first, third = found.values()
    np.testing.assert_array_equal(first, np.zeros(8))
    # Two steps of length .1 in either half, along the exact hypergradient.
    problem = ThermalControl.published()
    follower, theta = ThermalRegulator(problem, np.array([0.1])), np.zeros((1, 8))
    for _ in range(2):
        gradient = thermal_hypergradient(follower, theta, follower.respond(theta)).total
        halves = gradient.reshape(2, 4)
        theta = theta + 0.1 * (halves / np.linalg.norm(halves, axis=1, keepdims=True)).ravel()
    np.testing.assert_allclose(third, theta[0], rtol=1e-9)


def test_each_rung_is_replicated_at_each_point_beside_the_truth() -> None:
    rows = recorded(make_problem(updates=(0,), budgets=(300,), replicates=24), NOWHERE, on(1))
    assert len(rows) == len(LADDER)
    follower = ThermalRegulator(ThermalControl.published(), np.array([0.1]))
    start = np.zeros((1, 8))
    truth = thermal_hypergradient(follower, start, follower.respond(start)).total
    spread = {}
    for row, estimates, exact in rows:
        assert estimates.shape == (24, 8)
        assert len(np.unique(estimates[:, 0])) == 24  # every replicate has a seed of its own
        np.testing.assert_allclose(exact, truth.repeat(24, axis=0), rtol=1e-9)
        spread[row["rung"]] = np.sqrt(estimates.var(axis=0).sum())
    assert len(spread) == len(LADDER)
    # Each of these is quieter than the one before.
    ladder = [
        spread["bc_hg_published"],
        spread["bc_hg_corrected_centred_value"],
        spread["bc_hg_improved_doubly_centred"],
        spread["bc_hg_improved"],
    ]
    assert ladder[0] > 10 * ladder[1] > 10 * ladder[2] > 20 * ladder[3]


def test_numbers_of_processes_and_replicates_change_no_estimate() -> None:
    small = {"updates": (0,), "budgets": (300,)}
    few = recorded(make_problem(replicates=5, **small), NOWHERE, on(1))
    many = recorded(make_problem(replicates=25, **small), NOWHERE, on(2))
    for (_, first, _), (_, second, _) in zip(few, many, strict=True):
        assert len(second) == 25
        np.testing.assert_array_equal(first, second[:5])


def test_directions_tell_a_signal_from_noise() -> None:
    table = directions(make_problem(drift_budget=1000, drift_replicates=40), on(1))
    assert tuple(table.columns) == DIRECTION_COLUMNS
    assert len(table) == 2 * len(DIRECTIONS)
    # Heavy tails: a median alone would hide the estimates that a step is made of.
    assert (table["estimate_norm"] < table["estimate_norm_max"]).all()
    assert (table["estimate_norm_mean"] < table["estimate_norm_max"]).all()
    assert (table["estimate_norm_mean"] > 0.5 * table["estimate_norm"]).all()
    names = table["estimator"] + ", " + table["variant"] + ", " + table["critic"]
    rows = dict(list(table.set_index("group").groupby(names.to_numpy())))
    improved, noisy = rows["bc_hg, improved, quadratic"], rows["bc_hg, published, exact"]
    assert (improved["cosine_total"] > 0.6).all()
    for part in ("total", "direct", "indirect"):
        mean, error = noisy[f"cosine_{part}"], noisy[f"cosine_{part}_error"]
        # A random direction in four dimensions: standard deviation 1/2 of one cosine.
        assert (error < 0.5 / np.sqrt(40.0)).all()
        assert (mean.abs() < 4.0 * error).all()
    # Mirrored noise removes the score's own, so that a drift of .1 (published: .137, .092) would
    # be 20 standard errors away.
    assert (noisy["drift_error"] < 0.005).all()
    assert (noisy["drift"].abs() < 4.0 * noisy["drift_error"] + 1e-3).all()
    # From an independent implementation, for batches ten times as large.
    norms = noisy["indirect_sd"] / np.sqrt(10.0)
    assert norms.loc["insulation"] == pytest.approx(1.35e5, rel=0.35)
    # HPGD (MC) climbs towards bad states.
    mc = rows["hpgd_mc, published, exact"]
    assert (mc["indirect_mean"] < -2.0 * mc["indirect_mean_error"]).all()
