"""HPGD of a leader that shapes the transition, as compared in arXiv 2603.14867.

    indirect = (1/β) E[Σ_t γ^t Y_t (∇Q_F(s_t, a_t) - ∇V_F(s_t))]

The follower's side is centred, by a critic of ∇V_F that learns from the same batch; Y_t is the
leader's return from t on (MC) or Q_L from a critic (TD), neither of them centred. (MC) is biased:
Y_t and the sample of ∇Q_F share what happens after t.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from bilevelrl.core.arrays import Floats
from bilevelrl.core.covariance import weighted_sum
from bilevelrl.core.estimator import Memory
from bilevelrl.core.seeding import Streams
from bilevelrl.core.trace import sensitivity_to_come
from bilevelrl.models.linear_gaussian.quadratic import least_squares_td
from bilevelrl.problems.thermal_control.rollout import ThermalBatch
from bilevelrl.problems.thermal_control.transition import Drawn, TransitionDirect

Benefit = Literal["return", "action_value"]
#: Learns E[∇_θ Q_F | s] from a batch and its sensitivities (R, N, D), and says it for every row.
MeanSensitivity = Callable[[ThermalBatch, Floats, Streams], Floats]


@dataclass(frozen=True, eq=False)
class TransitionHPGD(TransitionDirect):
    """HPGD (MC) or HPGD (TD).

    Attributes:
        temperature: β of each run, shape (R,).
        benefit: Y, "return" for (MC), "action_value" for (TD).
        mean: critic of ∇V_F; None is least squares on quadratic features.
    """

    temperature: Floats = field(kw_only=True)
    benefit: Benefit = field(kw_only=True)
    mean: MeanSensitivity | None = None

    def indirect(self, drawn: Drawn, memory: Memory, streams: Streams) -> Floats:
        """The covariance, shape (R, D)."""
        del memory
        batch, horizon, discount = drawn.batch, self.design.max_episode_steps, self.design.discount
        own = self.sensitivity(drawn)
        rows = own.rows()
        if self.benefit == "return":
            reward = batch.leader_reward
            later = sensitivity_to_come(reward[:, :, None], horizon, discount)
            factor = reward + later[:, :, 0]
        else:
            factor = drawn.values.of_actions()
        injection = drawn.weight * factor
        if self.mean is None:
            learned = least_squares_td(batch.state, batch.next_state, rows, horizon, discount)
            baseline = learned.weighted_sum(injection, batch.state)
        else:
            baseline = weighted_sum(injection, self.mean(batch, rows, streams))
        return own.covariance(injection, self.temperature, baseline)
