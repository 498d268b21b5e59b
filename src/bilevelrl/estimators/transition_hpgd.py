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

from bilevelrl.critics.quadratic import least_squares_td
from bilevelrl.critics.thermal import ThermalCritic
from bilevelrl.estimators.protocol import Estimate, Memory
from bilevelrl.estimators.trace import forward_trace, sensitivity_to_come
from bilevelrl.estimators.transition_score import (
    Form,
    draw,
    finish,
    sensitivity,
    weighted_sum,
)
from bilevelrl.followers.thermal_regulator import RegulatorResponse
from bilevelrl.problems.thermal_control import ThermalControl
from bilevelrl.problems.thermal_rollout import ThermalBatch, ThermalRollout
from bilevelrl.seeding import Streams

Floats = NDArray[np.float64]
Benefit = Literal["return", "action_value"]
#: Learns E[∇_θ Q_F | s] from a batch and its sensitivities (R, N, D), and says it for every row.
MeanSensitivity = Callable[[ThermalBatch, Floats, Streams], Floats]


@dataclass(frozen=True, eq=False)
class TransitionHPGD:
    """HPGD (MC) or HPGD (TD).

    Attributes:
        problem: the bi-level problem.
        rollout: how batches are drawn.
        critic: of V_L, and for (TD) of Q_L.
        temperature: β of each run, shape (R,).
        benefit: Y, "return" for (MC), "action_value" for (TD).
        form: "score" or "pathwise", of both parts.
        max_score_norm: see `transition_score.TransitionScore`.
        mean: critic of ∇V_F; None is least squares on quadratic features.
    """

    problem: ThermalControl
    rollout: ThermalRollout
    critic: ThermalCritic
    temperature: Floats
    benefit: Benefit
    form: Form = "score"
    max_score_norm: float | None = None
    mean: MeanSensitivity | None = None

    def start(self, streams: Streams) -> Memory:
        """Nothing is remembered."""
        del streams
        return {}

    def estimate(
        self, theta: Floats, response: RegulatorResponse, memory: Memory, streams: Streams
    ) -> Estimate:
        """Draw a batch and estimate both parts from it."""
        del memory
        drawn = draw(self, self.rollout, theta, response, streams)
        horizon, discount = self.problem.max_episode_steps, self.problem.discount
        own = sensitivity(self, theta, response, drawn)
        batch = drawn.batch
        if self.benefit == "return":
            later = sensitivity_to_come(drawn.reward[:, :, None], horizon, discount)
            factor = drawn.reward + later[:, :, 0]
        else:
            assert drawn.values.action_value is not None  # the critic is chosen by the cell
            factor = drawn.values.action_value
        injection = drawn.weight * factor
        trace = forward_trace(injection, horizon, discount, include_current=True)
        total = weighted_sum(trace, own)
        if self.mean is None:
            learned = least_squares_td(batch.state, batch.next_state, own, horizon, discount)
            total -= learned.weighted_sum(injection, batch.state)
        else:
            total -= weighted_sum(injection, self.mean(batch, own, streams))
        return finish(self, theta, drawn, total / self.temperature[:, None])
