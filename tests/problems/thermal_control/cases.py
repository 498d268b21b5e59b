"""Batches that critics of building thermal control are asked about."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.seeding import Streams
from bilevelrl.problems.thermal_control.critic import LeaderValues, ThermalCritic
from bilevelrl.problems.thermal_control.follower import RegulatorResponse
from bilevelrl.problems.thermal_control.problem import ThermalControl
from bilevelrl.problems.thermal_control.rollout import ThermalBatch, ThermalRollout
from tests.buildings import follower_of, one_run

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Case:
    """A batch under best responses to a few θ."""

    problem: ThermalControl
    theta: Floats
    response: RegulatorResponse
    batch: ThermalBatch

    @classmethod
    def of(cls, problem: ThermalControl, theta: Floats, episodes: int, streams: Streams) -> "Case":
        response = follower_of(problem, len(theta)).respond(theta)
        batch = ThermalRollout(problem, episodes).sample(theta, response, streams)
        return cls(problem, theta, response, batch)

    @property
    def reward(self) -> Floats:
        return self.batch.leader_reward

    @property
    def pairs(self) -> Floats:
        return np.concatenate([self.batch.state, self.batch.follower_action], axis=2)

    def ask(self, critic: ThermalCritic, streams: Streams | None = None) -> LeaderValues:
        streams = streams or Streams(range(len(self.theta)))
        return critic.evaluate(self.theta, self.response, self.batch, streams)

    def alone(self, run: int) -> "Case":
        own = one_run(self.response, run), one_run(self.batch, run)
        return Case(self.problem, self.theta[run : run + 1], *own)
