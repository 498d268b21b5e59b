"""The follower of building thermal control, as learned from watching it.

Its policy is a regression of actions on states with normal errors: linear, the maximum-likelihood
estimate among a ~ N(-K s, Σ), or on random features, for a follower that has learned a policy which
is not. Its value is the soft value of that policy under the rewards that were seen, V_F(s) =
E[Σ_t γ^t (r_F + β H(Σ))], by least squares on quadratic features.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Memory
from bilevelrl.core.observations import Observations
from bilevelrl.core.random_features import RandomFeatures, regression, solved_once
from bilevelrl.core.seeding import Streams
from bilevelrl.models.linear_gaussian.quadratic import least_squares_td
from bilevelrl.problems.thermal_control.follower import RegulatorResponse

_DRAWN = "policy_features"


@dataclass(frozen=True, eq=False)
class Curve:
    """The mean action of every run as a combination of random features.

    Attributes:
        features: of s over its root mean square.
        ridge: relative penalty of the regression, see `random_features.solved`.
    """

    features: RandomFeatures
    ridge: float

    def fit(self, drawn: Floats, state: Floats, action: Floats) -> Callable[[Floats], Floats]:
        """E[a | s], (R, N, m), of s (R, N, n), by least squares from s and a, run by run."""
        scale = np.sqrt(np.square(state).mean(axis=1, keepdims=True))

        def rows(state: Floats) -> list[Floats]:
            runs = zip(drawn, state, scale, strict=True)
            return [self.features.of(own, s / unit) for own, s, unit in runs]

        coefficients = [
            solved_once(regression(own, a, np.ones(len(a))), self.ridge)
            for own, a in zip(rows(state), action, strict=True)
        ]
        return lambda state: np.stack(
            [own @ c for own, c in zip(rows(state), coefficients, strict=True)]
        )


@dataclass(frozen=True, eq=False)
class RegulatorBelief:
    """Learns policy and V_F from one batch.

    Attributes:
        temperature: β of each run, shape (R,).
        discount: γ_F.
        horizon: steps per episode.
        curve: of the mean action; None is linear.
    """

    temperature: Floats
    discount: float
    horizon: int
    curve: Curve | None = None

    def start(self, streams: Streams) -> Memory:
        """Random features, if any: one batch tells everything else."""
        return {} if self.curve is None else {_DRAWN: self.curve.features.start(streams)}

    def learn(self, theta: Floats, seen: Observations, memory: Memory) -> RegulatorResponse:
        """What the follower seems to play, and to expect.

        Raises:
            ValueError: if the follower's rewards were not seen.
        """
        reward, action = seen.follower_rewards(), seen.follower_action
        gain, covariance = linear_policy(seen.state, action)
        curve = None
        if self.curve is not None:
            curve = self.curve.fit(memory[_DRAWN], seen.state, action)
            covariance = _covariance(action - curve(seen.state))
        units = covariance.shape[1]
        entropy = 0.5 * (units * np.log(2.0 * np.pi * np.e) + np.linalg.slogdet(covariance)[1])
        bonus = (self.temperature * entropy)[:, None]
        value = least_squares_td(
            seen.state, seen.next_state, (reward + bonus)[:, :, None], self.horizon, self.discount
        )
        return RegulatorResponse(
            gain, covariance, -value.matrix[:, 0], -value.offset[:, 0],
            accuracy=np.full(len(theta), np.nan), iterations=np.zeros(len(theta), dtype=np.int64),
            curve=curve,
        )  # fmt: skip


def linear_policy(state: Floats, action: Floats) -> tuple[Floats, Floats]:
    """K (R, m, n) and Σ (R, m, m) of a ~ N(-K s, Σ) by maximum likelihood, s (R, N, n)."""
    runs = zip(state, action, strict=True)  # run by run: the same bits in any batch
    gain = np.stack([-np.linalg.solve(s.T @ s, s.T @ a).T for s, a in runs])
    return gain, _covariance(action + state @ gain.mT)


def _covariance(error: Floats) -> Floats:
    return np.stack([own.T @ own / len(own) for own in error])
