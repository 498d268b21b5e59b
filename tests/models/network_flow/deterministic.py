"""Wardrop's equilibrium by gradient projection on paths, to check the tables and nothing else."""

import heapq

import numpy as np
from numpy.typing import NDArray

from bilevelrl.models.network_flow.network import Network

Path = tuple[int, ...]


def user_equilibrium(network: Network, gap: float, sweeps: int) -> NDArray[np.float64]:
    """Link flows (L,) with Σ flow (cost - cost of the shortest path) below `gap` of all cost."""
    empty, capacity = network.free_flow_time.tolist(), network.capacity.tolist()
    growth, power = network.congestion.tolist(), network.power.tolist()
    flow, time, slope = [0.0] * network.num_links, list(empty), [0.0] * network.num_links
    paths: dict[tuple[int, int], dict[Path, float]] = {}
    pairs = [(int(o), int(k)) for o, k in np.argwhere(network.demand > 0.0)]

    def load(links: Path, change: float) -> None:
        for a in links:
            flow[a] = max(flow[a] + change, 0.0)
            share = flow[a] / capacity[a]
            time[a] = empty[a] * (1.0 + growth[a] * share ** power[a])
            slope[a] = empty[a] * growth[a] * power[a] * share ** (power[a] - 1.0) / capacity[a]

    for _ in range(sweeps):
        excess = total = 0.0
        for origin in sorted({o for o, _ in pairs}):
            shortest = shortest_paths(network, origin, time)
            for pair in (each for each in pairs if each[0] == origin):
                best = shortest[int(network.destinations[pair[1]])]
                used = paths.setdefault(pair, {})
                if not used:
                    used[best] = float(network.demand[pair])
                    load(best, used[best])
                    continue
                used.setdefault(best, 0.0)
                for path in list(used):
                    least = sum(time[a] for a in best)
                    more = sum(time[a] for a in path) - least
                    excess += used[path] * more
                    total += used[path] * (more + least)
                    if path == best or more <= 0.0:
                        continue
                    curvature = sum(slope[a] for a in set(path) ^ set(best))
                    moved = used[path] if curvature == 0.0 else min(used[path], more / curvature)
                    used[path] -= moved
                    used[best] += moved
                    load(path, -moved)
                    load(best, moved)
                    if used[path] == 0.0:
                        del used[path]
        if total > 0.0 and excess <= gap * total:
            return np.array(flow)
    raise AssertionError(f"gap {excess / total:.3g} after {sweeps} sweeps")


def shortest_paths(network: Network, origin: int, time: list[float]) -> dict[int, Path]:
    leaving: dict[int, list[tuple[int, int]]] = {}
    for a, (i, j) in enumerate(zip(network.tail.tolist(), network.head.tolist(), strict=True)):
        leaving.setdefault(i, []).append((a, j))
    found: dict[int, Path] = {}
    waiting: list[tuple[float, int, Path]] = [(0.0, origin, ())]
    while waiting:
        cost, node, path = heapq.heappop(waiting)
        if node in found:
            continue
        found[node] = path
        for a, after in leaving.get(node, []):
            if after not in found:
                heapq.heappush(waiting, (cost + time[a], after, (*path, a)))
    return found
