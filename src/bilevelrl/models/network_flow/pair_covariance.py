"""W = ∂w/∂c as the covariance of the links of trips, pair by pair of origin and destination."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.models.network_flow.network import Network
from bilevelrl.models.network_flow.trips import Trips


@dataclass(frozen=True, eq=False)
class PairCovariance:
    """An unbiased estimate of W from n trips of one run, of rank below n; see `pair_covariance`.

    Attributes:
        num_links: L.
        trip: of everything travelled, side by side with `links`, shape (T,).
        links: shape (T,).
        pair: of each trip, from 0, shape (n,).
        size: trips of each pair, shape (P,).
        weight: of each trip, times β_r, shape (n,).
    """

    num_links: int
    trip: Index
    links: NDArray[np.int32]
    pair: Index
    size: Index
    weight: Floats

    def product(self, change: Floats) -> Floats:
        """W u, shape (L,): two sums over all links that were travelled, no matrix.

        Centring what trips cost is enough for a covariance.
        """
        spent = np.bincount(self.trip, change[self.links], minlength=len(self.pair))
        mean = np.bincount(self.pair, spent, minlength=len(self.size)) / self.size
        centred = self.weight * (spent - mean[self.pair])
        moved = np.bincount(self.links, centred[self.trip], minlength=self.num_links)
        return -np.asarray(moved, dtype=np.float64)


def pair_covariance(network: Network, trips: Trips, run: int, rationality: float) -> PairCovariance:
    """W(a, b) = -β_r Σ q Cov(n_a, n_b | origin, destination), from the trips of one run.

    A pair with m >= 2 of the n trips has the covariance of those, with m - 1 in the denominator. A
    pair with one trip says nothing. In a share (1 - p)^(n-1) of its trips, p = q / Σ q, a pair is
    alone, and the others weigh more by that, so that the mean is W whatever n >= 2 is.
    """
    ends = trips.origin[run].astype(np.int64) * network.num_nodes + trips.destination[run]
    pairs, pair, size = np.unique(ends, return_inverse=True, return_counts=True)
    place = np.zeros(network.num_nodes, dtype=np.int64)
    place[network.destinations] = np.arange(network.num_destinations)
    origin, destination = np.divmod(pairs, network.num_nodes)
    share = network.demand[origin, place[destination]] / network.total_demand
    number = len(ends)
    accompanied = -np.expm1((number - 1) * np.log1p(-np.minimum(share, 1.0 - 1e-15)))
    each = np.zeros(len(pairs))
    several = size > 1
    each[several] = size[several] / ((size[several] - 1.0) * accompanied[several])
    weight = (rationality * network.total_demand / number) * each[pair]
    return PairCovariance(network.num_links, *trips.of_run(run), pair, size, weight)
