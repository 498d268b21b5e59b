"""A leader of building thermal control that identifies its building: what it learns, from what."""

from dataclasses import replace

import numpy as np
import pytest

from bilevelrl.core.arrays import Floats
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.thermal_control.design import Levers
from bilevelrl.problems.thermal_control.exact import thermal_hypergradient
from bilevelrl.problems.thermal_control.follower import ThermalRegulator
from bilevelrl.problems.thermal_control.identified import (
    BuildingBelief,
    IdentifiedBelief,
    IdentifiedBuilding,
)
from bilevelrl.problems.thermal_control.problem import ThermalControl
from bilevelrl.problems.thermal_control.rollout import ThermalBatch, ThermalRollout
from tests.buildings import ALL, BETA, NAMES, PUBLISHED, building, designs, follower_of


def belief_of(problem: ThermalControl) -> IdentifiedBelief:
    zones, units = problem.input_matrix.shape
    return IdentifiedBelief((zones, units), problem.discount, problem.max_episode_steps)


def effects_of(problem: ThermalControl) -> Floats:
    """C₀ and every C_k, from A at corners."""
    size = problem.num_parameters
    corners = np.where(np.vstack([np.zeros(size), np.eye(size)]) > 0.0, 40.0, -40.0)
    found = problem.dynamics(corners)
    slopes = found[1:] - found[0]
    return np.concatenate([(found[0] + 0.5 * slopes.sum(axis=0))[None], slopes])


def identified(problem: ThermalControl) -> IdentifiedBuilding:
    """All that there is to know."""
    return IdentifiedBuilding(
        effects_of(problem), problem.input_matrix, problem.state_cost, problem.control_cost,
        problem.noise, problem.initial_deviation, problem.max_episode_steps, problem.discount,
        problem.stability_weight, problem.energy_weight,
        Levers(problem.num_zones, problem.insulation_weight, problem.airflow_weight),
    )  # fmt: skip


def learned(problem: ThermalControl, batches: int, episodes: int = 4) -> BuildingBelief:
    """After so many batches under designs that differ, one run."""
    belief, streams = belief_of(problem), Streams([5])
    rollout, follower = ThermalRollout(problem, episodes, information="rewards"), follower_of
    memory = belief.start(streams)
    for theta in designs(problem, batches)[:, None]:
        response = follower(problem, 1).respond(theta)
        seen = rollout.observe(theta, response, streams, at_random=False)
        found = belief.learn(theta, seen, memory)
    return found


@pytest.mark.parametrize("problem", ALL, ids=NAMES)
def test_the_hypergradient_in_a_right_model_is_the_exact_one(problem: ThermalControl) -> None:
    theta, model = designs(problem, 4), identified(problem)
    np.testing.assert_allclose(model.dynamics(theta), problem.dynamics(theta), atol=1e-12)
    true, own = follower_of(problem, 4), ThermalRegulator(model, np.full(4, BETA))
    expected = thermal_hypergradient(true, theta, true.respond(theta))
    found = thermal_hypergradient(own, theta, own.respond(theta))
    for name in ("direct", "indirect", "leader_return"):
        wanted = getattr(expected, name)
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(getattr(found, name), wanted, rtol=1e-6, atol=1e-6 * scale)


@pytest.mark.parametrize("problem", ALL, ids=NAMES)
def test_the_building_is_found(problem: ThermalControl) -> None:
    problem = replace(problem, noise=PUBLISHED.noise)
    found, truth = learned(problem, 40), identified(problem)
    model = found.expected(0)
    theta = designs(problem, 20, seed=7)
    wanted = problem.dynamics(theta)
    assert np.abs(model.dynamics(theta) - wanted).max() < 0.1 * np.abs(truth.effects[1:]).max()
    np.testing.assert_allclose(model.input_matrix, truth.input_matrix, atol=0.02)
    assert model.noise == pytest.approx(truth.noise, rel=0.05)
    assert model.initial_deviation == pytest.approx(truth.initial_deviation, rel=0.1)


def test_rewards_are_found_exactly() -> None:
    model = learned(PUBLISHED, 3, episodes=1).expected(0)
    np.testing.assert_allclose(model.state_cost, PUBLISHED.state_cost, atol=1e-6)
    np.testing.assert_allclose(model.control_cost, PUBLISHED.control_cost, atol=1e-6)
    weights = model.stability_weight, model.energy_weight
    np.testing.assert_allclose(weights, (1.0, 0.5), rtol=1e-6)
    design = model.design
    np.testing.assert_allclose((design.insulation_weight, design.airflow_weight), 0.1, rtol=1e-4)


def test_what_may_be_is_drawn_around_the_guess_and_less_spread_the_more_is_seen() -> None:
    normals = np.random.default_rng(2).standard_normal((38, 4))
    theta = designs(PUBLISHED, 20, seed=7)
    gaps = []
    for batches in (5, 50):
        found = learned(PUBLISHED, batches, episodes=1)
        drawn, expected = found.drawn(0, normals), found.expected(0)
        gaps.append(np.abs(drawn.dynamics(theta) - expected.dynamics(theta)).max())
    assert 0.0 < gaps[1] < 0.5 * gaps[0]


def test_doubt_is_the_variance_of_what_may_follow() -> None:
    found, theta = learned(PUBLISHED, 12, episodes=1), designs(PUBLISHED, 3, seed=7)
    rng = np.random.default_rng(2)
    drawn = [found.drawn(0, rng.standard_normal((38, 4))).dynamics(theta) for _ in range(4000)]
    # A(θ) s of independent s of unit variance.
    spread = np.var(drawn, axis=0).sum(axis=(1, 2))
    np.testing.assert_allclose(found.doubt(0, theta), spread, rtol=0.1)


def test_transitions_that_the_limit_cuts_do_not_count() -> None:
    # Without insulation and airflow two zones grow until they are cut.
    theta = np.full((1, 8), -8.0)
    belief, streams = belief_of(PUBLISHED), Streams([5])
    response = follower_of(PUBLISHED, 1).respond(theta)
    seen = ThermalRollout(PUBLISHED, 3, information="rewards").observe(
        theta, response, streams, at_random=False
    )
    cut = np.abs(seen.next_state[0]) > 29.0
    assert cut.any(axis=0).sum() == 2
    memory = belief.start(streams)
    belief.learn(theta, seen, memory)
    assert 0 < memory["equations"][0] <= (~cut).sum()
    found = belief.learn(theta, seen, memory)
    assert found.noise[0] == pytest.approx(PUBLISHED.noise, rel=0.2)


def test_observations_alone_are_read() -> None:
    # What knows nothing of a building learns that of any.
    other = building(4, 2, state_limit=1e6)
    theta = designs(other, 1)
    response = follower_of(other, 1).respond(theta)
    seen = ThermalRollout(other, 3, information="rewards").observe(
        theta, response, Streams([5]), at_random=False
    )
    told = {name for name in vars(seen) if getattr(seen, name) is not None}
    assert told == {
        "state", "leader_action", "follower_action", "next_state", "leader_reward",
        "follower_reward",
    }  # fmt: skip
    belief = belief_of(other)
    found = belief.learn(theta, seen, belief.start(Streams([5])))
    np.testing.assert_allclose(found.state_cost[0], other.state_cost, rtol=1e-6, atol=1e-6)


def test_rewards_that_are_not_seen_are_asked_for() -> None:
    theta = designs(PUBLISHED, 1)
    response = follower_of(PUBLISHED, 1).respond(theta)
    seen: ThermalBatch = ThermalRollout(PUBLISHED, 1, information="rewards").observe(
        theta, response, Streams([5]), at_random=False
    )
    belief = belief_of(PUBLISHED)
    with pytest.raises(ValueError, match="rewards"):
        belief.learn(theta, replace(seen, follower_reward=None), belief.start(Streams([5])))
