"""Which candidate to play: the best, or another that may be better than it seems.

The variance of a candidate's predicted J is, to first order, a sum over (s, a) of what is not known
of the dynamics and of what the follower may want:

    Var_P[γ (w_F(s, a) V_F(s') + d(s, a) V_L(s'))] / (n(s, a) + κ + 1)  +  w_F(s, a)² σ(s, a)²,

with w_F and d the sensitivities of J to both rewards. That ignores that errors for what was played
are corrected together, so that the variance is divided by 1 + m / M, with m the transitions under θ
like the candidate. What is played has the highest prediction plus some standard deviations.
"""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.models.tabular.exact import Sensitivities, reward_sensitivities
from bilevelrl.models.tabular.identified.choices import Choices
from bilevelrl.models.tabular.identified.game import IdentifiedProblem
from bilevelrl.models.tabular.identified.kernel import IdentifiedKernel
from bilevelrl.models.tabular.identified.search import Pool, follower_of, unlike

#: Two θ are alike if they change less than this share of the follower's rewards in another way.
ALIKE = 0.2


@dataclass(frozen=True, eq=False)
class Wishes:
    """What is believed of the follower's rewards before it is seen: σ² = scale² / (1 + n / rate).

    Attributes:
        scale: shape (S, A).
        rate: visits that halve σ².
    """

    scale: Floats
    rate: float = 10.0

    def spread(self, times: Floats) -> Floats:
        """σ after n(s, a) visits, shape (S, A)."""
        spread: Floats = self.scale / np.sqrt(1.0 + times / self.rate)
        return spread


def spread_of_worth(problem: IdentifiedProblem, value: Floats, found: Sensitivities) -> Floats:
    """Var_P[γ (w_F V_F + d V_L)] of each candidate, shape (N, S, A)."""
    model = problem.planner
    follower_value = value[:, model.successor][:, :, None, :]
    leader_value = found.value[:, model.successor][:, :, None, :]
    worth = found.follower[..., None] * follower_value + found.leader[..., None] * leader_value
    mean = (model.probability * worth).sum(axis=3, keepdims=True)
    spread: Floats = (model.probability * np.square(worth - mean)).sum(axis=3)
    return np.square(model.discount)[:, None] * spread


def deviations(
    problem: IdentifiedProblem,
    kernel: IdentifiedKernel,
    wishes: Wishes,
    theta: Floats,
    temperature: float,
) -> Floats:
    """Standard deviation of the predicted J at θ, shape (N, D), had nothing like it been played."""
    follower = follower_of(problem, temperature, len(theta))
    answer = follower.respond(problem.follower_reward(theta), follower.start(len(theta)))
    found = reward_sensitivities(problem, theta, answer.policy, follower.temperature)
    moves = spread_of_worth(problem, answer.value, found) / (kernel.times + kernel.strength + 1.0)
    wanted = np.square(found.follower * wishes.spread(kernel.times))
    total: Floats = np.sqrt((moves + wanted).sum(axis=(1, 2)))
    return total


def choose(
    problem: IdentifiedProblem,
    kernel: IdentifiedKernel,
    wishes: Wishes,
    pool: Pool,
    choices: Choices,
    temperature: float,
    *,
    curiosity: float,
    halving: float,
) -> Floats:
    """A candidate, shape (D,).

    Args:
        problem: as identified.
        kernel: its dynamics.
        wishes: of the follower.
        pool: candidates, the best first.
        choices: that were seen.
        temperature: β.
        curiosity: standard deviations that count as much as a prediction.
        halving: M, transitions that halve the variance of what is like what was played.
    """
    spread = deviations(problem, kernel, wishes, pool.theta, temperature)
    parts = problem.known.follower_part(pool.theta)
    times = choices.times.sum(axis=(1, 2))
    alike = np.array([unlike(choices.reward, part) <= ALIKE for part in parts])
    spread /= np.sqrt(1.0 + (alike * times).sum(axis=1) / halving)
    chosen: Floats = pool.theta[int(np.argmax(pool.predicted + curiosity * spread))]
    return chosen
