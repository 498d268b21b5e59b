import numpy as np
import pandas as pd
import pytest

from bilevelrl.evaluation.run_scores import env_steps_to_threshold
from bilevelrl.evaluation.summary import median_env_steps

NAN = float("nan")


@pytest.mark.parametrize(
    ("env_steps", "expected"),
    [
        ([10.0, 30.0, 20.0], 20.0),
        ([10.0, NAN, 20.0], 20.0),
        ([10.0, NAN, NAN], NAN),
        ([10.0, 20.0, NAN, NAN], 20.0),  # exactly half
        ([10.0, NAN, NAN, NAN], NAN),
        ([10.0, 20.0, 30.0, 40.0], 20.0),
        ([0.0, 0.0], 0.0),
    ],
)
def test_median_is_when_half_of_the_runs_had_arrived(
    env_steps: list[float], expected: float
) -> None:
    assert median_env_steps(np.array(env_steps)) == pytest.approx(expected, nan_ok=True)


def test_threshold_counts_the_first_crossing_of_each_run() -> None:
    curves = pd.DataFrame(
        {
            "problem": "p",
            "estimator": "e",
            "variant": "v",
            "setting": "s",
            "seed": [0, 0, 0, 1, 1, 1],
            "env_steps": [100, 300, 200, 100, 200, 300],  # rows need not be sorted
            "leader_return_mean": [0.0, 0.6, 0.5, 0.0, 0.4, 0.1],
        }
    )
    steps = env_steps_to_threshold(curves, pd.Series(0.5, index=curves.index))
    assert steps.loc[("p", "e", "v", "s", 0)] == 200.0
    assert np.isnan(steps.loc[("p", "e", "v", "s", 1)])
