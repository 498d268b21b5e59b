"""What every link looks like under tolls: what it costs, who takes it, and how long that takes."""

import numpy as np
import pandas as pd

from bilevelrl.core.arrays import Floats
from bilevelrl.models.network_flow.charged_roads import ChargedRoads
from bilevelrl.models.network_flow.equilibrium import equilibrium

#: Numbers of the link and of its ends, toll in minutes, vehicles, and the time it takes over that
#: of the empty road.
LINK_COLUMNS = ("link", "tail", "head", "toll", "flow", "time_ratio")


def link_table(
    roads: ChargedRoads, theta: Floats, rationality: float, tolerance: float
) -> pd.DataFrame:
    """Columns `LINK_COLUMNS` in equilibrium under tolls θ, shape (D,): a row per link.

    Args:
        roads: what the planner faces.
        theta: in minutes.
        rationality: β_r per minute.
        tolerance: of the equilibrium, as a share of all demand.
    """
    net, paid = roads.network, roads.charges(theta[None])
    reached = equilibrium(net, paid, np.array([rationality]), tolerance=tolerance)
    columns = (
        np.arange(net.num_links), net.tail, net.head, paid[0], reached.flow[0],
        reached.time[0] / net.free_flow_time,
    )  # fmt: skip
    return pd.DataFrame(dict(zip(LINK_COLUMNS, columns, strict=True)))
