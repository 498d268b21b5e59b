"""On-policy batches of building thermal control."""

from dataclasses import dataclass, replace
from typing import Literal

import numba
import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import parallel_kernel
from bilevelrl.core.observations import Observations
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.thermal_control.follower import RegulatorResponse
from bilevelrl.problems.thermal_control.problem import ThermalControl


@dataclass(frozen=True, eq=False)
class ThermalBatch(Observations):
    """Whole episodes, one after the other; the leader has no actions besides its design.

    Attributes:
        innovation: s' - E[s' | s, a], 0 where the mean was clipped, shape (R, N, n); None for a
            leader that does not know its building, which takes no mean to be clipped.
    """

    innovation: Floats | None = None

    @classmethod
    def of(
        cls, problem: ThermalControl, theta: Floats, state: Floats, action: Floats,
        next_state: Floats, **seen: Floats,
    ) -> "ThermalBatch":  # fmt: skip
        """What was played under θ, with the leader's rewards, and what else was `seen`."""
        reward = problem.operating_reward(state, action)
        reward -= problem.design.configuration_cost(theta)[:, None]
        none = np.empty((*reward.shape, 0))
        return cls(state, none, action, next_state, reward, **seen)

    @property
    def clipped(self) -> NDArray[np.bool_] | None:
        """Whether a component of the mean was, shape (R, N); None if that cannot be seen."""
        if self.innovation is None:
            return None
        clipped: NDArray[np.bool_] = (self.innovation == 0.0).any(axis=2)
        return clipped


@parallel_kernel
def _simulate(  # type: ignore[no-untyped-def]
    drift, actuator, gain, spread, first, noise, limit, normals, horizon,
    state, action, after, innovation,
):  # fmt: skip
    num_runs, num_episodes, _ = normals.shape
    zones, units = actuator.shape
    for r in numba.prange(num_runs):
        for e in range(num_episodes):
            z = normals[r, e]
            here = first * z[:zones]
            for t in range(horizon):
                n = e * horizon + t
                place = zones + t * (zones + units)
                state[r, n] = here
                for j in range(units):
                    played = 0.0
                    for i in range(zones):
                        played -= gain[r, j, i] * here[i]
                    for k in range(j + 1):
                        played += spread[r, j, k] * z[place + k]
                    action[r, n, j] = played
                for i in range(zones):
                    total = 0.0
                    for k in range(zones):
                        total += drift[r, i, k] * here[k]
                    for j in range(units):
                        total += actuator[i, j] * action[r, n, j]
                    clipped = min(max(total, -limit), limit)
                    after[r, n, i] = clipped + noise * z[place + units + i]
                    innovation[r, n, i] = after[r, n, i] - clipped if abs(total) <= limit else 0.0
                here[:] = after[r, n]


@dataclass(frozen=True, eq=False)
class ThermalRollout:
    """Whole episodes of `ThermalControl`; implements `sampled.Sampler`.

    Attributes:
        problem: the bi-level problem.
        num_episodes: per batch and run.
        mirrored: flip the sign of the transition's noise, for antithetic pairs in studies.
        information: what the leader sees; "rewards" are the follower's, and only "full" tells how
            the building's noise fell.
    """

    problem: ThermalControl
    num_episodes: int
    mirrored: bool = False
    information: Literal["full", "rewards"] = "full"

    def observe(
        self, theta: Floats, response: RegulatorResponse, streams: Streams, *, at_random: bool
    ) -> ThermalBatch:
        """What the leader, who has no actions besides its design, sees of a `sample`."""
        del at_random
        seen = self.sample(theta, response, streams)
        if self.information == "full":
            return seen
        paid = self.problem.follower_reward(seen.state, seen.follower_action)
        return replace(seen, innovation=None, follower_reward=paid)

    def sample(self, theta: Floats, policy: RegulatorResponse, streams: Streams) -> ThermalBatch:
        """A batch under θ, shape (R, D), and the follower's policy."""
        return self.follow(theta, policy, self.draw(streams))

    def draw(self, streams: Streams) -> Floats:
        """The random numbers of a batch, shape (R, episodes, numbers of one)."""
        zones, units = self.problem.input_matrix.shape
        numbers = zones + self.problem.max_episode_steps * (zones + units)
        return streams.normals("rollout", (self.num_episodes, numbers))

    def follow(self, theta: Floats, policy: RegulatorResponse, normals: Floats) -> ThermalBatch:
        """The batch that random numbers of `draw` stand for; other arguments as of `sample`."""
        problem, horizon = self.problem, self.problem.max_episode_steps
        zones, units = problem.input_matrix.shape
        rows = len(theta), self.num_episodes * horizon
        arrays = [np.empty((*rows, size)) for size in (zones, units, zones, zones)]
        noise = -problem.noise if self.mirrored else problem.noise
        _simulate(
            problem.dynamics(theta), problem.input_matrix, policy.gain,
            np.linalg.cholesky(policy.covariance), problem.initial_deviation, noise,
            problem.state_limit, normals, horizon, *arrays,
        )  # fmt: skip
        state, action, after, innovation = arrays
        return ThermalBatch.of(problem, theta, state, action, after, innovation=innovation)
