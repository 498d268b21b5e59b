"""J on days that vary and its gradient in the prices of every type, in the game on the grid.

As `home_battery.exact`, with W of (type, hour, charge, action): dJ/dp_mh = direct + Σ W ∇ r_F.
A house changes J as if its leader's reward were -κ (e² + 2 e M), M the mean energy of all other
houses in that hour of a day of that type.
"""

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.exact import Hypergradient
from bilevelrl.problems.home_battery.day_kernels import advantages, flow, occupy
from bilevelrl.problems.home_battery.exact import MAX_DAYS, TOLERANCE, Days, check_converged
from bilevelrl.problems.home_battery.varying_days.problem import VaryingDays


def typed_days(problem: VaryingDays, policy: Floats) -> Days:
    """The mean days under a policy, shape (R, H, K, 24, C, A).

    Raises:
        NotConverged: if the charge at midnight does not become stationary.
    """
    grid, houses = problem.houses.grid, problem.houses
    rows = policy.reshape(-1, *policy.shape[2:])
    occupancy, residual = np.empty(rows.shape[:4]), np.empty(len(rows))
    occupy(
        rows, grid.lower, grid.share, problem.types.probability, houses.leader_discount, TOLERANCE,
        MAX_DAYS, occupancy, residual,
    )  # fmt: skip
    check_converged(residual, "occupancy")
    occupied = occupancy.reshape(policy.shape[:5])
    given = occupied / problem.types.probability[:, None, None]
    played = given[..., None] * policy
    net, mean = problem.net, (played * grid.energy).sum(axis=(4, 5))
    square = (played * np.square(grid.energy)).sum(axis=(4, 5))
    return Days(
        occupied,
        net + mean,
        np.square(net) + problem.variance + 2.0 * net * mean + square,
        (played * problem.bought).sum(axis=(4, 5)),
        (played * grid.lost).sum(axis=(4, 5)),
        (given * grid.charge).sum(axis=4),
    )


def peak_cost(problem: VaryingDays, days: Days) -> Floats:
    """κ E[Σ_h γ_L^h (Σ_houses e)²] in $ per day, a mean over types, shape (R,)."""
    squares = (days.total_square * problem.price_weights).sum(axis=(1, 2))
    cost: Floats = problem.houses.peak_weight * squares
    return cost


def leader_return(problem: VaryingDays, prices: Floats, days: Days) -> Floats:
    """J of prices (R, K, 24) in $ per day, shape (R,)."""
    return -peak_cost(problem, days) - problem.tariff_cost(prices)


def components(problem: VaryingDays, prices: Floats, days: Days) -> dict[str, Floats]:
    """What J and the day consist of, by name, each (R,), as `home_battery.exact.components`.

    Means over types, but for `peak` and `lowest`, the extremes over hours of all of them.
    """
    total, likely = days.total, problem.types.probability[:, None]
    return {
        "peak_cost": peak_cost(problem, days),
        "tariff_cost": problem.tariff_cost(prices),
        "peak": total.max(axis=(1, 2)),
        "lowest": total.min(axis=(1, 2)),
        "bill": (prices[:, None] * days.bought * likely).sum(axis=(2, 3)).mean(axis=1),
        "bought": (days.bought * likely).sum(axis=(2, 3)).mean(axis=1),
        "lost": (days.lost * likely).sum(axis=(2, 3)).mean(axis=1),
        "mean_price": (prices * likely).sum(axis=(1, 2)) / prices.shape[2],
    }


def price_gradient(
    problem: VaryingDays, prices: Floats, policy: Floats, temperature: Floats
) -> Hypergradient:
    """dJ/dp of every type and hour, if `policy` is the houses' best response to the prices.

    Prices and both parts have the shape (R, K, 24), in $/kWh and $ per day per $/kWh; `policy` has
    (R, H, K, 24, C, A) and `temperature` β (R,).

    Raises:
        NotConverged: if the days do not become stationary.
    """
    houses, grid, likely = problem.houses, problem.houses.grid, problem.types.probability
    days = typed_days(problem, policy)
    net, variance, others = (
        each[..., None, None] for each in (problem.net, problem.variance, days.others)
    )
    energy = net + grid.energy
    reward = -houses.peak_weight * (energy * (energy + 2.0 * others) + variance)
    rows, rewards = (each.reshape(-1, *each.shape[2:]) for each in (policy, reward))
    injected, residual = np.empty_like(rows), np.empty(len(rows))
    advantages(
        rows, rewards, grid.lower, grid.share, likely, houses.leader_discount, TOLERANCE,
        MAX_DAYS, injected, residual,
    )  # fmt: skip
    check_converged(residual, "advantages")
    scale = houses.day_weights[:, None] * days.occupancy / temperature[:, None, None, None, None]
    injected *= (scale[..., None] * policy).reshape(rows.shape)
    weights = rewards  # its memory is no longer needed
    flow(
        rows, injected, grid.lower, grid.share, likely, houses.follower_discount, TOLERANCE,
        MAX_DAYS, weights, residual,
    )  # fmt: skip
    check_converged(residual, "flow")
    indirect = -(weights.reshape(policy.shape) * problem.bought).sum(axis=(1, 4, 5))
    return Hypergradient(
        problem.tariff_slope(prices), indirect, leader_return(problem, prices, days)
    )
