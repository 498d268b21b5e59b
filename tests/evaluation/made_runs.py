"""Two runs whose J is a loss, one of which has an unstable closed loop."""

import numpy as np
import pandas as pd

from bilevelrl.evaluation.inputs import BASELINE_COLUMNS
from bilevelrl.evaluation.run_scores import run_scores
from bilevelrl.runs.evaluate_block import EvaluateParams
from bilevelrl.runs.records import (
    COORDINATE_COLUMNS,
    CURVE_COLUMNS,
)
from tests.settings import conditioned

PROBLEM = "thermal_control"
IDENTITY = {"problem": PROBLEM, "estimator": "bc_hg", "variant": "published"}
SETTING = "env_steps_per_update=1000;temperature=0.1"
#: J of two seeds at updates 0 to 3; the best known is -160.
RETURNS = {0: [-260.0, -200.0, -170.0, -161.0], 1: [-260.0, -190.0, -210.0, -220.0]}
RADIUS = {0: [0.98, 0.97, 0.96, 0.95], 1: [0.98, 1.02, 1.01, 0.99]}
PARAMS = EvaluateParams(
    confidence=0.95, power=0.8, thresholds=(0.5, 0.95),
    return_thresholds={PROBLEM: (-197.0, -164.0)}, published_updates=(), stuck_radius=0.05,
    final_fraction=0.5,
)  # fmt: skip


def make_curves() -> pd.DataFrame:
    rows = []
    for seed, returns in RETURNS.items():
        for update, value in enumerate(returns):
            known = dict.fromkeys(CURVE_COLUMNS, 0.0) | IDENTITY
            known |= {"setting": SETTING, "seed": seed, "update": update}
            names = ("leader_return", "leader_return_mean", "leader_return_optimal")
            known |= dict.fromkeys(names, value) | {"env_steps": 1000 * update}
            rows.append(known)
    return pd.DataFrame(rows)[list(CURVE_COLUMNS)].astype(CURVE_COLUMNS)


def make_coordinates() -> pd.DataFrame:
    rows = [
        {**IDENTITY, "setting": SETTING, "seed": seed, "update": update, "coordinate": name,
         "value": value}
        for seed, radii in RADIUS.items()
        for update, radius in enumerate(radii)
        for name, value in (("alpha1", 0.25 * update), ("spectral_radius", radius))
    ]  # fmt: skip
    return pd.DataFrame(rows)[list(COORDINATE_COLUMNS)].astype(COORDINATE_COLUMNS)


def baselines() -> pd.DataFrame:
    row = (PROBLEM, "published", 0.1, "", -260.0, np.nan, -160.0, np.nan)
    return pd.DataFrame([row], columns=list(BASELINE_COLUMNS))


NOWHERE = pd.DataFrame(columns=list(COORDINATE_COLUMNS))


def scores(coordinates: pd.DataFrame = NOWHERE) -> pd.DataFrame:
    found = run_scores(conditioned(make_curves()), baselines(), PARAMS, coordinates)
    return found.set_index("seed")
