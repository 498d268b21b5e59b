"""Richardson extrapolation of the perturbed follower's quotients: what is left of their errors."""

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.perturbed_answers import compared, extrapolated, rows
from benchmarks.perturbed_cases import Case

Floats = NDArray[np.float64]
#: d³/dε³ and d⁵/dε⁵ of the answer at 0, where d/dε is 2.
THIRD, FIFTH = np.array([3.0, -1.0]), np.array([1.0, 5.0])


def quotient(epsilon: float, two_sided: bool) -> Floats:
    def answer(at: float) -> Floats:
        return 2.0 * at + 0.7 * at**2 + THIRD * at**3 / 6.0 + FIFTH * at**5 / 120.0

    if two_sided:
        return np.asarray((answer(epsilon) - answer(-epsilon)) / (2.0 * epsilon))
    return np.asarray(answer(epsilon) / epsilon)


@pytest.mark.parametrize(
    ("two_sided", "left"),
    [(True, lambda e: -FIFTH * e**4 / 480.0), (False, lambda e: -THIRD * e**2 / 12.0)],
)
def test_what_is_left_is_the_next_term(two_sided: bool, left: object) -> None:
    for epsilon in (0.1, 0.05):
        error = extrapolated(quotient, epsilon, two_sided) - 2.0
        expected = left(epsilon)  # type: ignore[operator]
        np.testing.assert_allclose(error, expected, rtol=0.05 if two_sided else 0.02)


def test_largest_epsilon_is_the_first_of_the_list_that_is_within() -> None:
    case = Case("p", "θ", 0.5, np.full(2, 2.0), quotient, bound=0.05)
    table = list(rows(case))
    assert [row["epsilon"] for row in table] == [0.1, 0.03, 0.01]
    assert np.isnan(compared(case, 0.1, "two_sided")[0])  # beyond the bound nothing answers
    for kind in ("two_sided", "one_sided", "one_sided_extrapolated"):
        errors = {e: compared(case, e, kind)[0] for e in (0.1, 0.03, 0.01, 0.003)}
        expected = max(e for e, error in errors.items() if error <= 0.02)
        assert {row[f"{kind}_largest"] for row in table} == {expected}
    assert table[0]["one_sided_largest"] < table[0]["one_sided_extrapolated_largest"]
