"""BC-HG of a leader that shapes the transition (arXiv 2603.14867).

    indirect = (1/β) E[Σ_t γ^t A_L(t) (∇Q_F(s_t, a_t) - b(s_t))]

A_L is the leader's advantage over the follower's actions, which averages to zero at every state, so
that any baseline b leaves the mean as it is.
"""

from dataclasses import dataclass, field

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import parallel_kernel
from bilevelrl.core.control_variate import ControlVariate
from bilevelrl.core.covariance import expected_covariance_term
from bilevelrl.core.estimator import Memory
from bilevelrl.core.seeding import Streams
from bilevelrl.core.trace import sensitivity_to_come
from bilevelrl.problems.thermal_control.design import ThermalDesign
from bilevelrl.problems.thermal_control.follower import ThermalRegulator
from bilevelrl.problems.thermal_control.transition import Drawn, TransitionDirect


def expected_sensitivity(follower: ThermalRegulator, drawn: Drawn) -> Floats:
    """E[∇_θ Q_F | s, a] - E[∇_θ Q_F | s] of every row, shape (R, N, D).

    With e = a + K s and S = (β/2) Σ⁻¹ this is -(2 eᵀ S ∂K s + eᵀ ∂S e - tr ∂S Σ): what
    the pathwise samples average to under the leader's model of its building.
    """
    theta, response, batch = drawn.theta, drawn.response, drawn.batch
    slopes, half = follower.slopes(theta, response), 0.5 * follower.temperature
    precision = np.linalg.inv(response.covariance)
    # S Σ = β/2, so ∂S = -(β/2) Σ⁻¹ ∂Σ Σ⁻¹.
    inner = precision[:, None] @ slopes.covariance @ precision[:, None]
    curvature = -half[:, None, None, None] * inner
    tilt = 2.0 * half[:, None, None, None] * (precision[:, None] @ slopes.gain)
    result = np.empty((*batch.state.shape[:2], theta.shape[1]))
    mean = (curvature * response.covariance[:, None]).sum(axis=(2, 3))
    error = batch.follower_action + batch.state @ response.gain.mT
    _expected(error, batch.state, tilt, curvature, mean, result)
    return result


@parallel_kernel
def _expected(error, state, tilt, curvature, mean, result):  # type: ignore[no-untyped-def]
    num_runs, num_steps, units = error.shape
    zones, size = state.shape[2], result.shape[2]
    for r in numba.prange(num_runs):
        # The parameters last, so that they are added side by side.
        by_state, by_error = np.empty((units, zones, size)), np.empty((units, units, size))
        for p in range(size):
            by_state[:, :, p], by_error[:, :, p] = tilt[r, p], curvature[r, p]
        for n in range(num_steps):
            total = result[r, n]
            total[:] = mean[r]
            for i in range(units):
                for j in range(zones):
                    product = error[r, n, i] * state[r, n, j]
                    for p in range(size):
                        total[p] -= product * by_state[i, j, p]
                for j in range(units):
                    product = error[r, n, i] * error[r, n, j]
                    for p in range(size):
                        total[p] -= product * by_error[i, j, p]


def control_variate(design: ThermalDesign) -> ControlVariate:
    """A baseline in 1 and all s_i s_j, i <= j, of which ∇_θ V_F is a combination."""
    zones = design.num_zones
    return ControlVariate(1 + zones * (zones + 1) // 2, design.num_parameters)


def _features(state: Floats) -> Floats:
    """What `control_variate` regresses on, shape (R, N, F)."""
    rows, columns = np.triu_indices(state.shape[2])
    products = state[:, :, rows] * state[:, :, columns]
    return np.concatenate([np.ones((*state.shape[:2], 1)), products], axis=2)


@dataclass(frozen=True, eq=False)
class TransitionScore(TransitionDirect):
    """BC-HG.

    Attributes:
        temperature: β of each run, shape (R,).
        control: the baseline b, see `control_variate`; None has none.
        expectation: takes the place of the trace and of the control variate by what the samples of
            the sensitivity average to, see `expected_sensitivity`; None samples.
    """

    temperature: Floats = field(kw_only=True)
    control: ControlVariate | None = None
    expectation: ThermalRegulator | None = None

    def start(self, streams: Streams) -> Memory:
        """What the control variate has seen: nothing."""
        return {} if self.control is None else self.control.start(streams)

    def indirect(self, drawn: Drawn, memory: Memory, streams: Streams) -> Floats:
        """The covariance, shape (R, D); updates `memory` in place."""
        del streams
        injection = drawn.weight * (drawn.values.of_actions() - drawn.values.value)
        if self.expectation is not None:
            expected = expected_sensitivity(self.expectation, drawn)
            return expected_covariance_term(injection, expected, self.temperature)
        own, baseline = self.sensitivity(drawn), None
        if self.control is not None:
            self.control.refresh(memory)
            known, rows = _features(drawn.batch.state), own.rows()
            baseline = self.control.mean(known, injection, memory)
            later = sensitivity_to_come(rows, self.design.max_episode_steps, self.design.discount)
            self.control.see(known, rows + later, memory)
        return own.covariance(injection, self.temperature, baseline)
