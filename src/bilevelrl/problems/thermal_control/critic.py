"""The leader's critics in building thermal control: Q_L and V_L without end, from one batch.

V_F needs no critic here: the follower's own is read, as in the released code. Rows whose mean was
clipped are left out: values are quadratic without the clip only, and a few such rows, the largest
of all, would bend the fit everywhere.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.seeding import Streams
from bilevelrl.models.linear_gaussian.lyapunov import discounted_sum
from bilevelrl.models.linear_gaussian.quadratic import Quadratic, least_squares_td
from bilevelrl.problems.thermal_control.design import ThermalDesign
from bilevelrl.problems.thermal_control.exact import disturbance, leader_cost, spread_over
from bilevelrl.problems.thermal_control.follower import RegulatorResponse
from bilevelrl.problems.thermal_control.problem import ThermalControl
from bilevelrl.problems.thermal_control.rollout import ThermalBatch


@dataclass(frozen=True, eq=False)
class LeaderValues:
    """What a critic says about the rows of a batch.

    Attributes:
        value: V_L(s), shape (R, N).
        action_value: Q_L(s, a), shape (R, N); None of critics that know V_L only.
        slope: ∂V_L/∂s, shape (R, N, n); None of critics without one.
    """

    value: Floats
    action_value: Floats | None = None
    slope: Floats | None = None

    def of_actions(self) -> Floats:
        """Q_L(s, a), shape (R, N), of a critic that knows it."""
        assert self.action_value is not None  # the critic is chosen by the cell
        return self.action_value


class ThermalCritic(Protocol):
    """Learns from one batch, and is asked about it."""

    def evaluate(
        self, theta: Floats, response: RegulatorResponse, batch: ThermalBatch, streams: Streams
    ) -> LeaderValues:
        """Values of the batch's rows."""


def _learned(
    design: ThermalDesign, batch: ThermalBatch, inputs: Floats, following: Floats,
    added: Floats | None = None,
) -> Quadratic:  # fmt: skip
    """A value of `inputs` by least squares, see `least_squares_td`."""
    return least_squares_td(
        inputs, following, batch.leader_reward[:, :, None],
        design.max_episode_steps, design.discount, added, batch.clipped,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class QuadraticStateCritic:
    """V_L by least squares on 1 and all s_i s_j.

    Attributes:
        design: the leader's own.
    """

    design: ThermalDesign

    def evaluate(
        self, theta: Floats, response: RegulatorResponse, batch: ThermalBatch, streams: Streams
    ) -> LeaderValues:
        """See `ThermalCritic`."""
        del theta, response, streams
        found = _learned(self.design, batch, batch.state, batch.next_state)
        value = found(batch.state)[:, :, 0]
        return LeaderValues(value, slope=2.0 * (batch.state @ found.matrix[:, 0]))


@dataclass(frozen=True, eq=False)
class QuadraticActionCritic:
    """Q_L by least squares on 1 and all products of (s, a).

    Attributes:
        design: the leader's own.
        expected: take the follower's mean action at s', and its covariance, instead of the action
            that was played next.
        samples: draws behind E_a[Q_L] of a state; None takes the expectation. The mean of that many
            draws is replaced by its normal limit.
    """

    design: ThermalDesign
    expected: bool = True
    samples: int | None = None

    def evaluate(
        self, theta: Floats, response: RegulatorResponse, batch: ThermalBatch, streams: Streams
    ) -> LeaderValues:
        """See `ThermalCritic`."""
        del theta
        zones, added = batch.state.shape[2], None
        pairs = np.concatenate([batch.state, batch.follower_action], axis=2)
        if self.expected:
            following = _with_mean(batch.next_state, response)
            added = np.zeros((len(pairs), pairs.shape[2], pairs.shape[2]))
            added[:, zones:, zones:] = response.covariance
        else:
            following = np.roll(pairs, -1, axis=1)
        found = _learned(self.design, batch, pairs, following, added)
        return values_of(found, batch, response, self.samples, streams)


@dataclass(frozen=True, eq=False)
class ExactThermalCritic:
    """The truth, for studies.

    Attributes:
        problem: the bi-level problem.
        samples: as in `QuadraticActionCritic`.
    """

    problem: ThermalControl
    samples: int | None = None

    def evaluate(
        self, theta: Floats, response: RegulatorResponse, batch: ThermalBatch, streams: Streams
    ) -> LeaderValues:
        """See `ThermalCritic`."""
        found = exact_action_value(self.problem, theta, response)
        return values_of(found, batch, response, self.samples, streams)


def exact_action_value(
    problem: ThermalControl, theta: Floats, response: RegulatorResponse
) -> Quadratic:
    """Q_L without end, a quadratic of (s, a)."""
    gamma, actuator = problem.discount, problem.input_matrix
    zones, units = actuator.shape
    drift = problem.dynamics(theta)
    cost = leader_cost(problem, response)
    to_go = discounted_sum(np.sqrt(gamma) * (drift - actuator @ response.gain), cost)
    design = problem.design.configuration_cost(theta)
    played = problem.energy_weight * np.trace(response.covariance, axis1=1, axis2=2)
    shaken = gamma * (to_go * disturbance(problem, response)).sum(axis=(1, 2))
    offset = (design + played + shaken) / (1.0 - gamma)  # v_U
    onwards = np.concatenate([drift, np.broadcast_to(actuator, (len(drift), zones, units))], axis=2)
    matrix = -gamma * (onwards.mT @ to_go @ onwards)
    matrix[:, :zones, :zones] -= problem.stability_weight * spread_over(zones)
    matrix[:, zones:, zones:] -= problem.energy_weight * np.eye(units)
    noise = problem.noise**2 * np.trace(to_go, axis1=1, axis2=2)
    return Quadratic(matrix[:, None], -(design + gamma * (noise + offset))[:, None])


def values_of(
    found: Quadratic,
    batch: ThermalBatch,
    response: RegulatorResponse,
    samples: int | None,
    streams: Streams,
) -> LeaderValues:
    """What an action value says about a batch, its mean over actions in closed form.

    Where the policy is not linear, the slope of V_L is that under the line closest to it. For
    `samples` see `QuadraticActionCritic`.
    """
    zones = batch.state.shape[2]
    matrix, covariance = found.matrix[:, 0], response.covariance
    by_action = matrix[:, zones:, zones:]
    whole = np.concatenate(
        [np.broadcast_to(np.eye(zones), (len(matrix), zones, zones)), -response.gain], axis=1
    )  # (s, E[a | s]) from s
    of_state = whole.mT @ matrix @ whole
    offset = found.offset + (by_action * covariance).sum(axis=(1, 2))[:, None]
    if response.curve is None:
        value = Quadratic(of_state[:, None], offset)(batch.state)[:, :, 0]
    else:
        value = found(_with_mean(batch.state, response))[:, :, 0] + (offset - found.offset)
    if samples is not None:
        # Q_L = e'Ne + b(s)'e + ... with e ~ N(0, Σ): its variance is 2 tr (NΣ)² + b'Σb.
        tilt = 2.0 * (whole.mT @ matrix[:, :, zones:])
        product = by_action @ covariance
        still = 2.0 * np.trace(product @ product, axis1=1, axis2=2)[:, None]
        variance = Quadratic((tilt @ covariance @ tilt.mT)[:, None], still)(batch.state)[:, :, 0]
        value += np.sqrt(variance / samples) * streams.normals("critic", value.shape[1:])
    pairs = np.concatenate([batch.state, batch.follower_action], axis=2)
    return LeaderValues(value, found(pairs)[:, :, 0], 2.0 * (batch.state @ of_state))


def _with_mean(state: Floats, response: RegulatorResponse) -> Floats:
    """(s, E[a | s]), shape (R, N, n + m)."""
    return np.concatenate([state, response.mean(state)], axis=2)
