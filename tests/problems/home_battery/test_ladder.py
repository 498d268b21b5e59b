"""The estimator-error study of home batteries."""

from functools import partial
from typing import Any

import numpy as np
import pytest

from bilevelrl.core.ladder import Rung
from bilevelrl.problems.home_battery import cell
from bilevelrl.problems.home_battery.ladder import LADDER, asked_at, group, points, shared
from bilevelrl.problems.home_battery.varying_days.game import VaryingGame
from bilevelrl.problems.home_battery.varying_days.planner import VaryingPlanner
from bilevelrl.runs.execution import run_tasks
from bilevelrl.studies.fixed_theta import replicate, shared_entry
from bilevelrl.studies.gradient_errors import replication
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
    alike = [rung for rung in LADDER if "day_spread" not in rung.entry]
    assert len(rows) == 2 * len(alike) + len(LADDER) - len(alike)
    game = cell.make_game([setting("exact")], BLOCK.constants, PROBLEM.followers)
    found = {}
    for row, estimates, truth in rows:
        if row["point"] not in points(problem, PRICES):
            continue
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


def test_on_days_that_vary_leaders_are_asked_where_they_start() -> None:
    own = BLOCK.gradients.model_copy(update={"budgets": (768, 3072)})
    problem = type(PROBLEM)(
        "home_battery", BLOCK.model_copy(update={"gradients": own}), PROBLEM.followers
    )
    varying = [rung for rung in LADDER if "day_spread" in rung.entry]
    assert [rung.estimator for rung in varying] == ["bc_hg", "bc_hg", "exact", "bc_hg"]
    for rung in varying:
        assert asked_at(problem, rung, 768, {}) == {} or not rung.samples
        ((point, theta),) = asked_at(problem, rung, 3072, {}).items()
        found = replicate(replication(problem, rung, point, theta, 3072, range(20)))
        game = group(problem, [_alone(problem, rung)]).game
        np.testing.assert_allclose(game.tariff.prices(theta[None]), 0.30, rtol=1e-12)
        truth = _by_differences(game, theta) if len(theta) == 24 else found.exact[0]
        np.testing.assert_allclose(found.exact[0], truth, rtol=1e-5, atol=1e-7)
        spread = found.estimates.std(axis=0) / np.sqrt(20)
        error = np.abs(found.estimates.mean(axis=0) - found.exact[0])
        size = float(np.linalg.norm(found.exact[0]))
        # The regressed value leaves a bias of a twentieth.
        assert (error <= 4.5 * spread + 0.05 * size).all()
        away = np.linalg.norm(found.estimates - found.exact, axis=1) / size
        assert away.max() < {"exact": 1e-12}.get(rung.estimator, 0.4) or rung.critic != "none"


def _alone(problem: Any, rung: Rung) -> Any:
    entry = {**shared_entry(problem, rung.estimator, rung.variant, 3072, {}), **rung.entry,
             "variant": rung.variant, "first_seed": 0, "num_seeds": 1}  # fmt: skip
    (setting,) = BLOCK.expanded(rung.estimator, entry, "gradients")
    return setting


def _by_differences(game: Any, theta: Any, step: float = 1e-5) -> Any:
    shifted = theta + step * np.concatenate([np.eye(24), -np.eye(24)])
    planner = VaryingPlanner(game.problem, np.full(48, 0.05))
    values = VaryingGame(game.tariff, planner).optimal_return(shifted)
    return (values[:24] - values[24:]) / (2.0 * step)


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
