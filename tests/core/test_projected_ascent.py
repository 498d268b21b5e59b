"""Steps that end at the bounds."""

import numpy as np
import pytest

from bilevelrl.core.ascent import Adam, GradientAscent
from bilevelrl.core.projected_ascent import Projected


def test_a_step_ends_at_the_bound_and_the_next_one_may_leave_it() -> None:
    rule = Projected(GradientAscent(np.array([1.0, 0.5]), 100.0), 0.0, 3.0)
    state = rule.start((2, 2))
    theta = rule.step(np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([[-5.0, 1.0]] * 2), state)
    np.testing.assert_array_equal(theta, [[0.0, 2.0], [0.0, 1.5]])
    theta = rule.step(theta, np.array([[2.0, 9.0]] * 2), state)
    np.testing.assert_array_equal(theta, [[2.0, 3.0], [1.0, 3.0]])


def test_inside_it_is_the_rule_itself() -> None:
    gradients = np.random.default_rng(0).standard_normal((5, 3, 4))
    plain, rule = Adam(np.full(3, 0.1)), Projected(Adam(np.full(3, 0.1)), -50.0, 50.0)
    states = plain.start((3, 4)), rule.start((3, 4))
    ours = theirs = np.zeros((3, 4))
    for gradient in gradients:
        theirs = plain.step(theirs, gradient, states[0])
        ours = rule.step(ours, gradient, states[1])
    np.testing.assert_array_equal(ours, theirs)


def test_an_empty_box_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing is between"):
        Projected(Adam(np.ones(1)), 1.0, 0.0)
