"""Identified dynamics against a map that is known."""

import numpy as np
import pytest

from bilevelrl.core.arrays import Floats
from bilevelrl.models.tabular.identified.kernel import (
    SeenTransitions,
    identify,
    log_evidence,
    seen_successors,
    structured_prior,
)
from bilevelrl.problems.four_rooms.problem import FourRooms

ROOMS = FourRooms()
TRUE = ROOMS.simulator.transition


def counted(times: int, seed: int = 0) -> Floats:
    """Every action tried as often in every state, shape (S, A, S)."""
    generator = np.random.default_rng(seed)
    flat = TRUE.reshape(-1, TRUE.shape[2])
    return np.stack([generator.multinomial(times, p) for p in flat]).reshape(TRUE.shape) * 1.0


def seen(moves: Floats) -> SeenTransitions:
    ends = np.zeros(len(moves))
    ends[ROOMS.goal] = 1.0
    return SeenTransitions(moves, ends, ROOMS.simulator.initial)


def test_successors_are_those_seen_and_the_state_itself_fills_up() -> None:
    moves = np.zeros((3, 2, 3))
    moves[0, 0, 2], moves[0, 1, 1], moves[1, 0, 1] = 1.0, 3.0, 2.0
    assert seen_successors(moves).tolist() == [[1, 2], [1, 1], [2, 2]]


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("times", "share"), [(5, 0.5), (50, 0.1), (5000, 0.5)])
def test_the_kernel_comes_nearer_to_the_truth_than_frequencies(
    times: int, share: float, seed: int
) -> None:
    counts = counted(times, seed)
    found = identify(seen(counts), 0.99)
    counted_alone = np.abs(counts / times - TRUE).sum(axis=2).mean()
    assert np.abs(found.model.transition - TRUE).sum(axis=2).mean() < share * counted_alone
    np.testing.assert_allclose(found.model.transition.sum(axis=2), 1.0)
    assert found.model.discount[ROOMS.goal] == 0.0
    assert (np.delete(found.model.discount, ROOMS.goal) == 0.99).all()


def test_the_prior_knows_how_often_an_action_does_what_it_should() -> None:
    counts = np.take_along_axis(counted(2000), ROOMS.moves[:, None, :], axis=2)
    inner = np.array([len(set(row)) == 4 for row in ROOMS.moves.tolist()])
    prior = structured_prior(counts[inner])
    np.testing.assert_allclose(prior.max(axis=2), 1.0 - ROOMS.fail_probability, atol=0.01)


def test_an_action_that_was_never_tried_does_what_is_left_for_it() -> None:
    moves = counted(100)
    moves[ROOMS.start, 2] = 0.0
    found = identify(seen(moves), 0.99)
    row = found.model.transition[ROOMS.start, 2]
    assert (row[moves[ROOMS.start].sum(axis=0) == 0.0] == 0.0).all()
    assert found.times[ROOMS.start, 2] == 0.0
    np.testing.assert_allclose(row, TRUE[ROOMS.start, 2], atol=0.03)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_a_rare_action_happened_to_do_is_not_taken_for_what_it_does(seed: int) -> None:
    moves = counted(300, seed)
    state = ROOMS.start
    usual = moves[state].argmax(axis=1)
    moves[state, 3] = 0.0
    moves[state, 3, usual[:2]] = 1.0  # twice it slipped
    found = identify(seen(moves), 0.99).model.transition[state]
    error = np.abs(found - TRUE[state]).sum(axis=1)
    assert error[:3].max() < 0.06  # others' slips are not skewed by it
    assert error[3] < 0.2


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_one_action_tells_what_happens_whatever_is_done(seed: int) -> None:
    """A follower that nearly always does the same in a state: all actions are known from that."""
    generator = np.random.default_rng(seed)
    favourite = generator.integers(4, size=len(TRUE))
    times = np.full(TRUE.shape[:2], 20)
    times[np.arange(len(TRUE)), favourite] = 600
    moves = np.stack([
        [generator.multinomial(times[s, a], TRUE[s, a]) for a in range(4)]
        for s in range(len(TRUE))
    ]) * 1.0  # fmt: skip
    error = np.abs(identify(seen(moves), 0.99).model.transition - TRUE).sum(axis=2)
    frequencies = np.abs(moves / times[:, :, None] - TRUE).sum(axis=2)
    assert error.mean() < 0.02
    assert error.mean() < 0.15 * frequencies.mean()


def test_evidence_is_the_integrated_likelihood() -> None:
    # One state, one action: Beta-binomial, by Monte Carlo.
    counts, prior = np.array([[[7.0, 3.0]]]), np.array([[[0.8, 0.2]]])
    draws = np.random.default_rng(1).beta(10 * 0.8, 10 * 0.2, size=400_000)
    expected = np.log(np.mean(draws**7 * (1.0 - draws) ** 3))
    assert log_evidence(counts, prior, 10.0) == pytest.approx(expected, abs=0.01)


def test_a_prior_that_fits_is_trusted_and_one_that_does_not_is_not() -> None:
    assert identify(seen(counted(50)), 0.99).strength >= 30.0
    generator = np.random.default_rng(3)
    strange = generator.dirichlet(np.full(4, 0.5), size=(len(TRUE), 4))
    moves = np.zeros_like(TRUE)
    for s, row in enumerate(ROOMS.moves.tolist()):
        for a in range(4):
            np.add.at(moves[s, a], row, generator.multinomial(200, strange[s, a]))
    assert identify(seen(moves), 0.99).strength <= 10.0
