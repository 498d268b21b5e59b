"""BC-HG and Naive-PGD of a leader that shapes the transition (arXiv 2603.14867).

θ enters through p(s' | s, a; θ) and a cost of its own, hence

    direct   = E[Σ_t γ^t ∇r_L + Σ_t γ^{t+1} V_L(s_{t+1}) ∇ log p(s_{t+1} | s_t, a_t)],
    indirect = (1/β) E[Σ_k e_k ψ_k],   e_k = γ e_{k-1} + γ^k A_L(k),
    ψ_k      = γ V_F(s_{k+1}) ∇ log p(s_{k+1} | s_k, a_k).

Naive-PGD has no indirect part, and HPGD, in `transition_hpgd`, another one.
"""

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.compilation import parallel_kernel
from bilevelrl.core.control_variate import ControlVariate
from bilevelrl.core.covariance import covariance_term, expected_covariance_term
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.seeding import Streams
from bilevelrl.core.trace import sensitivity_to_come
from bilevelrl.problems.thermal_control.critic import ThermalCritic
from bilevelrl.problems.thermal_control.design import ThermalDesign
from bilevelrl.problems.thermal_control.follower import RegulatorResponse, ThermalRegulator
from bilevelrl.problems.thermal_control.rollout import ThermalBatch
from bilevelrl.problems.thermal_control.transition import Form, finish, sensitivity, weigh

Floats = NDArray[np.float64]


def expected_sensitivity(
    follower: ThermalRegulator, theta: Floats, response: RegulatorResponse, batch: ThermalBatch
) -> Floats:
    """E[∇_θ Q_F | s, a] - E[∇_θ Q_F | s] of every row, shape (R, N, D).

    With e = a + K s and S = (β/2) Σ⁻¹ this is -(2 eᵀ S ∂K s + eᵀ ∂S e - tr ∂S Σ): what
    the pathwise samples average to under the leader's model of its building.
    """
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
    zones = state.shape[2]
    for r in numba.prange(num_runs):
        for n in range(num_steps):
            for p in range(result.shape[2]):
                total = mean[r, p]
                for i in range(units):
                    inner = 0.0
                    for j in range(zones):
                        inner += tilt[r, p, i, j] * state[r, n, j]
                    for j in range(units):
                        inner += curvature[r, p, i, j] * error[r, n, j]
                    total -= error[r, n, i] * inner
                result[r, n, p] = total


def features(state: Floats) -> Floats:
    """1 and all s_i s_j, i <= j, shape (R, N, F): ∇_θ V_F is a combination of them."""
    rows, columns = np.triu_indices(state.shape[2])
    products = state[:, :, rows] * state[:, :, columns]
    return np.concatenate([np.ones((*state.shape[:2], 1)), products], axis=2)


@dataclass(frozen=True, eq=False)
class TransitionScore:
    """BC-HG, and Naive-PGD without a temperature; implements `sampled.Learner`.

    Attributes:
        design: the leader's own; all that the pathwise form needs to know of the problem.
        critic: of Q_L and V_L; V_L is enough for Naive-PGD.
        temperature: β of each run, shape (R,); None leaves the indirect part out.
        form: "score", "centred" or "pathwise", of both parts.
        noise: σ, which the score is made of; the pathwise form does without.
        max_score_norm: clip of each score in the direct part, insulation and airflow apart
            (released code); None clips nothing, which alone is unbiased.
        control: baseline of the follower's side, see `control_variate`; None has none.
        expectation: takes the place of the trace and of the control variate by what the samples of
            the sensitivity average to, see `expected_sensitivity`; None samples.
    """

    design: ThermalDesign
    critic: ThermalCritic
    temperature: Floats | None
    form: Form = "score"
    noise: float | None = None
    max_score_norm: float | None = None
    control: ControlVariate | None = None
    expectation: ThermalRegulator | None = None

    def start(self, streams: Streams) -> Memory:
        """What the control variate has seen: nothing."""
        return {} if self.control is None else self.control.start(streams)

    def acts_at_random(self, memory: Memory) -> bool:
        """The leader does not act."""
        del memory
        return False

    def learn(
        self,
        theta: Floats,
        response: RegulatorResponse,
        batch: ThermalBatch,
        memory: Memory,
        streams: Streams,
    ) -> Estimate:
        """Estimate both parts from a batch under θ; updates `memory` in place."""
        drawn = weigh(self, theta, response, batch, streams)
        if self.temperature is None:
            return finish(self, theta, drawn, np.zeros_like(theta))
        assert drawn.values.action_value is not None  # the critic is chosen by the cell
        horizon, discount = self.design.max_episode_steps, self.design.discount
        injection = drawn.weight * (drawn.values.action_value - drawn.values.value)
        if self.expectation is not None:
            expected = expected_sensitivity(self.expectation, theta, response, drawn.batch)
            indirect = expected_covariance_term(injection, expected, self.temperature)
            return finish(self, theta, drawn, indirect)
        own, baseline = sensitivity(self, theta, response, drawn), None
        if self.control is not None:
            self.control.refresh(memory)
            known = features(drawn.batch.state)
            baseline = self.control.mean(known, injection, memory)
            rows = own.rows()
            self.control.see(known, rows + sensitivity_to_come(rows, horizon, discount), memory)
        indirect = covariance_term(
            injection,
            own.pull_back,
            self.temperature,
            horizon,
            discount,
            include_current=True,
            baseline=baseline,
        )
        return finish(self, theta, drawn, indirect)
