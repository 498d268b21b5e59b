"""Numbers look the same in every document."""

import numpy as np
import pandas as pd
import pytest

from bilevelrl.reporting.formats import fill, number
from bilevelrl.reporting.sources import ReportError


@pytest.mark.parametrize(
    ("value", "spec", "text"),
    [
        (0.5468, ".3f", "0.547"),
        (-0.5468, ".3f", "−0.547"),
        (-0.0004, ".3f", "0.000"),
        (12345.0, "", "12,345"),
        (0.25, "", "0.25"),
        (np.int64(20), "", "20"),
        (190217.0, ".1e", "1.9·10⁵"),
        (-0.00012, ".1e", "−1.2·10⁻⁴"),
        (669474.0, "3s", "669,000"),
        (42.283, "3s", "42.3"),
        (0.0436436, "3s", "0.0436"),
        (9.996, "3s", "10.0"),
        (0.0, "3s", "0.00"),
        (0.415, ".0%", "42%"),
        (float("nan"), ".3f", "—"),
        ("", "", "—"),
        ("full", "", "full"),
        (np.True_, "", "yes"),
        (False, "", "no"),
    ],
)
def test_one_function_turns_values_into_text(value: object, spec: str, text: str) -> None:
    assert number(value, spec) == text


def test_a_wrong_format_is_refused() -> None:
    with pytest.raises(ReportError, match="format"):
        number(1.0, ".3q")


def test_what_is_missing() -> None:
    row = pd.DataFrame({"mean": [1.0], "error": [np.nan], "seeds": [3]})
    assert fill("{mean:.1f} ± {error:.1f}", row) == "1.0"
    assert fill("{error:.1f} of {seeds}", row) == "—"
    assert fill("{mean * seeds:.0f} of {seeds}", row) == "3 of 3"
    assert fill("{error}", pd.concat([row, row]), "sum") == "—"
