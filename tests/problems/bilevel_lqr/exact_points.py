"""Leaders of BilevelLQR at which J and its hypergradient are tested."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.exact import Hypergradient
from bilevelrl.problems.bilevel_lqr.exact import lqr_hypergradient, lqr_leader_return
from bilevelrl.problems.bilevel_lqr.follower import LinearGaussianResponse, MaxEntropyLQR
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR
from tests.games import big_lqr

Floats = NDArray[np.float64]
PUBLISHED = BilevelLQR.published()
BETA = 0.1


#: Starts, the notebook's leader, the ridge, its cliff (J = 3e-18 and 2e-9 at the last two).
POINTS = np.array(
    [
        [1.3, -0.4], [-0.2, 0.7], [-7.59, 0.9306], [-9.683, -10.25], [-10.2, -9.5], [-9.9, -12.0],
        [-11.0, -9.9], [-10.3, -11.0],
    ]
)  # fmt: skip
GENERIC_POINTS = 0.4 * np.random.default_rng(1).standard_normal((2, 12))
PROBLEMS = pytest.mark.parametrize(
    ("problem", "theta"),
    [(PUBLISHED, POINTS), (big_lqr(follower_discount=0.9, leader_noise=0.4), GENERIC_POINTS)],
    ids=["published", "generic"],
)


def solved(problem: BilevelLQR, theta: Floats) -> tuple[MaxEntropyLQR, LinearGaussianResponse]:
    follower = MaxEntropyLQR(problem, np.full(len(theta), BETA))
    return follower, follower.respond(theta)


def leader_return(
    problem: BilevelLQR,
    theta: Floats,
    discount: float = 0.99,
    response: LinearGaussianResponse | None = None,
) -> Floats:
    return lqr_leader_return(problem, theta, response or solved(problem, theta)[1], discount)


def hypergradient(problem: BilevelLQR, theta: Floats, discount: float = 0.99) -> Hypergradient:
    follower, response = solved(problem, theta)
    return lqr_hypergradient(follower, theta, response, discount)
