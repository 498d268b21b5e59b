"""The follower of building thermal control, as learned from watching it.

Its policy is a linear regression of actions on states with normal errors, the maximum-likelihood
estimate among a ~ N(-K s, Σ). Its value is the soft value of that policy under the rewards that
were seen, V_F(s) = E[Σ_t γ^t (r_F + β H(Σ))], by least squares on quadratic features.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bilevelrl.critics.quadratic import least_squares_td
from bilevelrl.followers.thermal_regulator import RegulatorResponse
from bilevelrl.problems.observations import Observations
from bilevelrl.seeding import Streams

Floats = NDArray[np.float64]
Memory = dict[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class RegulatorBelief:
    """Learns K, Σ and V_F from one batch.

    Attributes:
        temperature: β of each run, shape (R,).
        discount: γ_F.
        horizon: steps per episode.
    """

    temperature: Floats
    discount: float
    horizon: int

    def start(self, streams: Streams) -> Memory:
        """Nothing is remembered: one batch tells both."""
        del streams
        return {}

    def learn(self, theta: Floats, seen: Observations, memory: Memory) -> RegulatorResponse:
        """What the follower seems to play, and to expect.

        Raises:
            ValueError: if the follower's rewards were not seen.
        """
        del memory
        paid = seen.paid()
        gain, covariance = linear_policy(seen.state, seen.follower_action)
        size = covariance.shape[1]
        entropy = 0.5 * (size * np.log(2.0 * np.pi * np.e) + np.linalg.slogdet(covariance)[1])
        bonus = (self.temperature * entropy)[:, None]
        value = least_squares_td(
            seen.state,
            seen.next_state,
            (paid + bonus)[:, :, None],
            self.horizon,
            self.discount,
        )
        unknown = np.full(len(theta), np.nan)
        none = np.zeros(len(theta), dtype=np.int64)
        quadratic, offset = -value.matrix[:, 0], -value.offset[:, 0]
        return RegulatorResponse(gain, covariance, quadratic, offset, unknown, none)


def linear_policy(state: Floats, action: Floats) -> tuple[Floats, Floats]:
    """K and Σ of a ~ N(-K s, Σ) by maximum likelihood, (R, m, n) and (R, m, m).

    Args:
        state: s, shape (R, N, n).
        action: a, shape (R, N, m).
    """
    gains, covariances = [], []
    for s, a in zip(state, action, strict=True):  # run by run: the same bits in any batch
        gain = np.linalg.solve(s.T @ s, s.T @ a).T
        error = a - s @ gain.T
        gains.append(-gain)
        covariances.append(error.T @ error / len(s))
    return np.stack(gains), np.stack(covariances)
