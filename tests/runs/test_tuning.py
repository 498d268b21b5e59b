"""What a search says of its candidates."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bilevelrl.runs import tuning
from bilevelrl.runs.execution import ResultCache
from bilevelrl.runs.params import read_params
from bilevelrl.runs.tuning_params import read_tuning_params

ROOT = Path(__file__).parents[2]


def test_scores_of_candidates_are_means_over_seeds_with_the_error_of_a_sample(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = {}

    def trained(
        params: object, problem: str, estimator: str, runs: list[Any], cache: object
    ) -> Any:
        del problem, estimator, cache
        for number, run in enumerate(runs):
            place.setdefault(run.seed, number)
        return {
            run.key: {
                "update": np.arange(run.setting.num_updates),
                # Nothing but the last tenth counts.
                "leader_return_mean": np.where(
                    np.arange(run.setting.num_updates) < 0.9 * run.setting.num_updates,
                    1e9,
                    float(place[run.seed] ** 2),
                ),
            }
            for run in runs
        }

    monkeypatch.setattr(tuning, "train_runs", trained)
    table = tuning.score_candidates(
        read_params(ROOT / "params.yaml"), read_tuning_params(ROOT / "tuning" / "params.yaml"),
        "bilevel_lqr-zero_order", ResultCache(tmp_path),
    )  # fmt: skip
    finals = np.array([float(number**2) for number in place.values()])
    assert len(finals) >= 3
    assert (table["seeds"] == len(finals)).all()
    assert table["score"].tolist() == pytest.approx([finals.mean()] * len(table))
    error = finals.std(ddof=1) / np.sqrt(len(finals))
    assert table["standard_error"].tolist() == pytest.approx([error] * len(table))


def test_a_search_may_share_other_values_than_its_problem_and_leaves_them_out_of_its_table() -> (
    None
):
    params = read_tuning_params(ROOT / "tuning" / "params.yaml")
    own, others = params.settings("escape_room-naive_3"), params.settings("escape_room-naive_2")
    keys = ("players", "levers_needed", "num_updates", "env_steps_per_update")
    assert {tuple(getattr(each, key) for key in keys) for each in own} == {(3, 2, 100, 10_000)}
    assert {tuple(getattr(each, key) for key in keys) for each in others} == {(2, 1, 200, 2000)}
    assert "players" not in tuning.searched(params, "escape_room-naive_3", own[0])
