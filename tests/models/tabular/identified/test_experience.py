"""What a leader remembers, and what of it counts."""

import numpy as np
import pytest

from bilevelrl.models.tabular.identified.experience import (
    HISTORY,
    MEMORIES,
    Experience,
    experience_of,
    nothing_seen,
)

SHAPE = (3, 2)


@pytest.fixture
def own() -> Experience:
    return experience_of(nothing_seen(2, SHAPE, 4), 1)


def play(own: Experience, number: float) -> None:
    own.turn_to(np.full(4, number), np.full(SHAPE, -number))


def test_choices_belong_to_the_theta_under_which_they_were_made(own: Experience) -> None:
    for number in (1.0, 1.0, 2.0):
        play(own, number)
        own.times[-1, 0, 1] += 1.0
    assert own.choices.times[:, 0, 1].tolist() == [2.0, 1.0]
    assert own.choices.reward[:, 0, 0].tolist() == [-1.0, -2.0]


def test_choices_after_a_plan_are_told_from_those_before(own: Experience) -> None:
    play(own, 1.0)
    own.ages[:] += 1.0
    play(own, 1.0)
    assert own.weights(0.0).tolist() == [0.0, 1.0]
    assert own.weights(1.0).tolist() == [1.0, 1.0]
    assert own.weights(0.7).tolist() == [0.7, 1.0]


def test_the_oldest_theta_is_forgotten(own: Experience) -> None:
    for number in range(HISTORY + 3):
        play(own, float(number))
    assert len(own.choices.times) == HISTORY
    assert own.thetas[0, 0] == 3.0


def test_the_memory_that_foretells_best_is_believed(own: Experience) -> None:
    for number in range(len(MEMORIES)):
        own.corrections[number] = 1.0 + number
    for number in range(len(MEMORIES)):
        own.foretold[:] = -5.0
        own.foretold[number] = -4.0
        assert (own.correction == 1.0 + number).all()


@pytest.mark.parametrize(("ahead", "believed"), [(3.0, 1.0), (5.0, 2.0), (-5.0, 1.0)])
def test_a_memory_that_forgets_has_to_be_better_by_more_than_luck(
    own: Experience, ahead: float, believed: float
) -> None:
    own.corrections[0], own.corrections[1] = 1.0, 2.0
    own.foretold[1], own.doubt[1] = ahead, 2.0**2
    assert (own.correction == believed).all()


def test_runs_share_no_memory() -> None:
    memory = nothing_seen(2, SHAPE, 4)
    play(experience_of(memory, 0), 1.0)
    assert experience_of(memory, 1).used[0] == 0.0
    assert experience_of(memory, 0).used[0] == 1.0
