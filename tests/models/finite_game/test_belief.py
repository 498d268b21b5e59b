"""What a watching leader believes about a follower: frequencies, and the value behind them."""

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.batches import TabularObservations
from bilevelrl.core.frequencies import frequencies
from bilevelrl.core.observations import Observations
from bilevelrl.core.seeding import Streams
from bilevelrl.models.finite_game.belief import FiniteBelief
from bilevelrl.models.finite_game.policies import TabularPolicy
from bilevelrl.models.finite_game.soft_q_iteration import SoftQIteration
from bilevelrl.models.tabular.belief import TabularBelief
from tests.games import random_game

Floats = NDArray[np.float64]
GAME = random_game(follower_discount=0.9)
POLICY = TabularPolicy(4, 3)
BETA = np.array([0.5])
THETA = 0.7 * np.random.default_rng(0).standard_normal((1, 12))


def nothing() -> Observations:
    """No transition at all."""
    empty = np.zeros((1, 0), np.int16)
    return Observations(empty, empty, empty, empty, np.zeros((1, 0)), np.zeros((1, 0)))


def known(policy: Floats, unseen: tuple[int, int] | None = None) -> dict[str, Floats]:
    """The memory after infinitely many transitions, without those of one (s, a)."""
    often = np.full((1, 4, 3, 2), 1e6)
    if unseen is not None:
        often[0][unseen] = 0.0
    return {
        "belief_played": often * policy,
        "belief_paid": often * GAME.follower_reward,
        "belief_moved": often[..., None] * GAME.transition,
    }


def test_with_all_the_samples_the_value_is_the_followers_own() -> None:
    follower = SoftQIteration(GAME, BETA, 1e-12, 200)
    response = follower.respond(POLICY.probabilities(THETA), follower.start(1))
    belief = FiniteBelief(GAME.sizes, POLICY, BETA, forgetting_factor=0.5)
    found = belief.learn(THETA, nothing(), known(response.policy))
    np.testing.assert_allclose(found.policy, response.policy, rtol=1e-12)
    np.testing.assert_allclose(found.value, response.value, rtol=1e-9)


def test_an_error_of_the_policy_costs_the_value_its_square() -> None:
    follower = SoftQIteration(GAME, BETA, 1e-12, 200)
    response = follower.respond(POLICY.probabilities(THETA), follower.start(1))
    belief = FiniteBelief(GAME.sizes, POLICY, BETA, forgetting_factor=0.5)
    losses = []
    for error in (0.1, 0.05):
        other = response.policy ** (1.0 + error)
        other /= other.sum(axis=-1, keepdims=True)
        losses.append(response.value - belief.learn(THETA, nothing(), known(other)).value)
    assert (losses[0] > 0.0).all()
    assert np.median(losses[0] / losses[1]) > 3.5


def test_a_leader_action_that_was_never_seen_is_worth_the_average() -> None:
    follower = SoftQIteration(GAME, BETA, 1e-12, 200)
    leader = POLICY.probabilities(THETA)
    response = follower.respond(leader, follower.start(1))
    belief = FiniteBelief(GAME.sizes, POLICY, BETA)
    found = belief.learn(THETA, nothing(), known(response.policy, (2, 1))).value[0, 2]
    seen = leader[0, 2, [0, 2]]
    np.testing.assert_allclose(found[1], (seen * found[[0, 2]]).sum() / seen.sum(), rtol=1e-9)


def test_old_plays_are_forgotten_but_not_what_the_game_is_like() -> None:
    one = np.ones((1, 1), np.int16)
    batch = Observations(one, one, 0 * one, 2 * one, np.ones((1, 1)), np.full((1, 1), 3.0))
    belief = FiniteBelief(GAME.sizes, POLICY, BETA, forgetting_factor=0.5)
    memory = belief.start(Streams([0]))
    belief.learn(THETA, batch, memory)
    belief.learn(THETA, batch, memory)
    assert memory["belief_played"][0, 1, 1, 0] == 1.5
    assert memory["belief_moved"][0, 1, 1, 0, 2] == 2.0
    assert memory["belief_paid"][0, 1, 1, 0] == 6.0


def test_frequencies_are_smoothed_and_uniform_where_nothing_was_seen() -> None:
    counts = np.array([[3.0, 1.0], [0.0, 0.0]])
    np.testing.assert_allclose(frequencies(counts, 0.0), [[0.75, 0.25], [0.5, 0.5]])
    np.testing.assert_allclose(frequencies(counts, 0.1), [[0.725, 0.275], [0.5, 0.5]])
    many = np.array([[[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 2.0]]] * 3)
    expected = [[0.25, 0.25, 0.25, 0.25], [0.25, 0.25, 0.05, 0.45]]
    np.testing.assert_allclose(frequencies(many, 0.2), [expected] * 3)


def test_a_tabular_belief_counts_actions() -> None:
    shape = (1, 1, 3)
    state, action = np.zeros(shape, np.int16), np.array([[[0, 0, 1]]], np.int8)
    never = np.zeros(shape, np.bool_)
    seen = TabularObservations(
        state, action, state, state, never, never, leader_reward=np.zeros(shape)
    )
    belief = TabularBelief((2, 2), forgetting_factor=0.0)
    found = belief.learn(np.zeros((1, 1)), seen, belief.start(Streams([0])))
    np.testing.assert_allclose(found.policy[0], [[2.0 / 3.0, 1.0 / 3.0], [0.5, 0.5]])
    assert np.isnan(found.value).all()


def test_a_tabular_belief_forgets_and_smooths() -> None:
    never = np.zeros((1, 1, 4), np.bool_)
    state = np.zeros((1, 1, 4), np.int16)
    batches = [
        TabularObservations(
            state, np.array([[actions]], np.int8), state, state, never, never,
            leader_reward=np.zeros((1, 1, 4)),
        )
        for actions in ([0, 0, 0, 1], [1, 1, 1, 1])
    ]  # fmt: skip
    belief = TabularBelief((2, 2), forgetting_factor=0.5, smoothing=0.1)
    memory = belief.start(Streams([0]))
    for seen in batches:
        found = belief.learn(np.zeros((1, 1)), seen, memory)
    np.testing.assert_array_equal(memory["belief_played"][0], [[1.5, 4.5], [0.0, 0.0]])
    np.testing.assert_allclose(found.policy[0], [[0.275, 0.725], [0.5, 0.5]])
