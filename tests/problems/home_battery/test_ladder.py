"""The estimator-error study of home batteries."""

from functools import partial

import numpy as np
import pytest

from bilevelrl.problems.home_battery import cell
from bilevelrl.problems.home_battery.ladder import LADDER, points, shared
from bilevelrl.runs.execution import run_tasks
from tests.problems.home_battery.cases import BLOCK, PARAMS, PROBLEM, setting
from tests.studies.recorded import recorded

PRICES = np.linspace(0.2, 0.5, 24)


def test_every_rung_is_replicated_at_every_point_beside_the_truth() -> None:
    own = BLOCK.gradients.model_copy(update={"budgets": (3072,), "replicates": 40})
    problem = type(PROBLEM)(
        "home_battery", BLOCK.model_copy(update={"gradients": own}), PROBLEM.followers
    )
    on = partial(run_tasks, runtime=PARAMS.runtime.model_copy(update={"jobs": 1}))
    rows = recorded(problem, PRICES, on)
    assert len(rows) == 2 * len(LADDER)
    game = cell.make_game([setting("exact")], BLOCK.constants, PROBLEM.followers)
    found = {}
    for row, estimates, truth in rows:
        theta = points(problem, PRICES)[row["point"]][None]
        exact = game.hypergradient(theta, game.exact.best(theta)).total[0]
        np.testing.assert_allclose(truth[0], exact, rtol=1e-6)
        assert estimates.shape == (40, 24)
        found[row["point"], row["rung"]] = (row, estimates, exact)
    flat = {rung: each for (point, rung), each in found.items() if point == "flat"}
    _, nothing, _ = flat["naive_corrected"]
    assert not nothing.any()
    # Exact advantages leave no bias, double centring less noise, and a regression loses little.
    plain, centred = (
        flat[f"bc_hg_{variant}_exact_advantage"][1] for variant in ("corrected", "improved")
    )
    for estimates in (plain, centred):
        error = estimates.mean(axis=0) - flat["naive_corrected"][2]
        score = np.abs(error) / estimates.std(axis=0) * np.sqrt(len(estimates))
        assert score.max() < 4.5
    assert centred.var(axis=0).sum() < 0.5 * plain.var(axis=0).sum()
    cosine = {rung: row["cosine_mean"] for rung, (row, _, _) in flat.items()}
    assert cosine["bc_hg_improved"] > cosine["bc_hg_corrected"]
    assert cosine["bc_hg_improved_identified"] > 0.99
    assert cosine["perturbed_corrected_two_sided"] > 0.9


def test_points_are_shares_of_the_way_from_the_flat_tariff() -> None:
    found = points(PROBLEM, PRICES)
    assert list(found) == ["flat", "0.5 of the way to the best tariff"]
    np.testing.assert_array_equal(found["flat"], 0.30)
    np.testing.assert_allclose(found["0.5 of the way to the best tariff"], 0.15 + 0.5 * PRICES)


@pytest.mark.parametrize(("budget", "days"), [(768, 16), (12288, 256)])
def test_budgets_are_transitions(budget: int, days: int) -> None:
    told = shared(PROBLEM, budget)
    assert told["days_per_update"] == days
    assert "days_per_update" not in shared(PROBLEM, 0)
