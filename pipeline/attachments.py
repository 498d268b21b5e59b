"""Pictures that a run carries in MLflow."""

from pathlib import Path

import numpy as np

from bilevelrl.tracking import FinishedRun


def attach_penalty_map(run: FinishedRun, folder: Path) -> None:
    """Draw the leader's final penalties on the map, as the environment renders them.

    A run without a result has none.
    """
    if run.identity.problem != "four_rooms" or run.identity.failure:
        return
    from matplotlib.image import imsave

    from bilevelrl.problems.gym import FourRoomsEnv

    env = FourRoomsEnv(theta=run.theta, render_mode="rgb_array")
    env.reset(seed=0)
    image = env.render()
    assert isinstance(image, np.ndarray)  # what this render mode returns
    imsave(folder / "penalty_map.png", image)
