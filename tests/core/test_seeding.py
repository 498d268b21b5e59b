"""A run's random numbers depend on its seed and on its consumer's own draws, on nothing else."""

import random
from typing import Any, get_args

import numpy as np
import pytest

from bilevelrl.core.seeding import Consumer, Streams, stream

CONSUMERS: tuple[Consumer, ...] = get_args(Consumer)


@pytest.mark.parametrize(
    ("consumer", "number"),
    [
        ("initial_parameters", 0), ("rollout", 1), ("oracle", 2), ("critic", 3), ("follower", 4),
        ("zero_order", 5), ("actor", 6),
    ],
)  # fmt: skip
def test_consumers_keep_their_numbers(consumer: Consumer, number: int) -> None:
    # Renumbering would silently change every result.
    expected = np.random.default_rng(np.random.SeedSequence([17, number])).random(4)
    np.testing.assert_array_equal(stream(17, consumer).random(4), expected)


def test_every_consumer_has_a_stream_of_its_own() -> None:
    draws = {stream(3, consumer).random() for consumer in CONSUMERS}
    assert len(draws) == len(CONSUMERS) == 7


def test_same_seed_same_numbers_other_seed_other_numbers() -> None:
    draws = Streams([4, 5, 4]).uniforms("rollout", (6,))
    np.testing.assert_array_equal(draws[0], draws[2])
    assert (draws[0] != draws[1]).all()


@pytest.mark.parametrize("method", ["uniforms", "normals"])
def test_a_run_draws_the_same_alone_and_among_others(method: str) -> None:
    together, alone = Streams([8, 2, 9]), Streams([2])
    for shape in ((3,), (2, 2), (3,)):
        many = getattr(together, method)("critic", shape)
        one = getattr(alone, method)("critic", shape)
        assert many.shape == (3, *shape)
        np.testing.assert_array_equal(many[1], one[0])


def test_a_consumer_does_not_disturb_the_others() -> None:
    busy, quiet = Streams([1]), Streams([1])
    for consumer in set(CONSUMERS) - {"rollout"}:
        busy.uniforms(consumer, (100,))
        busy.normals(consumer, (3,))
    np.testing.assert_array_equal(busy.uniforms("rollout", (5,)), quiet.uniforms("rollout", (5,)))


def test_numbers_come_in_one_order_however_they_are_asked_for() -> None:
    pieces, whole = Streams([6]), Streams([6])
    parts = [pieces.uniforms("oracle", (size,)).copy() for size in (2, 3, 2)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole.uniforms("oracle", (7,)))


def test_the_array_of_uniforms_is_reused_for_the_same_consumer_and_shape_only() -> None:
    streams = Streams([0])
    first = streams.uniforms("rollout", (4,))
    kept = first.copy()
    other = streams.uniforms("critic", (4,))
    longer = streams.uniforms("rollout", (5,))
    np.testing.assert_array_equal(first, kept)
    assert not np.shares_memory(first, other)
    assert not np.shares_memory(first, longer)
    assert streams.uniforms("rollout", (4,)) is first
    assert (first != kept).all()


def test_numbers_have_their_distributions() -> None:
    streams = Streams(range(100))
    uniforms, normals = streams.uniforms("rollout", (1000,)), streams.normals("follower", (1000,))
    assert 0.0 <= uniforms.min() < uniforms.max() < 1.0
    assert uniforms.mean() == pytest.approx(0.5, abs=4.0 / np.sqrt(12 * 1e5))
    assert normals.mean() == pytest.approx(0.0, abs=4.0 / np.sqrt(1e5))
    assert normals.std() == pytest.approx(1.0, abs=4.0 / np.sqrt(2e5))
    # Neighbouring seeds are not alike.
    first, second = uniforms[:2] - 0.5
    assert abs(12.0 * np.mean(first * second)) < 4.0 / np.sqrt(1000)


def test_global_generators_are_left_alone() -> None:
    def global_states() -> tuple[Any, bytes]:
        legacy: Any = np.random.get_state()  # noqa: NPY002
        return random.getstate(), legacy[1].tobytes()

    before = global_states()
    streams = Streams([0, 1])
    streams.uniforms("rollout", (3,))
    streams.normals("critic", (3,))
    assert global_states() == before
