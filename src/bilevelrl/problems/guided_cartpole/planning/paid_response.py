"""The best response on the grid of a follower that is paid ε of the leader's reward, step by step.

The leader counts T steps with γ_L, the follower all steps with γ_F. For the payments to be worth
ε J to the follower, step t < T pays ε (γ_L / γ_F)^t r_L, and later steps pay nothing:

    v_t(s) = ε (γ_L / γ_F)^t r_L(s) + Σ_w f(w|s) V_t(s, w),   v_T = v_F,
    V_t(s, w) = r_F + β log ∫ exp(γ_F v_{t+1}(s') / β) du.

What it expects, W(θ, ε), has ∂W/∂ε = J at ε = 0. θ acts through the leader's own choices, so that

    dJ/dθ = d/dε|_0 G(ε),   G(ε) = ∂W/∂θ = E_{π_ε}[Σ_t γ_F^t Σ_w ∇f(w|s_t) V_t(s_t, w)],

and the direct term comes with it: the payments in V_t are the leader's rewards.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.perturbed_follower import derivative
from bilevelrl.problems.guided_cartpole.planning.best_response import BestResponse, solve
from bilevelrl.problems.guided_cartpole.planning.grid import Singles
from bilevelrl.problems.guided_cartpole.planning.kernels import soft_backup
from bilevelrl.problems.guided_cartpole.planning.planner import Planner

#: Steps of GMRES for where the follower is after the episode, and the accuracy at which it stops.
_FLOW_SWEEPS, _FLOW_ACCURACY = 80, 1e-5


@dataclass(frozen=True, eq=False)
class _Backup:
    # One soft backup of v, shape (K, L, N), see `kernels.soft_backup`.
    value: Singles
    expected: Singles
    chain: Singles


@dataclass(frozen=True, eq=False)
class PaidFollower:
    """One θ and its follower, who may be paid, in the game on the grid.

    Attributes:
        planner: the grid.
        theta: shape (D,).
        response: the best response without pay.
        temperature: β.
        discounts: γ_L and γ_F.
        horizon: T.
    """

    planner: Planner
    theta: Floats
    response: BestResponse
    temperature: float
    discounts: tuple[float, float]
    horizon: int

    def derivative(self, epsilon: float, *, two_sided: bool = True) -> Floats:
        """The quotient for dJ/dθ, shape (D,), see `core.perturbed_follower`.

        Raises:
            ValueError: if ε is not positive.
        """

        def answer(share: Floats) -> Floats:
            return self.moved(float(share[0]))[None]

        at_zero = None if two_sided else self.moved(0.0)[None]
        found: Floats = derivative(answer, np.array([epsilon]), at_zero)[0]
        return found

    def moved(self, epsilon: float) -> Floats:
        """G(ε), shape (D,), less what it has after the episode without pay, of which ε is no part.

        V is in single precision, whose error a quotient divides by ε.
        """
        weights, arrived = self._unpaid if epsilon == 0.0 else self._watched(epsilon)
        more = arrived - self._unpaid[1]
        if more.any():
            weights = weights + self.afterwards(more)
        return self.planner.pull_back(self.theta, self.response.leader, weights)

    def afterwards(self, arrived: Singles) -> Floats:
        """What mass (K, L, N) at the end of an episode adds to G later, see `Planner.pull_back`.

        Shape (K, L, A, N). Nobody is paid then, and the follower goes on without end.
        """
        gamma = self.discounts[1]

        def not_yet(of: Singles) -> Singles:
            return of - np.float32(gamma) * self.planner.pushed(of, self.response.chain)

        later = solve(not_yet, arrived, _FLOW_SWEEPS, _FLOW_ACCURACY)
        own = self._centred(self.response.expected)
        weights: Floats = gamma**self.horizon * later[:, :, None] * own
        return weights

    def values(self, epsilon: float) -> Singles:
        """v_t of the follower that is paid, t from 0 to T, shape (T + 1, K, L, N)."""
        leader_gamma, gamma = self.discounts
        pay = epsilon * (leader_gamma / gamma) ** np.arange(self.horizon)
        values = np.repeat(self.response.value[None], self.horizon + 1, axis=0)
        for t in range(self.horizon - 1, -1, -1) if epsilon else ():
            values[t] = self._backed_up(values[t + 1]).value - self._defect
            values[t] += np.float32(pay[t]) * self.planner.grid.reward
        return values

    @cached_property
    def _unpaid(self) -> tuple[Floats, Singles]:
        return self._watched(0.0)

    @cached_property
    def _defect(self) -> Singles:
        # What a backup changes of v_F, mostly where a value is capped: it is no step of the game.
        change: Singles = self._backed_up(self.response.value).value - self.response.value
        return change

    def _watched(self, epsilon: float) -> tuple[Floats, Singles]:
        """Σ_{t<T} γ_F^t μ_t(s) (V_t - Σ_w f V_t), (K, L, A, N), and μ_T, (K, L, N)."""
        planner, gamma, values = self.planner, self.discounts[1], self.values(epsilon)
        mass, weights = planner.grid.start, np.zeros(self.response.expected.shape)
        backup = self._backed_up(self.response.value)
        for t in range(self.horizon):
            if epsilon:
                backup = self._backed_up(values[t + 1])
            weights += gamma**t * mass[:, :, None] * self._centred(backup.expected)
            mass = planner.pushed(mass, backup.chain)
        return weights, mass

    def _backed_up(self, value: Singles) -> _Backup:
        planner, grid, unpaid = self.planner, self.planner.grid, self.response
        found = _Backup(*(np.empty_like(each) for each in (value, unpaid.expected, unpaid.chain)))
        soft_backup(
            planner.rolled(value), unpaid.leader, grid.base, grid.kick_weight, grid.push_weight,
            np.float32(planner.mechanics.follower_reward), np.float32(self.temperature),
            np.float32(self.discounts[1]), np.full_like(value, np.inf), grid.geometry,
            found.value, found.expected, np.empty_like(unpaid.policy), found.chain,
        )  # fmt: skip
        return found

    def _centred(self, expected: Singles) -> Floats:
        own = expected.astype(np.float64)
        mean = (self.response.leader * own).sum(axis=2, keepdims=True)
        centred: Floats = own - mean
        return centred
