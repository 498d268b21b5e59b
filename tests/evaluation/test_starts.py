"""The search for the best known J, summarised by kind of start."""

import numpy as np
import pandas as pd

from bilevelrl.evaluation.run_scores import start_table
from bilevelrl.runs.evaluate_block import EvaluateParams
from bilevelrl.runs.params import read_params

PARAMS: EvaluateParams = read_params().evaluate.model_copy(
    update={"stuck_radius": 0.05, "thresholds": (0.5, 0.9)}
)
KEYS = {"problem": "four_rooms", "variant": "published", "temperature": 0.003}
BASELINES = pd.DataFrame(
    [{**KEYS, "case": "", "best_known": 0.4, "charge_nothing_return": 0.1, "share_origin": np.nan}]
)


def starts(kind: str, *returns: float) -> list[dict[str, object]]:
    return [{**KEYS, "kind": kind, "leader_return": each} for each in returns]


def table(*rows: list[dict[str, object]]) -> pd.DataFrame:
    every = pd.DataFrame([row for group in rows for row in group])
    return start_table(every, BASELINES, PARAMS).set_index("kind")


def test_shares_are_of_the_best_known_and_of_charging_nothing() -> None:
    found = table(
        starts("wide", 0.1, 0.14, 0.19, 0.2, 0.35, 0.37, 0.4), starts("narrow", 0.06, 0.3)
    )
    wide, narrow = found.loc["wide"], found.loc["narrow"]
    assert (wide["starts"], narrow["starts"]) == (7, 2)
    np.testing.assert_allclose(wide["stuck_fraction"], 2 / 7)
    np.testing.assert_allclose(wide["fraction_at_50_percent"], 4 / 7)
    np.testing.assert_allclose(wide["fraction_at_90_percent"], 2 / 7)
    np.testing.assert_allclose(narrow["stuck_fraction"], 1 / 2)
    assert (wide["median_return"], wide["best_return"], wide["worst_return"]) == (0.2, 0.4, 0.1)
    np.testing.assert_allclose(
        wide["mean_return"], np.mean([0.1, 0.14, 0.19, 0.2, 0.35, 0.37, 0.4])
    )
    assert (found["failed"] == 0).all()


def test_starts_without_a_finite_return_are_counted_and_reach_nothing() -> None:
    found = table(starts("wide", np.nan, -np.inf, 0.3, 0.4)).loc["wide"]
    assert (found["starts"], found["failed"]) == (4, 2)
    assert (found["fraction_at_50_percent"], found["stuck_fraction"]) == (0.5, 0.0)
    assert (found["best_return"], found["worst_return"], found["median_return"]) == (0.4, 0.3, 0.35)


def test_shares_of_a_loss_are_those_of_the_learning_curves() -> None:
    baselines = BASELINES.assign(best_known=-100.0, charge_nothing_return=-500.0)
    every = pd.DataFrame(starts("wide", -100.0, -111.0, -112.0, -199.0, -201.0))
    (found,) = start_table(every, baselines, PARAMS).to_dict("records")
    assert found["fraction_at_50_percent"] == 4 / 5  # a loss of 200 and less
    assert found["fraction_at_90_percent"] == 2 / 5


def test_thresholds_keep_their_digits_in_names() -> None:
    params = PARAMS.model_copy(update={"thresholds": (0.07, 0.95, 0.999)})
    found = start_table(pd.DataFrame(starts("wide", 0.2)), BASELINES, params)
    names = [name for name in found if name.startswith("fraction_at")]
    assert names == [f"fraction_at_{shown}_percent" for shown in ("7", "95", "99.9")]
