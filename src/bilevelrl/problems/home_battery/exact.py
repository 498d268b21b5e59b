"""J, what it consists of, and its hypergradient, in the game on the grid.

With d_h(c) the discounted midnights of `day_kernels.occupy` moved on to hour h, and A_L the
leader's advantage,

    ∂J/∂Q_F(h, c, a) = γ_L^h d_h(c) π A_L / β = I(h, c, a),    dJ/dθ = direct + Σ W ∇_θ r_F,

W being I and all that it leads to under π, with γ_F per hour (`day_kernels.flow`).

Houses are independent, so that E[(Σ_i e_i)²] = (Σ_i E e_i)² + Σ_i Var e_i. A house changes J as if
its leader's reward were -κ (e² + 2 e M), M the mean energy of all other houses in that hour.
"""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.exact import Hypergradient
from bilevelrl.core.follower import NotConverged
from bilevelrl.problems.home_battery.day_kernels import advantages, flow, occupy
from bilevelrl.problems.home_battery.kernels import evaluate
from bilevelrl.problems.home_battery.problem import HomeBattery

#: Of probabilities, values in $, and weights: change within the last of repeated days.
TOLERANCE = 1e-13
MAX_DAYS = 5000
#: Probability of the one type of days that are drawn alike.
_ALIKE = np.ones(1)


@dataclass(frozen=True, eq=False)
class Days:
    """The mean day of H houses in R runs.

    Where days are of K types, arrays have an axis of types before the 24 hours, and means are those
    of a day of the type; only the occupancy then sums to the probability of the type.

    Attributes:
        occupancy: d_h(c), shape (R, H, [K,] 24, C).
        energy: E[e] from the grid, kWh, shape (R, H, [K,] 24).
        square: E[e²], kWh², shape (R, H, [K,] 24).
        bought: E[max(e, 0)], kWh, shape (R, H, [K,] 24).
        lost: energy that the battery turns into heat, kWh, shape (R, H, [K,] 24).
        charge: E[c] at the beginning of the hour, kWh, shape (R, H, [K,] 24).
    """

    occupancy: Floats
    energy: Floats
    square: Floats
    bought: Floats
    lost: Floats
    charge: Floats

    @property
    def total(self) -> Floats:
        """E[Σ_houses e], kWh, shape (R, [K,] 24)."""
        total: Floats = self.energy.sum(axis=1)
        return total

    @property
    def total_square(self) -> Floats:
        """E[(Σ_houses e)²], kWh², shape (R, [K,] 24)."""
        spread = (self.square - np.square(self.energy)).sum(axis=1)
        square: Floats = np.square(self.total) + spread
        return square

    @property
    def others(self) -> Floats:
        """Mean energy of all other houses, kWh, shape (R, H, [K,] 24)."""
        others: Floats = self.total[:, None] - self.energy
        return others


def mean_day(problem: HomeBattery, policy: Floats, discount: float | None = None) -> Days:
    """The mean day under a policy, shape (R, H, 24, C, A), with γ_L unless told another discount.

    Raises:
        NotConverged: if the charge at midnight does not become stationary.
    """
    grid = problem.grid
    rows = policy.reshape(-1, *policy.shape[2:])
    occupancy, residual = np.empty((len(rows), 1, *rows.shape[1:3])), np.empty(len(rows))
    gamma = problem.leader_discount if discount is None else discount
    occupy(
        rows[:, None], grid.lower, grid.share, _ALIKE, gamma, TOLERANCE, MAX_DAYS, occupancy,
        residual,
    )  # fmt: skip
    check_converged(residual, "occupancy")
    occupied = occupancy.reshape(policy.shape[:4])
    played = occupied[..., None] * policy
    net, variance = problem.demand.mean, problem.demand.variance
    mean, square = _sums(played, grid.energy), _sums(played, np.square(grid.energy))
    return Days(
        occupied,
        net + mean,
        np.square(net) + variance + 2.0 * net * mean + square,
        (played * problem.bought).sum(axis=(3, 4)),
        _sums(played, grid.lost),
        (occupied * grid.charge).sum(axis=3),
    )


def _sums(played: Floats, table: Floats) -> Floats:
    total: Floats = (played * table).sum(axis=(3, 4))
    return total


def check_converged(residual: Floats, name: str, tolerance: float = TOLERANCE) -> None:
    """Raise a `NotConverged` that names the kernel unless it changed by no more in its last day."""
    worst = residual.max(initial=0.0)
    if not worst <= tolerance:
        raise NotConverged(f"{name}: still changes by {worst} in day {MAX_DAYS}")


def leader_return(problem: HomeBattery, theta: Floats, days: Days) -> Floats:
    """J(θ) in $ per day, shape (R,)."""
    return -peak_cost(problem, days) - problem.tariff_cost(theta)


def peak_cost(problem: HomeBattery, days: Days) -> Floats:
    """κ E[Σ_h γ_L^h (Σ_houses e)²] in $ per day, shape (R,)."""
    cost: Floats = problem.peak_weight * (days.total_square * problem.day_weights).sum(axis=1)
    return cost


def components(problem: HomeBattery, theta: Floats, days: Days) -> dict[str, Floats]:
    """What J and the day consist of, by name, each (R,).

    `peak_cost` and `tariff_cost` in $ are what J lacks; `peak` is the largest mean energy of an
    hour and `lowest` the smallest, kWh, all houses together; `bill` in $, `bought` and `lost` in
    kWh are means over the houses of a day; `mean_price` is in $/kWh.
    """
    return {
        "peak_cost": peak_cost(problem, days),
        "tariff_cost": problem.tariff_cost(theta),
        "peak": days.total.max(axis=1),
        "lowest": days.total.min(axis=1),
        "bill": (theta[:, None] * days.bought).sum(axis=2).mean(axis=1),
        "bought": days.bought.sum(axis=2).mean(axis=1),
        "lost": days.lost.sum(axis=2).mean(axis=1),
        "mean_price": theta.sum(axis=1) / theta.shape[1],
    }


def leader_rewards(problem: HomeBattery, others: Floats) -> Floats:
    """-κ E[e² + 2 e M] of hour, charge and action, shape (R, H, 24, C, A), in $.

    M is the energy of the other houses, shape (R, H, 24), and E the mean over this hour's noise.
    """
    demand = problem.demand
    net, variance = (each[..., None, None] for each in (demand.mean, demand.variance))
    mean = net + problem.grid.energy
    reward: Floats = -problem.peak_weight * (
        np.square(mean) + variance + 2.0 * others[..., None, None] * mean
    )
    return reward


def leader_advantages(problem: HomeBattery, policy: Floats, reward: Floats) -> Floats:
    """A_L(h, c, a) in $ of `leader_rewards`, shape (R, H, 24, C, A).

    Raises:
        NotConverged: if relative values do not become stationary.
    """
    grid = problem.grid
    rows, rewards = (each.reshape(-1, *each.shape[2:]) for each in (policy, reward))
    advantage, residual = np.empty_like(rows), np.empty(len(rows))
    advantages(
        rows[:, None], rewards[:, None], grid.lower, grid.share, _ALIKE, problem.leader_discount,
        TOLERANCE, MAX_DAYS, advantage[:, None], residual,
    )  # fmt: skip
    check_converged(residual, "leader_advantages")
    return advantage.reshape(policy.shape)


def start_value(problem: HomeBattery, policy: Floats, reward: Floats) -> Floats:
    """Σ_t γ_F^t r(t) of every house from an empty battery at midnight, in $, shape (R, H).

    Policy and reward of hour, charge and action have the shape (R, H, 24, C, A).

    Raises:
        NotConverged: if the value does not become stationary.
    """
    grid = problem.grid
    rows, rewards = (each.reshape(-1, *each.shape[2:]) for each in (policy, reward))
    value, residual = np.empty(rows.shape[:3]), np.empty(len(rows))
    evaluate(
        rows, rewards, grid.lower, grid.share, problem.follower_discount, 1e-10, MAX_DAYS, value,
        residual,
    )  # fmt: skip
    check_converged(residual, "start_value", 1e-10)
    return value[:, 0, 0].reshape(policy.shape[:2])


def reward_weights(
    problem: HomeBattery, policy: Floats, occupancy: Floats, advantage: Floats, temperature: Floats
) -> Floats:
    """W(h, c, a) = ∂J/∂r_F(h, c, a) through the best response, shape (R, H, 24, C, A).

    Raises:
        NotConverged: if the flow does not die out.
    """
    grid = problem.grid
    scale = problem.day_weights[:, None] * occupancy / temperature[:, None, None, None]
    injected = scale[..., None] * policy * advantage
    rows, injections = (each.reshape(-1, *each.shape[2:]) for each in (policy, injected))
    weights, residual = np.empty_like(rows), np.empty(len(rows))
    flow(
        rows[:, None], injections[:, None], grid.lower, grid.share, _ALIKE,
        problem.follower_discount, TOLERANCE, MAX_DAYS, weights[:, None], residual,
    )  # fmt: skip
    check_converged(residual, "reward_weights")
    return weights.reshape(policy.shape)


def pulled_back(problem: HomeBattery, weights: Floats) -> Floats:
    """Σ W ∇_θ r_F of hour h, for weights (R, H, 24, C, A), shape (R, 24)."""
    slope: Floats = -(weights * problem.bought).sum(axis=(1, 3, 4))
    return slope


def exact_hypergradient(
    problem: HomeBattery, theta: Floats, policy: Floats, temperature: Floats
) -> Hypergradient:
    """The hypergradient in $ per day per $/kWh, if `policy` is the houses' best response to θ.

    θ has the shape (R, 24), `policy` (R, H, 24, C, A) and `temperature` β (R,).

    Raises:
        NotConverged: if the days do not become stationary.
    """
    days = mean_day(problem, policy)
    reward = leader_rewards(problem, days.others)
    advantage = leader_advantages(problem, policy, reward)
    weights = reward_weights(problem, policy, days.occupancy, advantage, temperature)
    return Hypergradient(
        problem.tariff_slope(theta),
        pulled_back(problem, weights),
        leader_return(problem, theta, days),
    )
