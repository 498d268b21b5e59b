"""The perturbed follower of BilevelLQR: pay it ε of the leader's reward, and let it answer.

What the paid follower expects, W(θ, ε), has ∂W/∂ε = J at ε = 0, and second derivatives commute:

    dJ/dK = d/dε|_0 G(ε),   G(ε) = E_{π_ε}[Σ_t γ_F^t W_t'(p_t) (e'C)ᵀ x_tᵀ],

with p_t = e'(A x_t + C a_t) and W_t(p) of `paid_follower`. The leader's own part comes with it. It
is the derivative behind penalty methods (arXiv 2402.06886).
"""

from dataclasses import dataclass

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import kernel, parallel_kernel
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.perturbed_follower import derivative
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.bilevel_lqr.follower import LinearGaussianResponse
from bilevelrl.problems.bilevel_lqr.paid_follower import (
    AFTER,
    DRAWS,
    GRID_POINTS,
    NOISE_POINTS,
    NOISE_WEIGHTS,
    REACH,
    SPREAD_STEP,
    PaidRegulator,
    bump,
    interpolate,
    paid_regulator,
    tilted,
)
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR


@kernel
def _deposit(mass, p, share):  # type: ignore[no-untyped-def]
    # Adds a share of a distribution at p, so that sums with tables on the grid are interpolations.
    step = 2.0 * REACH / (GRID_POINTS - 1)
    place = (p + REACH) / step
    i = int(np.floor(place))
    if i < 1 or i > GRID_POINTS - 3:
        return
    f = place - i
    mass[i - 1] -= share * f * (f - 1.0) * (f - 2.0) / 6.0
    mass[i] += share * (f + 1.0) * (f - 1.0) * (f - 2.0) / 2.0
    mass[i + 1] -= share * (f + 1.0) * f * (f - 2.0) / 2.0
    mass[i + 2] += share * (f + 1.0) * f * (f - 1.0) / 6.0


@parallel_kernel
def _means(  # type: ignore[no-untyped-def]
    gain, spread, direction, actuator, drift, noise, curvature, target, scale, reward_scale,
    epsilon, ratio, discount, temperature, table, first, after, moved,
):  # fmt: skip
    runs, horizon, _ = table.shape
    n = len(direction)
    for r in numba.prange(runs):
        weight, state = np.empty(DRAWS), np.empty((DRAWS, n))
        nothing, mass = np.zeros(GRID_POINTS), np.zeros(GRID_POINTS)
        moved[r] = 0.0
        start = 0.0
        for i in range(n):
            start += drift[r, i] * first[i]
        for j in range(3):
            p = start + noise * NOISE_POINTS[j]
            slope = interpolate(table[r, 0], p)[1] - 2.0 * curvature[r] * p
            _deposit(mass, p, NOISE_WEIGHTS[j])
            for i in range(n):
                moved[r, i] += NOISE_WEIGHTS[j] * slope * first[i]
        discounted = 1.0
        for t in range(horizon + after):
            discounted *= discount
            following = table[r, t + 1] if t + 1 < horizon else nothing
            pay = epsilon[r] * reward_scale * ratio ** (t + 1) if t + 1 < horizon else 0.0
            arriving = np.zeros(GRID_POINTS)
            for i in range(GRID_POINTS):
                if abs(mass[i]) < 1e-15:
                    continue
                p = REACH * (2.0 * i / (GRID_POINTS - 1) - 1.0)
                tilted(
                    p, gain[r], spread[r], direction, actuator, drift[r], noise, target, scale,
                    pay, discount, temperature[r], following, weight, state,
                )  # fmt: skip
                for k in range(DRAWS):
                    ahead = 0.0
                    for c in range(n):
                        ahead += drift[r, c] * state[k, c]
                    for j in range(3):
                        there = ahead + noise * NOISE_POINTS[j]
                        share = mass[i] * weight[k] * NOISE_WEIGHTS[j]
                        slope = interpolate(following, there)[1] - 2.0 * curvature[r] * there
                        _deposit(arriving, there, share)
                        for c in range(n):
                            moved[r, c] += discounted * share * slope * state[k, c]
            mass[:] = arriving


@parallel_kernel
def _episodes(  # type: ignore[no-untyped-def]
    gain, spread, direction, actuator, drift, noise, curvature, target, scale, reward_scale,
    epsilon, ratio, discount, temperature, table, first, leader_discount, uniforms, normals,
    moved, returned,
):  # fmt: skip
    runs, horizon, _ = table.shape
    episodes, n = uniforms.shape[1], len(direction)
    for r in numba.prange(runs):
        weight, state = np.empty(DRAWS), np.empty((DRAWS, n))
        nothing, here = np.zeros(GRID_POINTS), np.empty(n)
        moved[r], returned[r] = 0.0, 0.0
        for e in range(episodes):
            here[:] = first
            for t in range(horizon):
                p = noise * normals[r, e, t]
                for i in range(n):
                    p += drift[r, i] * here[i]
                slope = interpolate(table[r, t], p)[1] - 2.0 * curvature[r] * p
                for i in range(n):
                    moved[r, i] += discount**t * slope * here[i] / episodes
                reward = reward_scale * bump(here, target, scale)
                returned[r] += leader_discount**t * reward / episodes
                following = table[r, t + 1] if t + 1 < horizon else nothing
                pay = epsilon[r] * reward_scale * ratio ** (t + 1) if t + 1 < horizon else 0.0
                tilted(
                    p, gain[r], spread[r], direction, actuator, drift[r], noise, target, scale,
                    pay, discount, temperature[r], following, weight, state,
                )  # fmt: skip
                # Between two draws, so that the outcome moves smoothly with the payment.
                left, k = uniforms[r, e, t], 0
                while k < DRAWS - 1 and left >= weight[k]:
                    left -= weight[k]
                    k += 1
                within = left / weight[k] - 0.5 if weight[k] > 0.0 else 0.0
                z = SPREAD_STEP * within
                for i in range(n):
                    here[i] = state[k, i] + actuator[i] * spread[r] * z


@dataclass(frozen=True, eq=False)
class PerturbedRegulator:
    """Implements `core.estimator.Estimator`, by `core.perturbed_follower`.

    All of it is in `indirect`: the quotient cannot be split. The sampled return is off by O(ε²),
    O(ε) one-sided. Runs with one θ, β and ε share an answer.

    Attributes:
        problem: the bi-level problem.
        temperature: β of each run, shape (R,).
        epsilon: ε of each run, without unit, shape (R,). Late steps pay (γ_L / γ_F)^t as much.
        num_episodes: that each answer is watched for; None takes exact means.
        two_sided: the quotient of error O(ε²), from a follower that is paid and charged.
        common: whether the answers share their random numbers.
    """

    problem: BilevelLQR
    temperature: Floats
    epsilon: Floats
    num_episodes: int | None = None
    two_sided: bool = True
    common: bool = True

    def start(self, streams: Streams) -> Memory:
        """Nothing is remembered."""
        del streams
        return {}

    def estimate(
        self, theta: Floats, response: LinearGaussianResponse, memory: Memory, streams: Streams
    ) -> Estimate:
        """Two answers, and how their plans move with the leader's gain.

        Raises:
            ValueError: if an ε is not positive, or see `paid_follower.line_of`.
        """
        del memory
        other = -self.epsilon if self.two_sided else np.zeros_like(self.epsilon)
        numbers: tuple[Floats, Floats] | None = None
        seen, returned = [], []
        for epsilon in (self.epsilon, other):
            paid = self._paid(theta, response, epsilon)
            if self.num_episodes is not None and (numbers is None or not self.common):
                shape = (self.num_episodes, self.problem.max_episode_steps)
                numbers = streams.uniforms("rollout", shape), streams.normals("rollout", shape)
            moved, mean = self._moved(paid, epsilon, numbers)
            seen.append((moved[:, None, :] * paid.line.lever[:, None]).reshape(theta.shape))
            returned.append(mean)

        def answer(epsilon: Floats) -> Floats:
            return seen[0] if (epsilon > 0.0).all() else seen[1]

        indirect = derivative(answer, self.epsilon, None if self.two_sided else seen[1])
        sampled = 0.5 * (returned[0] + returned[1]) if self.two_sided else returned[1]
        steps = 2 * self.problem.max_episode_steps * (self.num_episodes or 0)
        return Estimate(np.zeros_like(theta), indirect, sampled, env_steps=steps)

    def _paid(
        self, theta: Floats, response: LinearGaussianResponse, epsilon: Floats
    ) -> PaidRegulator:
        keys = np.column_stack([theta, self.temperature, epsilon])
        _, first, place = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        own = {name: value[first] for name, value in vars(response).items() if name != "steps"}
        few = paid_regulator(
            self.problem, theta[first], LinearGaussianResponse(**own), epsilon[first],
            self.temperature[first],
        )  # fmt: skip
        every = place.ravel()
        return PaidRegulator(
            few.line, few.gain[every], few.spread[every], few.drift[every], few.curvature[every],
            few.table[every],
        )  # fmt: skip

    def _moved(
        self, paid: PaidRegulator, epsilon: Floats, numbers: tuple[Floats, Floats] | None
    ) -> tuple[Floats, Floats]:
        problem, line = self.problem, paid.line
        moved = np.empty_like(paid.drift)
        returned = np.full(len(moved), np.nan)
        known = (
            paid.gain, paid.spread, line.direction, problem.follower_matrix[:, 0].copy(),
            paid.drift, line.noise, paid.curvature, problem.target, problem.target_scale,
            problem.leader_reward_scale, epsilon,
            problem.leader_discount / problem.follower_discount, problem.follower_discount,
            self.temperature, paid.table, problem.initial_state,
        )  # fmt: skip
        if numbers is None:
            _means(*known, AFTER, moved)
        else:
            _episodes(*known, problem.leader_discount, *numbers, moved, returned)
        return moved, returned
