"""A road network: nodes, links with delays that grow with their flow, and who travels where."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bilevelrl.core.arrays import AnyArray, Floats, Index


@dataclass(frozen=True, eq=False)
class Network:
    """Links with the delay of the Bureau of Public Roads, and a table of trips.

    A link takes t(w) = t0 (1 + B (w / capacity)^power) minutes at a flow of w vehicles (1964); a
    flow below zero counts as zero. Vehicles and capacities are of the same period.

    Attributes:
        num_nodes: N.
        tail: node where each link begins, shape (L,).
        head: where it ends, shape (L,).
        free_flow_time: t0 in minutes, shape (L,).
        capacity: in vehicles, shape (L,).
        congestion: B, shape (L,).
        power: at least 1, shape (L,).
        destinations: nodes to which somebody travels, shape (K,).
        demand: vehicles from each node to each of the destinations, shape (N, K).

    Raises:
        ValueError: if one of them is impossible, or trips are asked for where there is no path.
    """

    num_nodes: int
    tail: Index
    head: Index
    free_flow_time: Floats
    capacity: Floats
    congestion: Floats
    power: Floats
    destinations: Index
    demand: Floats

    def __post_init__(self) -> None:
        if self.num_nodes < 2:
            raise ValueError(f"num_nodes = {self.num_nodes}: at least 2 are needed")
        self._check_links()
        self._check_trips()

    @property
    def num_links(self) -> int:
        """L."""
        return len(self.tail)

    @property
    def num_destinations(self) -> int:
        """K."""
        return len(self.destinations)

    @cached_property
    def arrivals(self) -> Floats:
        """Vehicles that travel to each of the destinations, shape (K,)."""
        arrivals: Floats = self.demand.sum(axis=0)
        return arrivals

    @cached_property
    def total_demand(self) -> float:
        """Vehicles in all."""
        return float(self.arrivals.sum())

    @cached_property
    def reachable(self) -> AnyArray:
        """Whether a path leads from each node to each of the destinations, shape (N, K)."""
        reached = np.zeros((self.num_nodes, self.num_destinations), dtype=bool)
        reached[self.destinations, np.arange(self.num_destinations)] = True
        order, start = self.leaving
        nodes, number = self.tail[order[start[:-1][np.diff(start) > 0]]], 0
        while reached.sum() > number:  # one link more
            number = int(reached.sum())
            ahead = np.logical_or.reduceat(reached[self.head[order]], start[nodes], axis=0)
            reached[nodes] |= ahead
        return reached

    @cached_property
    def leaving(self) -> tuple[Index, Index]:
        """Links in the order of their tails, shape (L,), and where each node's begin, (N + 1,)."""
        order = np.argsort(self.tail, kind="stable").astype(np.int64)
        start = np.searchsorted(self.tail[order], np.arange(self.num_nodes + 1)).astype(np.int64)
        return order, start

    def time(self, flow: Floats) -> Floats:
        """t(w) in minutes at flows w, shape (..., L)."""
        time: Floats = self.free_flow_time * (1.0 + self.congestion * self._share(flow, self.power))
        return time

    def slope(self, flow: Floats) -> Floats:
        """t'(w) in minutes per vehicle, shape (..., L)."""
        factor = self.free_flow_time * self.congestion * self.power / self.capacity
        slope: Floats = factor * self._share(flow, self.power - 1.0)
        return np.where(flow < 0.0, 0.0, slope)

    def area(self, flow: Floats) -> Floats:
        """∫ t from 0 to w, shape (..., L); its sum over links is the objective of Beckmann."""
        used = np.maximum(flow, 0.0)
        mean = 1.0 + self.congestion * self._share(flow, self.power) / (self.power + 1.0)
        area: Floats = self.free_flow_time * (used * mean + np.minimum(flow, 0.0))
        return area

    def _share(self, flow: Floats, power: Floats) -> Floats:
        share: Floats = (np.maximum(flow, 0.0) / self.capacity) ** power
        return share

    def _check_links(self) -> None:
        num_links = len(self.tail)
        if num_links == 0:
            raise ValueError("tail is empty: at least one link is needed")
        for name, kind in (("tail", "i"), ("head", "i"), *((name, "f") for name in _OF_LINKS)):
            _check_array(name, getattr(self, name), kind, (num_links,))
        for name in ("tail", "head"):
            self._check_nodes(name)
        self._refuse(self.tail == self.head, "head", "a link must lead to another node")
        for name, (allowed, is_allowed) in _OF_LINKS.items():
            self._refuse(~is_allowed(getattr(self, name)), name, allowed)

    def _check_trips(self) -> None:
        _check_array("destinations", self.destinations, "i", (len(self.destinations),))
        self._check_nodes("destinations")
        if len(np.unique(self.destinations)) < len(self.destinations):
            raise ValueError(f"destinations = {self.destinations.tolist()}: they must differ")
        _check_array("demand", self.demand, "f", (self.num_nodes, self.num_destinations))
        wrong = ~((self.demand >= 0.0) & (self.demand < np.inf))
        self._refuse_trips(wrong, "it must be finite and not negative")
        own = np.zeros_like(wrong)
        own[self.destinations, np.arange(self.num_destinations)] = True
        self._refuse_trips(own & (self.demand > 0.0), "who is there already does not travel")
        if self.total_demand == 0.0:
            raise ValueError("demand is 0 everywhere: somebody must travel")
        self._refuse_trips((self.demand > 0.0) & ~self.reachable, "no path leads there")

    def _check_nodes(self, name: str) -> None:
        nodes = getattr(self, name)
        wrong = nodes[(nodes < 0) | (nodes >= self.num_nodes)]
        if len(wrong):
            raise ValueError(f"{name} = {wrong[0]}: nodes are 0 to {self.num_nodes - 1}")

    def _refuse(self, wrong: AnyArray, name: str, allowed: str) -> None:
        if wrong.any():
            link = int(np.argmax(wrong))
            raise ValueError(f"{name} = {getattr(self, name)[link]} of link {link}: {allowed}")

    def _refuse_trips(self, wrong: AnyArray, allowed: str) -> None:
        if wrong.any():
            origin, place = np.argwhere(wrong)[0]
            raise ValueError(
                f"demand = {self.demand[origin, place]} from node {origin} to node "
                f"{self.destinations[place]}: {allowed}"
            )


_Allowed = Callable[[Floats], AnyArray]


def _positive(numbers: Floats) -> AnyArray:
    return (numbers > 0.0) & (numbers < np.inf)


def _not_negative(numbers: Floats) -> AnyArray:
    return (numbers >= 0.0) & (numbers < np.inf)


def _at_least_one(numbers: Floats) -> AnyArray:
    return (numbers >= 1.0) & (numbers < np.inf)


#: What the numbers of links have to be.
_OF_LINKS: dict[str, tuple[str, _Allowed]] = {
    "free_flow_time": ("it must be positive and finite", _positive),
    "capacity": ("it must be positive and finite", _positive),
    "congestion": ("it must be finite and not negative", _not_negative),
    "power": ("it must be finite and at least 1", _at_least_one),
}


def _check_array(name: str, array: AnyArray, kind: str, shape: tuple[int, ...]) -> None:
    needed = "int64" if kind == "i" else "float64"
    if array.dtype != needed or array.shape != shape:
        raise ValueError(
            f"{name} is {array.dtype} of shape {array.shape}: {needed} of shape {shape} is needed"
        )
