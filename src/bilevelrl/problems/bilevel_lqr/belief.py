"""The follower of BilevelLQR, as learned from watching it.

Three regressions, the first two without an error because nothing there is random:

* x' on (x, u, a) gives the dynamics A, B and C,
* r_F on all products of (x, u) gives the follower's costs, taken not to depend on a,
* u on y = A x + C a gives its policy u ~ N(-K_a y, Σ). A follower whose costs do not depend on a
  sees no more in (x, a) than where they lead. Without that, the reaction to a would have to be told
  from the leader's noise W alone, which is tiny.

Its value is the soft value of that policy, in closed form ("evaluated"). Or ("planned") the leader
trusts the follower to maximise the rewards that were seen, and solves for its best response itself;
the third regression is not needed then.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Memory
from bilevelrl.core.observations import Observations
from bilevelrl.core.seeding import Streams
from bilevelrl.models.linear_gaussian.least_squares import least_squares, quadratic_form
from bilevelrl.models.linear_gaussian.lyapunov import discounted_sum
from bilevelrl.problems.bilevel_lqr.follower import LinearGaussianResponse, MaxEntropyLQR
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR

Source = Literal["evaluated", "planned"]

_LEARNED = ("state_gain", "noise_gain", "covariance", "quadratic", "cross", "noise", "offset")


def blinded(problem: BilevelLQR) -> BilevelLQR:
    """The problem without what a leader that only watches does not know: dynamics and costs.

    What the leader's innovation a - K x does to the state is written in coordinates of its own, the
    first of the state's.
    """
    states, actions = problem.leader_matrix.shape
    controls = problem.follower_matrix.shape[1]
    return replace(
        problem,
        state_matrix=np.zeros((states, states)),
        follower_matrix=np.zeros((states, controls)),
        leader_matrix=np.eye(states, actions),
        state_cost=np.eye(states),
        control_cost=np.eye(controls),
        initial_state=np.zeros(states),
    )


@dataclass(frozen=True, eq=False)
class LinearBelief:
    """Learns all of it from one batch.

    Attributes:
        problem: `blinded`.
        temperature: β of each run, shape (R,).
        source: of policy and value, "evaluated" or "planned".
    """

    problem: BilevelLQR
    temperature: Floats
    source: Source = "evaluated"

    def start(self, streams: Streams) -> Memory:
        """Nothing is remembered."""
        del streams
        return {}

    def learn(self, theta: Floats, seen: Observations, memory: Memory) -> LinearGaussianResponse:
        """What the follower seems to play, and to expect.

        Raises:
            ValueError: if the follower's rewards were not seen.
        """
        del memory
        rewards = seen.follower_rewards()
        # Run by run: the same bits in any batch.
        gains = self.problem.gain(theta)
        answers = [self._one(run, gain, seen, rewards[run]) for run, gain in enumerate(gains)]
        parts = (np.stack(part) for part in zip(*answers, strict=True))
        learned: dict[str, Any] = dict(zip(_LEARNED, parts, strict=True))
        return LinearGaussianResponse(
            **learned,
            accuracy=np.full(len(theta), np.nan),
            iterations=np.zeros(len(theta), dtype=np.int64),
        )

    def _one(
        self, run: int, gain: Floats, seen: Observations, reward: Floats
    ) -> tuple[Floats, ...]:
        """The parts `_LEARNED` of one run."""
        x, u, a = seen.state[run], seen.follower_action[run], seen.leader_action[run]
        states, controls = x.shape[1], u.shape[1]
        known = least_squares(np.hstack([x, u, a]), seen.next_state[run])
        own, actuator = known[:states].T, known[states : states + controls].T
        leader = known[states + controls :].T
        cost = quadratic_form(np.hstack([x, u]), -reward)
        of_state, of_both, of_control = (
            cost[:states, :states], cost[:states, states:], cost[states:, states:],
        )  # fmt: skip
        # From what the leader's innovation does to the state to coordinates of its own.
        apart = leader @ self.problem.leader_matrix.T
        if self.source == "planned":
            identified = replace(
                self.problem,
                state_matrix=own,
                follower_matrix=actuator,
                leader_matrix=leader,
                state_cost=of_state,
                control_cost=of_control,
            )
            follower = MaxEntropyLQR(identified, self.temperature[run : run + 1])
            best = follower.respond(gain.reshape(1, -1))
            return (
                best.state_gain[0], best.noise_gain[0] @ apart, best.covariance[0],
                best.quadratic[0], best.cross[0] @ apart, apart.T @ best.noise[0] @ apart,
                best.offset[0],
            )  # fmt: skip
        ahead = x @ own.T + a @ leader.T
        played = -least_squares(ahead, u).T  # K_a
        error = u + ahead @ played.T
        covariance = error.T @ error / len(error)

        gamma, beta = self.problem.follower_discount, self.temperature[run]
        drift = own + leader @ gain
        stays, effort = np.eye(states) - actuator @ played, played.T @ of_control @ played
        mixed = -of_both @ played  # of x and y
        loop = stays @ drift
        stage = of_state + drift.T @ effort @ drift + mixed @ drift + (mixed @ drift).T
        value = discounted_sum(np.sqrt(gamma) * loop, stage)
        noise = effort + gamma * stays.T @ value @ stays
        entropy = 0.5 * np.linalg.slogdet(2.0 * np.pi * np.e * covariance)[1]
        shaken = np.square(self.problem.leader_noise) * np.trace(leader.T @ noise @ leader)
        spread = np.trace((of_control + gamma * actuator.T @ value @ actuator) @ covariance)
        offset = (spread - beta * entropy + gamma * shaken) / (1.0 - gamma)
        cross = (drift.T @ noise + mixed) @ apart
        return (
            played @ drift, played @ apart, covariance, value, cross, apart.T @ noise @ apart,
            offset,
        )  # fmt: skip
