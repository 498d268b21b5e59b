"""What a watching leader believes about the follower of the guided cart-pole."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.random_features import RandomFeatures
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.guided_cartpole.belief import CartPoleBelief, WatchedFollower, value_rows
from bilevelrl.problems.guided_cartpole.rollout import CartPoleBatch

Floats = NDArray[np.float64]
WINDS = np.array([-0.5, 0.0, 0.5])
DISCOUNT, DEVIATION = 0.8, 0.4
#: H of tanh z, z ~ N(0, 0.4²), by quadrature on a fine grid.
GRID = np.linspace(-4.0, 4.0, 80_001)
DENSITY = np.exp(-0.5 * np.square(GRID / DEVIATION)) / (DEVIATION * np.sqrt(2.0 * np.pi))
ENTROPY = float(
    np.trapezoid(DENSITY * (np.log(1.0 - np.square(np.tanh(GRID))) - np.log(DENSITY)), GRID)
)


def stays(paid: float, number: int = 6000, fall: float = 0.0, seed: int = 0) -> CartPoleBatch:
    """States that jitter about, pushes that heed nothing, and a cart that may fall off a cliff."""
    rng = np.random.default_rng(seed)
    shape = (1, number)
    state, after = 0.1 * rng.standard_normal((2, *shape, 4))
    fell = rng.random(shape) < fall
    after[fell] = [3.0, 0.0, 0.0, 0.0]
    return CartPoleBatch(
        state,
        rng.integers(3, size=shape),
        np.tanh(DEVIATION * rng.standard_normal((*shape, 1))),
        after,
        np.zeros(shape),
        np.full(shape, paid),
        alive=np.ones(shape, np.bool_),
        terminated=fell,
    )


def belief(temperature: float, keep: float = 0.5) -> CartPoleBelief:
    features = RandomFeatures((0.5,) * 5, 10)
    beta = np.array([temperature])
    return CartPoleBelief(WINDS, beta, DISCOUNT, features, keep, ridge=1e-9, policy_ridge=1e-6)


def learned(temperature: float, *batches: CartPoleBatch, keep: float = 0.5) -> WatchedFollower:
    believed = belief(temperature, keep)
    memory = believed.start(Streams([0]))
    for batch in batches:
        found = believed.learn(np.zeros((1, 5)), batch, memory)
    return found


def values(found: WatchedFollower) -> Floats:
    """v_F at states of the usual size."""
    state = 0.1 * np.random.default_rng(9).standard_normal((200, 4))
    return (value_rows(state) @ found.memory["value_coefficients"][0])[:, 0]


@pytest.mark.parametrize("fall", [0.0, 0.25])
@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_the_value_counts_rewards_and_entropy(temperature: float, fall: float) -> None:
    # Every step is the same, so v = (r + β H) / (1 - γ (1 - fall)).
    found, reward = learned(temperature, stays(0.7, fall=fall)), 0.7
    expected = (reward + temperature * ENTROPY) / (1.0 - DISCOUNT * (1.0 - fall))
    np.testing.assert_allclose(values(found).mean(), expected, rtol=0.03)
    cliff = value_rows(np.array([[3.0, 0.0, 0.0, 0.0]])) @ found.memory["value_coefficients"][0]
    assert (np.abs(cliff[0, 0]) < 0.02 * expected) == (fall > 0.0)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_a_step_ahead_is_worth_its_entropy_and_what_follows(temperature: float) -> None:
    # The reward of the step itself is the same whatever the wind, and left out.
    ahead = learned(temperature, stays(0.7)).soft_values(0, np.zeros((1, 4)))
    later = temperature * ENTROPY + DISCOUNT * (0.7 + temperature * ENTROPY) / (1.0 - DISCOUNT)
    np.testing.assert_allclose(ahead, np.full((1, 3), later), rtol=0.04)


def test_the_bonus_is_that_of_the_policy_that_was_seen() -> None:
    found = learned(1.0, stays(0.0))
    entropy = found.answers(0, np.zeros((1, 4))).entropy
    np.testing.assert_allclose(entropy, np.full((1, 3), ENTROPY), atol=0.02)


def test_what_is_believed_of_pushes_stays_finite() -> None:
    # A follower that pushes with all its force, always or at random.
    hard = stays(0.0, number=2000)
    for push, largest in ((np.ones(2000), 6.1), (np.resize([1.0, -1.0], 2000), 0.5)):
        follower = replace(hard, follower_action=push.reshape(1, -1, 1))
        found = learned(1.0, follower)
        mean, deviation = found.gaussian(0, np.zeros((1, 4)), np.zeros(1))
        assert abs(mean[0]) < largest
        assert np.exp(-4.0) <= deviation[0] <= np.exp(1.5)
        assert np.isfinite(values(found)).all()
    assert abs(deviation[0] - np.exp(1.5)) < 1e-9  # ± 6 is more spread than is believed
    steady = replace(hard, follower_action=np.full((1, 2000, 1), np.tanh(0.3)))
    mean, deviation = learned(1.0, steady).gaussian(0, np.zeros((1, 4)), np.zeros(1))
    assert mean[0] == pytest.approx(0.3, abs=1e-4)
    assert deviation[0] == pytest.approx(np.exp(-4.0))


def test_physics_are_kept_and_the_follower_fades() -> None:
    # Two batches of which the second alone knows no left wind; half of what is old is kept.
    old, new = stays(1.0, number=4000), stays(3.0, number=4000, seed=1)
    both = learned(0.0, old, new)
    np.testing.assert_allclose(values(both).mean(), (0.5 * 1.0 + 3.0) / 1.5 / 0.2, rtol=0.03)
    memory, ages = both.memory, {"model": 1.0, "policy": 0.5, "deviation": 0.5, "value": 0.5}
    alone = [learned(0.0, batch).memory for batch in (old, new)]
    for name in ("model", "value", "deviation"):  # the policy is weighted by the deviation
        expected = ages[name] * alone[0][f"{name}_matrix"] + alone[1][f"{name}_matrix"]
        np.testing.assert_allclose(memory[f"{name}_matrix"], expected, rtol=1e-9)
    size = [float(np.trace(each["policy_matrix"][0])) for each in (memory, *alone)]
    np.testing.assert_allclose(size[0], 0.5 * size[1] + size[2], rtol=0.1)
    forgot = learned(0.0, old, new, keep=0.0).memory
    np.testing.assert_allclose(forgot["value_matrix"], alone[1]["value_matrix"], rtol=1e-9)
    np.testing.assert_allclose(forgot["model_matrix"], memory["model_matrix"], rtol=1e-12)
