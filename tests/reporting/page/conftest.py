"""A made-up project: two problems, one of which has no rows."""

from pathlib import Path

import pandas as pd
import pytest

from bilevelrl.reporting.page.facts import CellSetting, Facts, ProblemFacts
from bilevelrl.reporting.page.results import Results, read_results
from bilevelrl.reporting.page.returns import Line, lines_of

SMALL = "env_steps_per_update=10;temperature=0.1"
LARGE = "env_steps_per_update=20;temperature=0.1"
EXACT = "temperature=0.1"
SPREAD = "env_steps_per_update=10;initial_spread=3.0;temperature=0.1"
#: estimator, variant, setting, mean, best known, share of stuck runs
SETTINGS = (
    ("bc_hg", "published", SMALL, 1.5, 2.0, 0.0),
    ("bc_hg", "published", LARGE, 1.75, 2.0, 0.5),
    ("bc_hg", "corrected", LARGE, 1.0, 1.25, 0.0),
    ("naive", "published", LARGE, -0.5, 2.0, 0.0),
    ("exact", "published", EXACT, 2.0, 2.0, 0.0),
    ("bc_hg", "published", SPREAD, 0.25, 2.0, 1.0),
)


def write_results(folder: Path) -> None:
    """The tables that the page cannot do without."""
    rows, known = [], []
    for estimator, variant, setting, mean, best, stuck in SETTINGS:
        metrics = {
            "leader_return_mean": mean, "leader_return_se": 0.125, "best_known": best,
            "leader_return_final_iqm": mean, "leader_return_final_worst": mean - 1.0,
            "failed_runs": 0.0, "stuck_fraction": stuck,
        }  # fmt: skip
        group = ("toy", estimator, variant, setting)
        rows += [(*group, name, value, None, None, 4) for name, value in metrics.items()]
        told = dict(part.split("=") for part in setting.split(";"))
        study = "initial_spread" if "initial_spread" in told else "main"
        names = ("problem", "estimator", "variant", "setting")
        known.append(
            dict(zip(names, group, strict=True))
            | {"study": study, "roles": "env_steps_per_update=budget"}
            | told
        )
    columns = ["problem", "estimator", "variant", "setting", "metric", "value", "low", "high"]
    folder.mkdir(parents=True, exist_ok=True)
    summary = pd.DataFrame(rows, columns=[*columns, "seeds"])
    summary.to_csv(folder / "summary.csv", index=False)
    pd.DataFrame(known).to_csv(folder / "conditions.csv", index=False)


@pytest.fixture
def results(tmp_path: Path) -> Results:
    write_results(tmp_path / "results")
    return read_results(tmp_path / "results", {"toy": None})


@pytest.fixture
def lines(results: Results) -> tuple[Line, ...]:
    return lines_of(results.summary)


@pytest.fixture
def facts() -> Facts:
    def cell(variant: str, entry: str, study: str, **values: object) -> CellSetting:
        return CellSetting("toy", "bc_hg", variant, entry, study, 20, values)

    cells = (
        cell("published", "large", "main", step_size=0.5, num_envs=2, critic="sarsa"),
        cell("corrected", "mended", "main", step_size=0.25, num_envs=2),
        cell("published", "spread", "initial_spread", step_size=0.125, num_envs=2),
    )
    problems = {
        "toy": ProblemFacts("Toy", "Toy: a leader.", None, (0.1,), {"constants.discount": 0.99}),
        "empty": ProblemFacts("Nothing yet", temperatures=(0.1,)),
    }
    return Facts(problems, cells, 0.95, 0.1, 0.05)
