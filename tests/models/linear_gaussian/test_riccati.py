"""What the regulator certifies about itself, on buildings."""

from dataclasses import replace

import numpy as np
import pytest

from bilevelrl.models.linear_gaussian.riccati import Regulator
from bilevelrl.problems.thermal_control.follower import ThermalRegulator
from tests.buildings import CORNERS, PUBLISHED, designs

REGULATOR = Regulator(
    PUBLISHED.input_matrix, PUBLISHED.state_cost, PUBLISHED.control_cost, PUBLISHED.discount
)


def test_accuracy_bounds_the_true_error_of_an_early_answer() -> None:
    theta = np.concatenate([CORNERS, designs(PUBLISHED, 3)])
    truth = ThermalRegulator(PUBLISHED, np.full(6, 0.1)).respond(theta)
    drift, root = PUBLISHED.dynamics(theta), np.linalg.inv(np.linalg.cholesky(truth.quadratic)).mT
    certified = np.zeros(6, dtype=int)
    for doublings in range(1, 13):
        # Without the step of policy iteration, which would hide how early it is.
        early = replace(REGULATOR, max_iterations=doublings).solve(drift).quadratic
        accuracy = REGULATOR.accuracy(early, drift, REGULATOR.gain(early, drift))
        # The factors between sᵀ P* s and sᵀ P s, and what the gain of P costs.
        ratio = 1.0 / np.linalg.eigvalsh(root.mT @ early @ root)
        spent = REGULATOR.policy_cost(drift, REGULATOR.gain(early, drift))
        paid = np.linalg.eigvalsh(root.mT @ spent @ root)
        for run in np.flatnonzero(np.isfinite(accuracy)):
            assert ratio[run].min() > 1.0 - 1e-9
            assert ratio[run].max() <= 1.0 + accuracy[run] + 1e-9
            assert paid[run].max() <= 1.0 + accuracy[run] + 1e-9
            certified[run] += ratio[run].max() > 1.0 + 1e-6
    assert (certified >= 2).all()


def test_accuracy_of_the_answer_is_that_of_its_own_gain_and_costs() -> None:
    # An answer with costs or a gain that are wrong in one direction is not called accurate.
    theta = designs(PUBLISHED, 1)
    found = ThermalRegulator(PUBLISHED, np.array([0.1])).respond(theta)
    drift = PUBLISHED.dynamics(theta)
    assert REGULATOR.accuracy(found.quadratic, drift, found.gain) == pytest.approx(0.0, abs=1e-12)
    wrong = found.quadratic * (1.0 + 1e-6)
    assert REGULATOR.accuracy(wrong, drift, found.gain)[0] > 1e-7
    assert REGULATOR.accuracy(found.quadratic, drift, found.gain * 1.01)[0] > 1e-7
