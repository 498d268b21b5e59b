"""What MLflow shows of a planner: its tolls on the network."""

from pathlib import Path

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.problems.tolls.gym import TollsEnv


def draw(theta: Floats, folder: Path) -> None:
    """Tolls θ, shape (D,), and the congestion under them, as the environment renders them.

    Travellers have a rationality of 1 per minute.
    """
    from matplotlib.image import imsave

    env = TollsEnv(theta, render_mode="rgb_array")
    env.reset(seed=0)
    image = env.render()
    assert isinstance(image, np.ndarray)  # what this render mode returns
    imsave(folder / "tolls.png", image)
