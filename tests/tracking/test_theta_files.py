"""θ as a table and a picture: what they say, and that they stay small."""

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from bilevelrl.tracking import theta_files
from bilevelrl.tracking.theta_files import bars, write_theta

SPACE = "{http://www.w3.org/2000/svg}"


def heights(picture: str) -> list[tuple[float, float]]:
    """Top and height of every bar, in pixels."""
    paths = ElementTree.fromstring(picture).findall(f"{SPACE}path")
    found = re.findall(r"M\S+ (\S+?)h\S+?v([^h]+)h", paths[1].attrib["d"])
    return [(float(top), float(height)) for top, height in found]


def test_bars_stand_and_hang_from_zero_as_long_as_components() -> None:
    # From -1 to 3 in 180 pixels: zero is 135 below the upper margin of 30.
    assert heights(bars(np.array([3.0, -1.0, 0.0, 1.0]))) == [
        (30.0, 135.0), (165.0, 45.0), (165.0, 0.0), (120.0, 45.0),
    ]  # fmt: skip
    assert heights(bars(np.zeros(2))) == [(30.0, 0.0)] * 2


def test_many_components_share_bars_from_the_least_to_the_greatest() -> None:
    theta = np.zeros(2 * theta_files.BARS)
    theta[[0, 1]] = -1.0, 1.0
    drawn = heights(bars(theta))
    assert len(drawn) == theta_files.BARS
    assert drawn[0] == (30.0, 180.0)
    assert set(drawn[1:]) == {(120.0, 0.0)}
    assert f"{len(theta)} components, from -1 to 1" in bars(theta)


@pytest.mark.parametrize("size", [3, 5000])
def test_files_of_a_run_are_few_and_small(tmp_path: Path, size: int) -> None:
    theta = np.random.default_rng(0).standard_normal(size)
    write_theta(theta, tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "theta.npy"), theta)
    assert (tmp_path / "theta.svg").stat().st_size < 12_000
    assert (tmp_path / "theta.csv").exists() == (size == 3)
    if size == 3:
        read = np.loadtxt(tmp_path / "theta.csv", delimiter=",", skiprows=1)
        np.testing.assert_allclose(read[:, 1], theta, rtol=1e-9)


def test_a_theta_that_is_not_finite_has_no_picture(tmp_path: Path) -> None:
    write_theta(np.array([1.0, np.nan]), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["theta.csv", "theta.npy"]
