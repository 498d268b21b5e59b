"""Where planners end who follow the exact gradient or a part of it, against independent code."""

from collections.abc import Callable

import numpy as np
import pytest

from bilevelrl.models.network_flow.equilibrium import Equilibrium, equilibrium
from bilevelrl.models.network_flow.hypergradient import (
    Objective,
    exact_hypergradient,
    net_cost,
    travel_time,
    without_adjoint,
)
from tests.models.network_flow.examples import CHARGED, Floats, sioux

RATIONALITIES = np.array([0.5, 1.0, 2.0])
HIGHEST = 30.0


def exact(objective: Objective, reached: Equilibrium) -> Floats:
    return exact_hypergradient(objective, reached).total


def direct(objective: Objective, reached: Equilibrium) -> Floats:
    return -objective(reached).of_theta


def covariance(objective: Objective, reached: Equilibrium) -> Floats:
    return without_adjoint(objective, reached).total


def ascent(
    objective: Objective, part: Callable[[Objective, Equilibrium], Floats]
) -> tuple[Floats, Floats]:
    """Tolls, shape (3, 18), and the loss there, (3,), after 150 projected Adam steps of .3 minutes.

    The second moment forgets at a rate of .99: with .999 the direct part ends 8e4 below.
    """
    net, theta = sioux(), np.zeros((3, 76))
    mean, square = np.zeros((2, 3, 18))
    start = None
    for step in range(1, 151):
        reached = equilibrium(net, theta, RATIONALITIES, start)
        start = reached.flow
        gradient = part(objective, reached)[:, CHARGED]
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.99 * square + 0.01 * gradient**2
        unbiased = mean / (1.0 - 0.9**step), square / (1.0 - 0.99**step)
        moved = theta[:, CHARGED] + 0.3 * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8)
        theta[:, CHARGED] = np.clip(moved, 0.0, HIGHEST)
    return theta[:, CHARGED], objective(equilibrium(net, theta, RATIONALITIES, start)).loss


@pytest.mark.parametrize(
    ("objective", "best"),
    [
        (travel_time, [7_625_443.0, 7_305_771.26, 7_261_451.0]),
        (net_cost, [7_192_239.0, 7_200_102.27, 7_219_999.0]),
    ],
)
def test_the_exact_gradient_leads_to_the_best_charges(
    objective: Objective, best: list[float]
) -> None:
    _, loss = ascent(objective, exact)
    np.testing.assert_allclose(loss, best, atol=0.51)


def test_the_direct_part_drives_charges_to_their_bound() -> None:
    charges, loss = ascent(net_cost, direct)
    np.testing.assert_allclose(loss, [10_823_439.0, 10_930_029.0, 11_010_455.0], atol=0.51)
    assert (charges == HIGHEST).sum(axis=1).tolist()[0] == 12


def test_the_covariance_without_adjoint_ends_short_on_the_travel_time() -> None:
    _, loss = ascent(travel_time, covariance)
    np.testing.assert_allclose(loss, [7_646_343.0, 7_317_187.0, 7_270_332.0], atol=0.51)


def test_the_covariance_without_adjoint_never_leaves_no_charge_on_the_net_cost() -> None:
    charges, loss = ascent(net_cost, covariance)
    assert not charges.any()
    np.testing.assert_allclose(loss, [7_312_233.0, 7_329_213.0, 7_386_173.0], atol=0.51)
