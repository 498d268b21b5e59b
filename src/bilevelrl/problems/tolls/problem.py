"""Road pricing: which roads, which tolls, and what the planner wants of them."""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Index
from bilevelrl.models.network_flow.charged_roads import ChargedRoads
from bilevelrl.models.network_flow.hypergradient import Objective, net_cost, travel_time
from bilevelrl.models.network_flow.network import Network
from bilevelrl.models.network_flow.sioux_falls import sioux_falls

#: By their names in params.yaml.
OBJECTIVES: dict[str, Objective] = {"tstt": travel_time, "net": net_cost}
NETWORKS = {"sioux_falls": sioux_falls}
#: Where tolls help most on Sioux Falls, 0-based in the published order of links, and the bound.
TOLL_LINKS = (11, 14, 21, 32, 35, 38, 41, 45, 46, 48, 51, 52, 57, 64, 66, 68, 70, 73)
HIGHEST_TOLL = 30.0


@dataclass(frozen=True, eq=False)
class Pricing:
    """A network whose planner may charge tolls.

    Attributes:
        network: the roads and the demand, with L links.
        toll_links: the links that have a toll where not all have, shape (D,).
        highest_toll: in minutes.

    Raises:
        ValueError: if a link is not there or comes twice, or the highest toll is not positive.
    """

    network: Network
    toll_links: Index
    highest_toll: float

    def __post_init__(self) -> None:
        self.roads("tstt", len(self.toll_links))

    @classmethod
    def published(cls) -> "Pricing":
        """Sioux Falls with 18 tolls of at most 30 minutes."""
        return cls(sioux_falls(), np.array(TOLL_LINKS, dtype=np.int64), HIGHEST_TOLL)

    def links(self, tollable: int) -> Index:
        """The links of θ if so many have a toll, shape (D,).

        Raises:
            ValueError: if it is neither the number of `toll_links` nor that of all links.
        """
        if tollable == len(self.toll_links):
            return self.toll_links
        if tollable == self.network.num_links:
            return np.arange(self.network.num_links, dtype=np.int64)
        raise ValueError(
            f"tollable = {tollable}: allowed are {len(self.toll_links)} and "
            f"{self.network.num_links}"
        )

    def roads(self, objective: str, tollable: int) -> ChargedRoads:
        """What the planner faces: J is minus an objective of `OBJECTIVES`, in vehicle-minutes.

        Raises:
            ValueError: if there is no such objective, or as `links`.
        """
        if objective not in OBJECTIVES:
            raise ValueError(f"objective = {objective!r}: allowed are {list(OBJECTIVES)}")
        return ChargedRoads(
            self.network, self.links(tollable), self.highest_toll, OBJECTIVES[objective]
        )
