"""Markovian traffic equilibrium (Baillon and Cominetti 2008): flows that cause their own costs.

w = w(t(w) + θ): travellers choose at costs that their own flows make. It is unique, because delays
grow and w(c) is the gradient of a concave function of the costs, minus the optimum of a convex one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.core.follower import NotConverged
from bilevelrl.models.network_flow.loading import Loading, Refused, load
from bilevelrl.models.network_flow.network import Network

#: Steps of Newton's method before it gives up, and halvings of one.
_STEPS, _HALVINGS = 100, 40
#: Halvings of a rough step.
_FEW = 8
#: What the residual must fall by, as a share of what the linear model promises.
_SUFFICIENT = 1e-4
#: Accuracy of a step at most and at least; in between it is that of the flows.
_ROUGH, _FINE = 0.1, 1e-8


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """Equilibria of R runs, at their own charges and rationalities.

    Attributes:
        network: with L links, N nodes and K destinations.
        theta: charge on each link in minutes, shape (R, L).
        rationality: β_r per minute, shape (R,).
        flow: w in vehicles, shape (R, L).
        residual: largest |w - w(t(w) + θ)| in vehicles, computed anew at the end, shape (R,).
        steps: of Newton's method, from all starts that were tried, shape (R,).
        loadings: travellers at the costs t(w) + θ, one per run.
    """

    network: Network
    theta: Floats
    rationality: Floats
    flow: Floats
    residual: Floats
    steps: Index
    loadings: Sequence[Loading]

    @property
    def time(self) -> Floats:
        """t(w) in minutes, shape (R, L)."""
        return np.array([self.network.time(each) for each in self.flow])

    @property
    def slope(self) -> Floats:
        """t'(w) in minutes per vehicle, shape (R, L)."""
        return np.array([self.network.slope(each) for each in self.flow])

    @property
    def policy(self) -> Floats:
        """Probability of each link at its tail by destination, shape (R, K, L)."""
        return np.array([each.policy for each in self.loadings])

    @property
    def total_cost(self) -> Floats:
        """Σ q τ in vehicle-minutes, charges included, shape (R,)."""
        return np.array([each.total_cost for each in self.loadings])


def equilibrium(
    network: Network,
    theta: Floats,
    rationality: Floats,
    start: Floats | None = None,
    *,
    tolerance: float = 1e-12,
    sparse: bool | None = None,
) -> Equilibrium:
    """Solve w = w(t(w) + θ) for R runs, one after the other, none of which depends on another.

    Newton's method on r(w) = w - w(t(w) + θ), whose steps solve (I - W diag(t')) δ = -r by
    `Loading.feedback` and are halved until the 2-norm of r falls. It does if steps are short and
    exact, since all eigenvalues of W diag(t') are real and at most 0; a rough step that does not
    lead down is computed again. On the way flows may be below zero, where times do not depend on
    them.

    Args:
        network: the roads and the demand.
        theta: charge on each link in minutes, shape (R, L); negative ones are possible.
        rationality: β_r per minute, shape (R,).
        start: flows to begin with, shape (R, L), such as those of similar charges; if None, what
            empty roads would get, up to the capacity. That is also tried where `start` leads
            nowhere. Flows that make trips too long for numbers are halved first.
        tolerance: of `Equilibrium.residual`, as a share of all demand.
        sparse: see `load`.

    Raises:
        Refused: if travellers have no finite expected cost on empty roads, whatever `start`; or
            if congestion makes trips too long for numbers, see `load`.
        NotConverged: if a residual stays above the tolerance.
        ValueError: if shapes do not fit, or numbers are impossible.
    """
    _check(network, theta, rationality, start)
    found = [
        _solve(
            network, theta[r], float(rationality[r]), None if start is None else start[r],
            tolerance, sparse, f"run {r}",
        )
        for r in range(len(theta))
    ]  # fmt: skip
    flow = np.array([each.flow for each in found])
    residual = np.array([each.residual for each in found])
    steps = np.array([each.steps for each in found], dtype=np.int64)
    loadings = [each.loading for each in found]
    return Equilibrium(network, theta, rationality, flow, residual, steps, loadings)


#: Travellers where these flows make the times, (L,).
_At = Callable[[Floats], Loading]


@dataclass(frozen=True, eq=False)
class _Solution:
    flow: Floats
    residual: float
    steps: int
    loading: Loading


def _solve(
    network: Network,
    theta: Floats,
    rationality: float,
    start: Floats | None,
    tolerance: float,
    sparse: bool | None,
    name: str,
) -> _Solution:
    def at(flow: Floats) -> Loading:
        return load(network, network.time(flow) + theta, rationality, sparse=sparse, name=name)

    def stops(residual: float) -> bool:
        return residual <= tolerance * network.total_demand

    empty = at(np.zeros(network.num_links))
    cold = np.minimum(empty.flow, network.capacity)
    begun = 0
    for first in [cold] if start is None else [start, cold]:
        found, refused = _descended(at, stops, *_begun(at, first, empty))
        begun += found.steps
        if stops(found.residual):
            # Times are those of no flow below zero, and travellers' own flows are not below.
            flow = np.maximum(found.flow, 0.0)
            return _Solution(flow, found.residual, begun, found.loading)
    if refused is not None:  # that is where the equilibrium would be
        raise refused
    raise NotConverged(
        f"{name}: flows miss those that their costs cause by {found.residual:.3g} vehicles after "
        f"{found.steps} steps at rationality {rationality:g} per minute; "
        f"{tolerance * network.total_demand:.3g} are allowed"
    )


def _begun(at: _At, flow: Floats, empty: Loading) -> tuple[Floats, Loading]:
    for _ in range(_HALVINGS):
        try:
            return flow, at(flow)
        except Refused:
            flow = 0.5 * flow
    return np.zeros_like(flow), empty


def _descended(
    at: _At, stops: Callable[[float], bool], flow: Floats, now: Loading
) -> tuple[_Solution, Refused | None]:
    # As far as Newton's method comes, and what was refused where no step leads on.
    network = now.network
    for steps in range(_STEPS + 1):
        missing = now.flow - flow
        reached = _Solution(flow, float(np.abs(missing).max()), steps, now)
        if stops(reached.residual):
            break
        rough = min(_ROUGH, max(_FINE, reached.residual / network.total_demand))
        for accuracy, halvings in ((rough, _FEW), (_FINE, _HALVINGS)):  # rough ones may lead up
            step = now.feedback(network.slope(flow), missing, accuracy)
            after, refused = _shortened(at, flow, step, _norm(missing), halvings)
            if after is not None:
                flow, now = after
                break
        else:
            return reached, refused
    return reached, None


def _shortened(
    at: _At, flow: Floats, step: Floats, before: float, halvings: int
) -> tuple[tuple[Floats, Loading] | None, Refused | None]:
    # The first of the step, its half, its quarter, ... that brings flows and choices together, or
    # what was refused.
    share, refused = 1.0, None
    for _ in range(halvings):
        trial = flow + share * step
        try:
            loading = at(trial)
        except Refused as error:
            refused = error
        else:
            if _norm(loading.flow - trial) <= (1.0 - _SUFFICIENT * share) * before:
                return (trial, loading), None
        share *= 0.5
    return None, refused


def _norm(vector: Floats) -> float:
    return float(np.sqrt(np.square(vector).sum()))


def _check(network: Network, theta: Floats, rationality: Floats, start: Floats | None) -> None:
    shape = (len(rationality), network.num_links)
    for name, array in (("theta", theta), ("start", start)):
        if array is not None and array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}: {shape} is needed")
        if array is not None and not np.isfinite(array).all():
            run, link = np.argwhere(~np.isfinite(array))[0]
            raise ValueError(f"{name} = {array[run, link]} of run {run}, link {link}: not finite")
    for run, value in enumerate(rationality):
        if not 0.0 < value < np.inf:
            raise ValueError(f"rationality = {value} of run {run}: it must be positive and finite")
