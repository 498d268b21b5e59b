"""The error of an estimate, taken apart."""

import numpy as np
import pytest

from bilevelrl.core.error_parts import PARTS, error_parts

RNG = np.random.default_rng(0)
EXACT, PLAYED = RNG.normal(size=(2, 3, 24))
ESTIMATES = PLAYED + 0.3 + RNG.normal(size=(6, 3, 24))


def test_parts_sum_to_the_mean_squared_error() -> None:
    parts = error_parts(EXACT, PLAYED, ESTIMATES)
    error = np.square(ESTIMATES - EXACT).sum(axis=2).mean(axis=0)
    np.testing.assert_allclose(sum(parts[name] for name in PARTS), error)
    np.testing.assert_allclose(parts["hypergradient_square"], np.square(EXACT).sum(axis=1))


def test_each_part_is_zero_where_it_must_be() -> None:
    assert not error_parts(PLAYED, PLAYED, ESTIMATES)["lag_error"].any()
    same = np.repeat(PLAYED[None], 4, axis=0)
    certain = error_parts(EXACT, PLAYED, same)
    assert not certain["variance_error"].any()
    assert not certain["belief_error"].any()
    np.testing.assert_allclose(certain["lag_error"], np.square(PLAYED - EXACT).sum(axis=1))
    wrong = error_parts(PLAYED, PLAYED, same + 0.5)
    np.testing.assert_allclose(wrong["belief_error"], 24 * 0.25)


def test_few_replicates_tell_every_part_without_bias() -> None:
    belief, deviation, many = 0.3, 1.5, 4000
    drawn = PLAYED[0] + belief + deviation * RNG.normal(size=(3, many, 24))
    parts = error_parts(np.tile(EXACT[0], (many, 1)), np.tile(PLAYED[0], (many, 1)), drawn)
    lag = PLAYED[0] - EXACT[0]
    expected = {
        "lag_error": (lag * (lag + belief)).sum(),
        "belief_error": (belief * (lag + belief)).sum(),
        "variance_error": 24 * deviation**2,
    }
    for name, wanted in expected.items():
        error = parts[name].std() / np.sqrt(many)
        assert abs(parts[name].mean() - wanted) < 4.0 * error, name
    # The square of the mean's own error would raise the belief by so much.
    assert 24 * deviation**2 / 3 > 8.0 * parts["belief_error"].std() / np.sqrt(many)


def test_one_estimate_has_no_variance() -> None:
    with pytest.raises(ValueError, match="estimates must be at least 2, got 1"):
        error_parts(EXACT, PLAYED, ESTIMATES[:1])


def test_bits_do_not_depend_on_the_batch() -> None:
    many = RNG.normal(size=(8, 3, 24))
    together = error_parts(EXACT, PLAYED, many)
    for run in range(3):
        alone = error_parts(EXACT[run : run + 1], PLAYED[run : run + 1], many[:, run : run + 1])
        for name, values in alone.items():
            assert values[0] == together[name][run], name
