"""The paid follower of the guided cart-pole on a grid, against its exact hypergradient there."""

from functools import cache

import numpy as np
import pytest

from bilevelrl.core.arrays import Floats
from bilevelrl.problems.guided_cartpole.planning import best_response as solver
from bilevelrl.problems.guided_cartpole.planning.best_response import BestResponse, best_response
from bilevelrl.problems.guided_cartpole.planning.hypergradient import planned
from bilevelrl.problems.guided_cartpole.planning.paid_response import PaidFollower
from tests.problems.guided_cartpole.small_grid import BETA, HORIZON, leader, planner


@cache
def response(follower_discount: float) -> BestResponse:
    return best_response(planner(), leader(), BETA, follower_discount)


def paid(discounts: tuple[float, float]) -> PaidFollower:
    return PaidFollower(planner(), leader(), response(discounts[1]), BETA, discounts, HORIZON)


@cache
def exact(discounts: tuple[float, float]) -> Floats:
    found = planned(
        planner(), leader(), response(discounts[1]), BETA, discounts, HORIZON,
        accuracy=1e-7, sweeps=400,
    )  # fmt: skip
    # Neither term alone would pass.
    assert min(np.linalg.norm(found.direct), np.linalg.norm(found.indirect)) > 0.1
    return found.direct + found.indirect


def error(found: Floats, truth: Floats) -> float:
    return float(np.linalg.norm(found - truth) / np.linalg.norm(truth))


@pytest.mark.parametrize("discounts", [(0.99, 0.99), (0.95, 0.98)])
def test_the_quotient_is_the_exact_gradient(discounts: tuple[float, float]) -> None:
    found = paid(discounts).derivative(0.02)
    assert error(found, exact(discounts)) < 0.002


@pytest.mark.parametrize(("two_sided", "order"), [(True, 2), (False, 1)])
def test_error_vanishes_at_its_order(two_sided: bool, order: int) -> None:
    one, truth = paid((0.99, 0.99)), exact((0.99, 0.99))
    large, small = (error(one.derivative(each, two_sided=two_sided), truth) for each in (0.4, 0.2))
    assert large / small == pytest.approx(2.0**order, rel=0.1)


def test_a_follower_without_pay_answers_as_always() -> None:
    one = paid((0.99, 0.99))
    without, least = one.moved(0.0), one.moved(1e-9)
    # Backups from step to step, where nothing is left of 40 of them but rounding.
    assert error(least, without) < 1e-3


def test_a_follower_with_capped_values_answers_as_always_without_pay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Hardly a value may be above that of linear interpolation: backups without a cap raise them.
    monkeypatch.setattr(solver, "_MORE", 0.01)
    capped = best_response(planner(), leader(), BETA, 0.99)
    one = PaidFollower(planner(), leader(), capped, BETA, (0.99, 0.99), HORIZON)
    assert error(one.moved(1e-9), one.moved(0.0)) < 1e-3


def test_a_payment_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"epsilon = 0\.0 of run 0: it must be positive"):
        paid((0.99, 0.99)).derivative(0.0)
