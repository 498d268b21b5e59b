"""What a planner may do: charges on some links, up to the highest one."""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.models.network_flow.hypergradient import Objective
from bilevelrl.models.network_flow.network import Network


@dataclass(frozen=True, eq=False)
class ChargedRoads:
    """A network some of whose links may be charged, and what the planner wants of it.

    θ, shape (R, D), are charges in minutes; travellers pay clip(θ, 0, highest), and derivatives go
    through that projection: they are 0 beyond the bounds, and on a bound those from within.
    `core.projected_ascent` keeps θ between them.

    Attributes:
        network: the roads and the demand, with L links.
        charged: the links that θ is of, shape (D,).
        highest: charge in minutes.
        objective: the loss; J is minus that, in vehicle-minutes.

    Raises:
        ValueError: if a link is not there or comes twice, or `highest` is not positive.
    """

    network: Network
    charged: Index
    highest: float
    objective: Objective

    def __post_init__(self) -> None:
        links = self.charged
        if len(links) == 0 or len(np.unique(links)) < len(links):
            raise ValueError(f"charged = {links.tolist()}: some links are needed, each once")
        if links.min() < 0 or links.max() >= self.network.num_links:
            raise ValueError(
                f"charged = {links.tolist()}: links are 0 to {self.network.num_links - 1}"
            )
        if not self.highest > 0.0:
            raise ValueError(f"highest = {self.highest}: it must be positive")

    @property
    def num_parameters(self) -> int:
        """D."""
        return len(self.charged)

    def charges(self, theta: Floats) -> Floats:
        """What is paid for each link, shape (R, L), under θ (R, D)."""
        paid = np.zeros((len(theta), self.network.num_links))
        paid[:, self.charged] = np.clip(theta, 0.0, self.highest)
        return paid

    def pulled_back(self, theta: Floats, of_charges: Floats) -> Floats:
        """Derivatives for θ, shape (R, D), from those for the charges of all links, (R, L)."""
        within = (theta >= 0.0) & (theta <= self.highest)
        return np.where(within, of_charges[:, self.charged], 0.0)
