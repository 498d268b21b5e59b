"""Soft Q-learning of a follower that sees the leader act, against the exact best response."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.follower import BestResponse
from bilevelrl.core.seeding import Streams
from bilevelrl.core.soft_q_rule import SoftQOptions
from bilevelrl.models.finite_game.markov_game import MarkovGame, state_chain
from bilevelrl.models.finite_game.soft_q_iteration import SoftQIteration
from bilevelrl.models.finite_game.soft_q_learning import GameSoftQLearning
from bilevelrl.problems.discrete_toy.problem import discrete_toy
from tests.games import random_game, random_policies, toy_leader

Floats = NDArray[np.float64]
RUNS = 3
GENERIC, TOY = random_game(), discrete_toy(1.0)
BETA = {"generic": np.array([0.2, 0.4, 2.0]), "toy": np.full(RUNS, 0.05)}
GAMES = {"generic": GENERIC, "toy": TOY}
LEADERS = {
    "generic": random_policies(RUNS, 4, 3),
    "toy": toy_leader(np.array([0.2, 0.5, 0.9])),
}
OPTIONS = SoftQOptions(exponent=0.6)


def learner(
    name: str, steps: int, first: int | None = None, start: Literal["carry", "reset"] = "carry"
) -> GameSoftQLearning:
    return GameSoftQLearning(GAMES[name], BETA[name], first or steps, steps, OPTIONS, start)


def exact(name: str, leader: Floats) -> BestResponse:
    solver = SoftQIteration(GAMES[name], BETA[name], 1e-11, 100)
    return solver.respond(leader, solver.start(RUNS))


def visits(game: MarkovGame, leader: Floats, policy: Floats) -> Floats:
    """Share of an episode that the best response spends in each state, shape (R, S)."""
    chains = state_chain(game, leader, policy)
    now, total = np.tile(game.initial, (len(leader), 1)), np.zeros(leader.shape[:2])
    for _ in range(game.max_episode_steps):
        total += now / game.max_episode_steps
        now = np.einsum("rs,rst->rt", now, chains)
    return total


def kl(name: str, answer: BestResponse) -> Floats:
    """KL(best response || answer), averaged where the best response and the leader go."""
    leader, best = LEADERS[name], exact(name, LEADERS[name])
    ratio = np.log(best.policy + 1e-300) - np.log(answer.policy + 1e-300)
    weight = visits(GAMES[name], leader, best.policy)[:, :, None] * leader
    divergence: Floats = ((best.policy * ratio).sum(axis=3) * weight).sum(axis=(1, 2))
    return divergence


@pytest.mark.parametrize("name", GAMES)
def test_the_best_response_is_learned(name: str) -> None:
    follower, streams = learner(name, 100_000, 1_000), Streams(range(RUNS))
    memory, found = follower.start(RUNS), []
    for _ in range(4):
        answer = follower.respond(LEADERS[name], memory, streams)
        found.append(kl(name, answer))
    assert (found[0] > 10.0 * found[-1]).all()
    assert (found[-1] < 0.01).all()
    best, weight = exact(name, LEADERS[name]), LEADERS[name] / GAMES[name].num_states
    error = np.abs((answer.value - best.value) * weight).sum(axis=(1, 2))
    assert (error < 0.02 * np.abs(best.value * weight).sum(axis=(1, 2))).all()


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("steps", [100, 3_000, 50_000])
def test_accuracy_bounds_the_true_error(name: str, steps: int) -> None:
    follower = learner(name, steps)
    answer = follower.respond(LEADERS[name], follower.start(RUNS), Streams(range(RUNS)))
    error = np.abs(answer.value - exact(name, LEADERS[name]).value).max(axis=(1, 2))
    assert (answer.accuracy >= error).all()
    if steps == 100:  # the bound is about something
        assert (error > 1e-2).all()
    assert answer.steps == steps
    np.testing.assert_allclose(answer.policy.sum(axis=-1), 1.0, rtol=1e-12)


def test_an_answer_is_the_softmax_of_what_was_learned() -> None:
    follower = learner("generic", 2_000)
    memory = follower.start(RUNS)
    answer = follower.respond(LEADERS["generic"], memory, Streams(range(RUNS)))
    beta = BETA["generic"][:, None, None]
    value = beta * np.logaddexp.reduce(memory[:, 0] / beta[..., None], axis=-1)
    np.testing.assert_allclose(answer.value, value, rtol=1e-12)
    policy = np.exp((memory[:, 0] - value[..., None]) / beta[..., None])
    np.testing.assert_allclose(answer.policy, policy, rtol=1e-9)
    np.testing.assert_array_equal(memory[:, 1].sum(axis=(1, 2, 3)), 2_000.0)


def test_reset_forgets_and_carry_does_not() -> None:
    moved = random_policies(RUNS, 4, 3, seed=9)
    answers = {}
    for start in ("carry", "reset"):
        follower = learner("generic", 2_000, start=start)
        memory, streams = follower.start(RUNS), Streams(range(RUNS))
        follower.respond(LEADERS["generic"], memory, streams)
        answers[start] = follower.respond(moved, memory, streams)
        counted = 2_000.0 * (2 if start == "carry" else 1)
        np.testing.assert_array_equal(memory[:, 1].sum(axis=(1, 2, 3)), counted)
    assert (answers["carry"].policy != answers["reset"].policy).any()
    # After a reset nothing is left of what the memory held, whatever that was.
    follower = learner("generic", 2_000, start="reset")
    memory, streams = follower.start(RUNS), Streams(range(RUNS))
    follower.respond(LEADERS["generic"], memory, streams)
    memory += 1e6
    again = follower.respond(moved, memory, streams)
    np.testing.assert_array_equal(again.policy, answers["reset"].policy)
    assert follower.respond(moved, memory, streams).steps == 2_000


def test_the_first_answer_has_its_own_budget() -> None:
    follower, streams = learner("generic", 40, 700), Streams(range(RUNS))
    memory = follower.start(RUNS)
    taken = [follower.respond(LEADERS["generic"], memory, streams).steps for _ in range(3)]
    assert taken == [700, 40, 40]
    np.testing.assert_array_equal(memory[:, 1].sum(axis=(1, 2, 3)), 780.0)


def test_bits_do_not_depend_on_the_other_runs() -> None:
    follower = learner("generic", 2_000)
    memory = follower.start(RUNS)
    together = follower.respond(LEADERS["generic"], memory, Streams([4, 5, 6]))
    for run in range(RUNS):
        one = slice(run, run + 1)
        alone = replace(follower, temperature=follower.temperature[one])
        own = alone.start(1)
        found = alone.respond(LEADERS["generic"][one], own, Streams([4 + run]))
        for name in ("policy", "value", "accuracy"):
            np.testing.assert_array_equal(getattr(found, name)[0], getattr(together, name)[run])
        np.testing.assert_array_equal(own[0], memory[run])


def test_a_leader_that_is_no_policy_is_refused() -> None:
    follower = learner("generic", 10)
    with pytest.raises(ValueError, match="leader_policy"):
        follower.respond(2.0 * LEADERS["generic"], follower.start(RUNS), Streams(range(RUNS)))
