"""The best response of a regulator that is paid a share of the leader's reward, step by step.

The leader's reward is a bump, so that the paid follower is no linear regulator; but if A x + C a
lies on a line, p e with a unit vector e, the follower's plans depend on p alone. With W the soft
value of the follower at p after the leader has acted, and W⁰ that without pay,

    W_t(p) = W⁰(p) + D_t(p),   D_t(p) = β log E_{u ~ π⁰(p)}[exp(γ_F N_{t+1}(e p + B u) / β)],
    N_t(x) = ε (γ_L / γ_F)^t r_L(x) 1[t < H] + E_ξ[D_t(e'(A + C K) x + W e'C ξ)].

What it plays is π⁰ times the same exponential. D is kept on a grid of p, between whose points it is
a cubic; draws of u are quadrature points around the mean of π⁰.
"""

from dataclasses import dataclass

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import kernel, parallel_kernel
from bilevelrl.problems.bilevel_lqr.follower import LinearGaussianResponse
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR

#: Points of p, and how far they reach from 0; points of u, in standard deviations of π⁰.
GRID_POINTS, REACH = 241, 3.0
DRAWS, SPREAD = 61, 6.0
#: Steps after the episode that what was paid in it still shows.
AFTER = 40
#: Between two draws of u, in standard deviations of π⁰.
SPREAD_STEP = 2.0 * SPREAD / (DRAWS - 1)
#: Three points that integrate polynomials of fifth degree against a normal density.
NOISE_POINTS = np.array([-np.sqrt(3.0), 0.0, np.sqrt(3.0)])
NOISE_WEIGHTS = np.array([1.0 / 6.0, 2.0 / 3.0, 1.0 / 6.0])


@dataclass(frozen=True, eq=False)
class Line:
    """The line on which A x + C a lies.

    Attributes:
        direction: e, shape (n,).
        noise: standard deviation of p by the leader's noise.
        lever: e'C, shape (l,).
    """

    direction: Floats
    noise: float
    lever: Floats


def line_of(problem: BilevelLQR) -> Line:
    """The line of a problem.

    Raises:
        ValueError: if A x + C a reaches more than a line, or there are several follower's actions.
    """
    reach = np.concatenate([problem.state_matrix, problem.leader_matrix], axis=1)
    rank, controls = int(np.linalg.matrix_rank(reach)), problem.follower_matrix.shape[1]
    if rank != 1 or controls != 1:
        raise ValueError(
            f"state_matrix and leader_matrix reach {rank} dimensions, with {controls} follower's "
            "actions: a paid follower is solved for 1 of both"
        )
    direction = np.linalg.svd(reach)[0][:, 0]
    lever = direction @ problem.leader_matrix
    return Line(direction, problem.leader_noise * float(np.linalg.norm(lever)), lever)


@kernel
def interpolate(table, p):  # type: ignore[no-untyped-def]
    """Value and slope at p of a table on the grid, both 0 outside."""
    step = 2.0 * REACH / (GRID_POINTS - 1)
    place = (p + REACH) / step
    i = int(np.floor(place))
    if i < 1 or i > GRID_POINTS - 3:
        return 0.0, 0.0
    f = place - i
    a, b, c, d = table[i - 1], table[i], table[i + 1], table[i + 2]
    # Lagrange's cubic through four points.
    third = (d - a) / 6.0 + 0.5 * (b - c)
    second = 0.5 * (a + c) - b
    first = c - a / 3.0 - 0.5 * b - d / 6.0
    return b + f * (first + f * (second + f * third)), (
        first + f * (2.0 * second + 3.0 * f * third)
    ) / step


@kernel
def bump(x, target, scale):  # type: ignore[no-untyped-def]
    """exp(-½ Σ_i (x_i - x*_i)² / σ_i²), of arrays of shape (n,)."""
    distance = 0.0
    for i in range(len(x)):
        distance += ((x[i] - target[i]) / scale[i]) ** 2
    return np.exp(-0.5 * distance)


@kernel
def tilted(  # type: ignore[no-untyped-def]
    p, gain, spread, direction, actuator, drift, noise, target, scale, pay, discount, temperature,
    following, weight, state,
):  # fmt: skip
    """Fill weights, shape (DRAWS,), of the draws of u at p, and the states that they lead to.

    `pay` is ε (γ_L / γ_F)^t scale of r_L in the next state, and `following` D there. Returns D(p).
    """
    top = -np.inf
    for k in range(DRAWS):
        z = SPREAD * (2.0 * k / (DRAWS - 1) - 1.0)
        u = -gain * p + spread * z
        ahead = 0.0
        for i in range(len(direction)):
            state[k, i] = direction[i] * p + actuator[i] * u
            ahead += drift[i] * state[k, i]
        worth = pay * bump(state[k], target, scale) if pay != 0.0 else 0.0
        for j in range(3):
            worth += NOISE_WEIGHTS[j] * interpolate(following, ahead + noise * NOISE_POINTS[j])[0]
        weight[k] = discount * worth / temperature - 0.5 * z * z
        top = max(top, weight[k])
    total, plain = 0.0, 0.0
    for k in range(DRAWS):
        z = SPREAD * (2.0 * k / (DRAWS - 1) - 1.0)
        weight[k] = np.exp(weight[k] - top)
        total += weight[k]
        plain += np.exp(-0.5 * z * z)
    for k in range(DRAWS):
        weight[k] /= total
    return temperature * (top + np.log(total / plain))


@parallel_kernel
def _solve(  # type: ignore[no-untyped-def]
    gain, spread, direction, actuator, drift, noise, target, scale, reward_scale, epsilon, ratio,
    discount, temperature, table,
):  # fmt: skip
    runs, horizon, _ = table.shape
    for r in numba.prange(runs):
        weight, state = np.empty(DRAWS), np.empty((DRAWS, len(direction)))
        nothing = np.zeros(GRID_POINTS)
        for t in range(horizon - 1, -1, -1):
            paid = t + 1 < horizon
            pay = epsilon[r] * reward_scale * ratio ** (t + 1) if paid else 0.0
            following = table[r, t + 1] if paid else nothing
            for i in range(GRID_POINTS):
                p = REACH * (2.0 * i / (GRID_POINTS - 1) - 1.0)
                table[r, t, i] = tilted(
                    p, gain[r], spread[r], direction, actuator, drift[r], noise, target, scale,
                    pay, discount, temperature[r], following, weight, state,
                )  # fmt: skip


@dataclass(frozen=True, eq=False)
class PaidRegulator:
    """How paid followers play.

    Attributes:
        line: of the problem.
        gain: π⁰ has mean -gain p, shape (R,).
        spread: standard deviation of π⁰, shape (R,).
        drift: e'(A + C K), shape (R, n).
        curvature: W⁰(p) = -curvature p² and a constant, shape (R,).
        table: D_t on the grid, shape (R, H, GRID_POINTS).
    """

    line: Line
    gain: Floats
    spread: Floats
    drift: Floats
    curvature: Floats
    table: Floats


def paid_regulator(
    problem: BilevelLQR,
    theta: Floats,
    response: LinearGaussianResponse,
    epsilon: Floats,
    temperature: Floats,
) -> PaidRegulator:
    """The answer to θ, shape (R, D), and pay ε of either sign, shape (R,).

    Args:
        problem: the bi-level problem.
        theta: what the leader does.
        response: the best response without pay.
        epsilon: ε of each run.
        temperature: β of each run, shape (R,).

    Raises:
        ValueError: see `line_of`.
    """
    line = line_of(problem)
    closed = problem.state_matrix + problem.leader_matrix @ problem.gain(theta)
    gain = (response.noise_gain @ line.direction)[:, 0]
    spread = np.sqrt(response.covariance[:, 0, 0])
    # What is left of the costs of a push, xᵀ P_aa x, along the line.
    curvature = np.einsum("i,rij,j->r", line.direction, response.noise, line.direction)
    found = PaidRegulator(
        line, gain, spread, np.einsum("i,rij->rj", line.direction, closed), curvature,
        np.zeros((len(theta), problem.max_episode_steps, GRID_POINTS)),
    )  # fmt: skip
    _solve(
        gain, spread, line.direction, problem.follower_matrix[:, 0].copy(), found.drift, line.noise,
        problem.target, problem.target_scale, problem.leader_reward_scale, epsilon,
        problem.leader_discount / problem.follower_discount, problem.follower_discount, temperature,
        found.table,
    )  # fmt: skip
    return found
