"""Trips of travellers, drawn for all runs at once."""

from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.core.compilation import kernel, parallel_kernel
from bilevelrl.core.seeding import Consumer, Streams
from bilevelrl.models.network_flow.network import Network

#: Of SplitMix64 (Steele, Lea and Flood 2014): step, two multipliers and three shifts.
_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_HIGH, _MIDDLE, _LOW, _UNUSED = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
#: A trip that ends nowhere, in place of its length.
_STUCK = -1


class TripRefused(ValueError):
    """A trip came to a node where its policy takes no link, or took too many."""


@dataclass(frozen=True, eq=False)
class Trips:
    """n trips of each of R runs.

    Attributes:
        origin: node where each begins, shape (R, n).
        destination: where it ends, shape (R, n).
        offsets: trip i of run r took links[offsets[r, i] : offsets[r, i + 1]], shape (R, n + 1).
        links: of all trips of all runs, each in the order of travel; where travellers drive in
            circles, a link comes several times.
    """

    origin: NDArray[np.int32]
    destination: NDArray[np.int32]
    offsets: Index
    links: NDArray[np.int32]

    def of_run(self, run: int) -> tuple[Index, NDArray[np.int32]]:
        """The trips (T,) and links (T,) of everything that one run travelled, side by side."""
        offsets = self.offsets[run]
        trips = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        return trips, self.links[offsets[0] : offsets[-1]]

    def counts(self, run: int, num_links: int) -> Floats:
        """How often each trip of one run took each link, shape (n, L), for small networks."""
        trips, links = self.of_run(run)
        counts = np.zeros((self.origin.shape[1], num_links))
        np.add.at(counts, (trips, links), 1.0)
        return counts

    def mean(self, run: int, num_links: int) -> Floats:
        """The same on average over trips, shape (L,); it estimates w / Σ q."""
        _, links = self.of_run(run)
        mean: Floats = np.bincount(links, minlength=num_links) / self.origin.shape[1]
        return mean


class _Roads(NamedTuple):
    # What a walk needs of a network: heads of links, links by their tails, and where each node's
    # begin.
    head: Index
    leaving: Index
    start: Index


@dataclass(frozen=True, eq=False)
class TripSampler:
    """Draws fresh trips at every call, independent of one another, in proportion to the demand.

    A run takes two numbers a trip from its stream: who travels, and the seed of a generator that
    chooses the links, for nobody knows beforehand how many there are.

    Attributes:
        network: the roads and the demand.
        num_trips: n of each run.
        max_links: that one trip may take.
        consumer: whose random stream to use.
    """

    network: Network
    num_trips: int
    max_links: int = 100_000
    consumer: Consumer = "rollout"

    def __post_init__(self) -> None:
        for name in ("num_trips", "max_links"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} = {getattr(self, name)}: at least 1 is needed")

    def sample(self, policy: Floats, streams: Streams) -> Trips:
        """Trips under policies p(a | node, destination), shape (R, K, L), see `Loading.policy`.

        Raises:
            TripRefused: if a trip comes to a node where it takes no link, or takes too many links.
            ValueError: if the shape does not fit.
        """
        return self.follow(policy, self.draw(streams))

    def draw(self, streams: Streams) -> Floats:
        """The numbers of every trip, shape (R, n, 2), valid until the next call."""
        return streams.uniforms(self.consumer, (self.num_trips, 2))

    def follow(self, policy: Floats, uniforms: Floats) -> Trips:
        """The trips that these numbers make of policies; see `sample`.

        Under two policies the same travellers leave, and take the same links until the policies
        part them.
        """
        net = self.network
        shape = (len(uniforms), net.num_destinations, net.num_links)
        if policy.shape != shape:
            raise ValueError(f"policy has shape {policy.shape}: {shape} is needed")
        pairs = np.argwhere(net.demand > 0.0)
        cumulative = np.cumsum(net.demand[pairs[:, 0], pairs[:, 1]])
        roads = _Roads(net.head, *net.leaving)
        length = np.empty(uniforms.shape[:2], dtype=np.int64)
        chosen = np.empty(uniforms.shape[:2], dtype=np.int64)
        _measure(
            roads, net.destinations, pairs, cumulative, policy, uniforms, self.max_links, chosen,
            length,
        )  # fmt: skip
        self._check(length, pairs[chosen])
        offsets = np.zeros((len(length), self.num_trips + 1), dtype=np.int64)
        ends = np.cumsum(length.ravel()).reshape(length.shape)
        offsets[:, 1:] = ends
        offsets[1:, 0] = ends[:-1, -1]
        links = np.empty(ends[-1, -1], dtype=np.int32)
        _record(roads, net.destinations, pairs, policy, uniforms, chosen, offsets, links)
        origin = pairs[chosen, 0].astype(np.int32)
        destination = net.destinations[pairs[chosen, 1]].astype(np.int32)
        return Trips(origin, destination, offsets, links)

    def _check(self, length: Index, pair: Index) -> None:
        wrong = np.argwhere((length == _STUCK) | (length > self.max_links))
        if len(wrong):
            run, trip = wrong[0]
            origin, place = pair[run, trip]
            reason = (
                "comes to a node where its policy takes no link"
                if length[run, trip] == _STUCK
                else f"takes more than max_links = {self.max_links} links"
            )
            raise TripRefused(
                f"run {run}: a trip from node {origin} to node {self.network.destinations[place]} "
                f"{reason}"
            )


@kernel
def _scrambled(state):  # type: ignore[no-untyped-def]
    bits = (state ^ (state >> _HIGH)) * _FIRST
    bits = (bits ^ (bits >> _MIDDLE)) * _SECOND
    return bits ^ (bits >> _LOW)


@kernel
def _seed(uniform):  # type: ignore[no-untyped-def]
    return _scrambled(np.uint64(uniform * 2.0**53))


@kernel
def _walk(roads, node, destination, policy, seed, most, links):  # type: ignore[no-untyped-def]
    # The number of links, of which as many are written as there is room for.
    state = seed
    taken = 0
    while node != destination:
        if taken > most:
            return taken
        state += _STEP
        left = np.float64(_scrambled(state) >> _UNUSED) * 2.0**-53
        link = _STUCK
        for place in range(roads.start[node], roads.start[node + 1]):
            other = roads.leaving[place]
            if policy[other] > 0.0:  # the last of them also has what rounding left over
                link = other
                left -= policy[other]
                if left < 0.0:
                    break
        if link == _STUCK:
            return _STUCK
        if taken < len(links):
            links[taken] = link
        taken += 1
        node = roads.head[link]
    return taken


@parallel_kernel
def _measure(  # type: ignore[no-untyped-def]
    roads, destinations, pairs, cumulative, policy, uniforms, most, chosen, length
):
    num_runs, num_trips = length.shape
    for r in numba.prange(num_runs):
        nowhere = np.empty(0, np.int32)
        for trip in range(num_trips):
            wanted = uniforms[r, trip, 0] * cumulative[-1]
            pair = min(np.searchsorted(cumulative, wanted, side="right"), len(cumulative) - 1)
            chosen[r, trip] = pair
            place = pairs[pair, 1]
            length[r, trip] = _walk(
                roads, pairs[pair, 0], destinations[place], policy[r, place],
                _seed(uniforms[r, trip, 1]), most, nowhere,
            )  # fmt: skip


@parallel_kernel
def _record(  # type: ignore[no-untyped-def]
    roads, destinations, pairs, policy, uniforms, chosen, offsets, links
):
    num_runs, num_trips = chosen.shape
    for r in numba.prange(num_runs):
        for trip in range(num_trips):
            pair = chosen[r, trip]
            place = pairs[pair, 1]
            room = links[offsets[r, trip] : offsets[r, trip + 1]]
            _walk(
                roads, pairs[pair, 0], destinations[place], policy[r, place],
                _seed(uniforms[r, trip, 1]), len(room), room,
            )  # fmt: skip
