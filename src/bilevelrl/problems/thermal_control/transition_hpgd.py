"""HPGD of a leader that shapes the transition, as compared in arXiv 2603.14867.

    indirect = (1/β) E[Σ_t γ^t Y_t (∇Q_F(s_t, a_t) - ∇V_F(s_t))]

The follower's side is centred, by a critic of ∇V_F that learns from the same batch; Y_t is the
leader's return from t on (MC) or Q_L from a critic (TD), neither of them centred. (MC) is biased:
Y_t and the sample of ∇Q_F share what happens after t.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.covariance import weighted_sum
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.seeding import Streams
from bilevelrl.core.trace import forward_trace, sensitivity_to_come
from bilevelrl.models.linear_gaussian.quadratic import least_squares_td
from bilevelrl.problems.thermal_control.critic import ThermalCritic
from bilevelrl.problems.thermal_control.design import ThermalDesign
from bilevelrl.problems.thermal_control.follower import RegulatorResponse
from bilevelrl.problems.thermal_control.rollout import ThermalBatch
from bilevelrl.problems.thermal_control.transition import (
    Form,
    finish,
    sensitivity,
    weigh,
)

Floats = NDArray[np.float64]
Benefit = Literal["return", "action_value"]
#: Learns E[∇_θ Q_F | s] from a batch and its sensitivities (R, N, D), and says it for every row.
MeanSensitivity = Callable[[ThermalBatch, Floats, Streams], Floats]


@dataclass(frozen=True, eq=False)
class TransitionHPGD:
    """HPGD (MC) or HPGD (TD); implements `sampled.Learner`.

    Attributes:
        design: the leader's own.
        critic: of V_L, and for (TD) of Q_L.
        temperature: β of each run, shape (R,).
        benefit: Y, "return" for (MC), "action_value" for (TD).
        form: "score" or "pathwise", of both parts.
        noise: see `transition_score.TransitionScore`, like the next.
        max_score_norm: clip of each score in the direct part.
        mean: critic of ∇V_F; None is least squares on quadratic features.
    """

    design: ThermalDesign
    critic: ThermalCritic
    temperature: Floats
    benefit: Benefit
    form: Form = "score"
    noise: float | None = None
    max_score_norm: float | None = None
    mean: MeanSensitivity | None = None

    def start(self, streams: Streams) -> Memory:
        """Nothing is remembered."""
        del streams
        return {}

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
        """Estimate both parts from a batch under θ."""
        del memory
        drawn = weigh(self, theta, response, batch, streams)
        horizon, discount = self.design.max_episode_steps, self.design.discount
        own = sensitivity(self, theta, response, drawn)
        rows = own.rows()
        if self.benefit == "return":
            reward = batch.leader_reward
            later = sensitivity_to_come(reward[:, :, None], horizon, discount)
            factor = reward + later[:, :, 0]
        else:
            assert drawn.values.action_value is not None  # the critic is chosen by the cell
            factor = drawn.values.action_value
        injection = drawn.weight * factor
        trace = forward_trace(injection, horizon, discount, include_current=True)
        total = own.pull_back(trace)
        if self.mean is None:
            learned = least_squares_td(batch.state, batch.next_state, rows, horizon, discount)
            total -= learned.weighted_sum(injection, batch.state)
        else:
            total -= weighted_sum(injection, self.mean(batch, rows, streams))
        return finish(self, theta, drawn, total / self.temperature[:, None])
