"""What MLflow shows of a leader of FourRooms."""

from pathlib import Path

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.problems.four_rooms.gym import FourRoomsEnv


def draw(theta: Floats, folder: Path) -> None:
    """The penalties of θ, shape (D,), on the map, as the environment renders them."""
    from matplotlib.image import imsave

    env = FourRoomsEnv(theta=theta, render_mode="rgb_array")
    env.reset(seed=0)
    image = env.render()
    assert isinstance(image, np.ndarray)  # what this render mode returns
    imsave(folder / "penalty_map.png", image)
