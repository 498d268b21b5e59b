import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bilevelrl.evaluation.reference import published_means, read_references
from bilevelrl.runs.table_files import CorruptRecord

REFERENCE = Path(__file__).parents[2] / "reference"
#: Means of the last 1,000 updates at temperature 0.003, read independently off the same figures.
READ = {
    ("bc_hg", 100): 0.546,
    ("bc_hg", 400): 0.520,
    ("bc_hg", 1000): 0.265,
    ("hpgd_mc", 100): 0.099,
    ("hpgd_mc", 400): 0.235,
    ("hpgd_mc", 1000): 0.258,
    ("hpgd_sa", 100): 0.410,
    ("hpgd_oracle", 400): 0.527,
    ("naive", 1000): 0.0013,
    ("sobirl", 100): 0.0013,
}


@pytest.fixture
def reference() -> pd.DataFrame:
    return read_references(REFERENCE, ["four_rooms", "a_problem_without_published_curves"])


@pytest.mark.parametrize("key", READ)
def test_published_means_are_those_of_the_figures(
    reference: pd.DataFrame, key: tuple[str, int]
) -> None:
    means = published_means(reference).set_index(["estimator", "temperature", "budget"])
    estimator, budget = key
    assert means.loc[(estimator, 0.003, budget), "published_mean"] == pytest.approx(
        READ[key], abs=2e-3
    )


def test_the_standard_error_of_a_figure_is_that_of_a_sample(reference: pd.DataFrame) -> None:
    # The figure of FourRooms divides by n = 10; sample standard deviations are √(10/9) of that.
    raw = pd.read_csv(REFERENCE / "four_rooms_curves.csv")["standard_error"].to_numpy()
    found = reference["standard_error"].to_numpy()
    assert found == pytest.approx(raw * np.sqrt(10.0 / 9.0))
    games = read_references(REFERENCE, ["bilevel_lqr"])["standard_error"].to_numpy()
    raw = pd.read_csv(REFERENCE / "bilevel_lqr_curves.csv")["standard_error"].to_numpy()
    assert (games == raw).all()


def test_only_the_curves_of_thermal_control_lack_seeds() -> None:
    problems = [path.name.removesuffix("_curves.csv") for path in REFERENCE.glob("*_curves.csv")]
    masked = read_references(REFERENCE, problems).groupby("problem")["masked"].agg(["min", "max"])
    assert masked.loc["thermal_control"].tolist() == [1, 1]
    assert (masked.drop(index="thermal_control") == 0).all(axis=None)


@pytest.mark.parametrize(
    "content",
    ["[]", "{}", '{"averaged_over": 1, "seeds": 10, "ddof": 1, "masked": "one"}',
     '{"averaged_over": 1, "seeds": 10, "ddof": 1, "masked": -1}', '{"seeds": 10'],
)  # fmt: skip
def test_curves_that_do_not_say_how_they_were_made_are_refused(
    tmp_path: Path, content: str
) -> None:
    shutil.copy(REFERENCE / "four_rooms_curves.csv", tmp_path)
    with pytest.raises(CorruptRecord, match=r"four_rooms_curves\.json"):
        read_references(tmp_path, ["four_rooms"])
    (tmp_path / "four_rooms_curves.json").write_text(content)
    with pytest.raises(CorruptRecord, match=r"four_rooms_curves\.json"):
        read_references(tmp_path, ["four_rooms"])


def test_a_file_that_is_no_reference_is_named(tmp_path: Path) -> None:
    shutil.copy(REFERENCE / "four_rooms_curves.json", tmp_path)
    (tmp_path / "four_rooms_curves.csv").write_text("a,b\n1,2\n")
    with pytest.raises(CorruptRecord, match=r"four_rooms_curves\.csv"):
        read_references(tmp_path, ["four_rooms"])


@pytest.mark.parametrize("problem", ["discrete_toy_r1", "discrete_toy_r2", "bilevel_lqr"])
def test_the_games_last_tenth_is_that_of_the_figures(problem: str) -> None:
    published = read_references(REFERENCE, [problem])
    means = published_means(published).set_index("estimator")["published_mean"]
    # Read independently off the same figures, at update 500 and over the last 40 %.
    expected = {
        "discrete_toy_r1": {"bc_hg": 27.05, "naive_on": 11.0, "bi_ac_off": 4.4},
        "discrete_toy_r2": {"bc_hg": 58.75, "naive_on": 32.1, "bi_ac_off": 29.9},
        "bilevel_lqr": {"bc_hg": 0.135, "naive_on": 0.02, "naive_off": 0.03},
    }[problem]
    tolerance = {"discrete_toy_r1": 1.2, "discrete_toy_r2": 1.2, "bilevel_lqr": 0.03}[problem]
    for estimator, value in expected.items():
        assert means[estimator] == pytest.approx(value, abs=tolerance)
