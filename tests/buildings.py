"""Buildings of thermal control for tests, and hand-checked numbers about them."""

from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from bilevelrl.problems.thermal_control.follower import RegulatorResponse, ThermalRegulator
from bilevelrl.problems.thermal_control.problem import ThermalControl
from bilevelrl.problems.thermal_control.rollout import ThermalBatch

Floats = NDArray[np.float64]
Several = TypeVar("Several", RegulatorResponse, ThermalBatch)

PUBLISHED = ThermalControl.published()
BETA = 0.1
#: Points H and X, as levels α and β, one after the other.
LEVELS_H = np.full(8, 0.5)
LEVELS_X = np.array([0.2, 0.4, 0.6, 0.8, 0.9, 0.7, 0.3, 0.1])
#: One transition from X, worked out by hand.
STATE, ACTION = np.array([1.0, -2.0, 3.0, -4.0]), np.array([0.5, -1.0])
SURPRISE = np.array([0.01, -0.02, 0.03, 0.005])
MEAN = np.array([0.922, -1.515, 2.256, -4.252])


def logits(levels: Floats) -> Floats:
    """θ of levels in [0, 1], infinite at the ends."""
    with np.errstate(divide="ignore"):
        theta: Floats = np.log(levels) - np.log1p(-levels)
    return theta


THETA_H, THETA_X = np.zeros(8), logits(LEVELS_X)
#: All zeros (the slowest to solve), all ones, and a mixture.
CORNERS = np.stack([np.full(8, -40.0), np.full(8, 40.0), np.resize([-40.0, 40.0, 0.0], 8)])


def building(zones: int, units: int, **changes: Any) -> ThermalControl:
    """A building without symmetry, whose numbers have little in common with the published ones."""
    rng = np.random.default_rng(zones)
    here = np.arange(zones)
    base = np.diag(rng.uniform(0.85, 0.95, zones))
    base[here, (here + 1) % zones] = rng.uniform(0.05, 0.3, zones)
    base[(here + 1) % zones, here] = rng.uniform(0.05, 0.3, zones)
    state_root, control_root = (
        rng.standard_normal((zones, zones)),
        rng.standard_normal((units,) * 2),
    )
    numbers: dict[str, Any] = {
        "base_matrix": base,
        "input_matrix": 0.5 * rng.standard_normal((zones, units)),
        "insulation_effect": rng.uniform(0.02, 0.2, zones),
        "state_cost": state_root @ state_root.T + 0.5 * np.eye(zones),
        "control_cost": control_root @ control_root.T + 0.5 * np.eye(units),
        "noise": 0.3,
        "state_limit": 1e6,
        "initial_deviation": 2.0,
        "max_episode_steps": 12,
        "discount": 0.8,
        "stability_weight": 1.3,
        "energy_weight": 0.7,
        "insulation_weight": 0.4,
        "airflow_weight": 0.9,
    }
    return ThermalControl.published(**numbers | changes)


SMALL, LARGE = building(3, 1), building(5, 3)
ALL = [PUBLISHED, SMALL, LARGE]
NAMES = ["published", "3 zones", "5 zones"]


def designs(problem: ThermalControl, num_runs: int, seed: int = 1) -> Floats:
    """Generic θ, shape (R, D), α and β from .05 to .95."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-3.0, 3.0, (num_runs, problem.num_parameters))


def follower_of(problem: ThermalControl, num_runs: int) -> ThermalRegulator:
    """At the published temperature."""
    return ThermalRegulator(problem, np.full(num_runs, BETA))


def one_run(of: Several, run: int) -> Several:
    """What an answer or a batch says of one of many runs."""
    every = {f.name: getattr(of, f.name) for f in fields(of)}
    known = {name: array[run : run + 1] for name, array in every.items() if np.ndim(array)}
    return replace(of, **known)


def literal_dynamics(problem: ThermalControl, theta: Floats) -> Floats:
    """A(α, β) of one run."""
    n = len(problem.base_matrix)
    level = 1.0 / (1.0 + np.exp(-theta))
    a = np.zeros((n, n))
    for i in range(n):
        j = (i + 1) % n
        a[i, j] = problem.base_matrix[i, j] * level[n + i]
        a[j, i] = problem.base_matrix[j, i] * level[n + i]
    for i in range(n):
        off = sum(a[i, k] for k in range(n) if k != i)
        a[i, i] = problem.base_matrix[i, i] + problem.insulation_effect[i] * (1.0 - level[i]) - off
    return a


def value_iteration(
    problem: ThermalControl, theta: Floats, beta: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """P, K, Σ and v of one run."""
    a, b, gamma = literal_dynamics(problem, theta), problem.input_matrix, problem.discount
    p, m = problem.state_cost, b.shape[1]
    for _ in range(20_000):
        s = problem.control_cost + gamma * b.T @ p @ b
        pulled = b @ np.linalg.solve(s, b.T)
        before, p = p, problem.state_cost + a.T @ (gamma * p - gamma**2 * p @ pulled @ p) @ a
        if np.linalg.norm(p - before) <= 1e-15 * np.linalg.norm(p):
            break
    s = problem.control_cost + gamma * b.T @ p @ b
    volume = -0.5 * beta * m * np.log(np.pi * beta) + 0.5 * beta * np.log(np.linalg.det(s))
    v = (volume + gamma * problem.noise**2 * np.trace(p)) / (1.0 - gamma)
    gain, wide = gamma * np.linalg.solve(s, b.T @ p @ a), 0.5 * beta * np.linalg.inv(s)
    return np.asarray(p), np.asarray(gain), np.asarray(wide), np.asarray(v)


def mirrored(*rows: tuple[float, ...]) -> Floats:
    """A symmetric matrix from its rows from the diagonal on."""
    size = len(rows)
    matrix = np.zeros((size, size))
    matrix[np.triu_indices(size)] = np.concatenate(rows)
    return matrix + np.triu(matrix, 1).T


def normal_nodes(dimension: int) -> tuple[Floats, Floats]:
    """Nodes (N, d) and weights (N,) of the standard normal, exact to degree 5 an axis."""
    axis, mass = np.array([-np.sqrt(3.0), 0.0, np.sqrt(3.0)]), np.array([1.0, 4.0, 1.0]) / 6.0
    nodes, weights = (
        np.stack(np.meshgrid(*[values] * dimension, indexing="ij"), -1).reshape(-1, dimension)
        for values in (axis, mass)
    )
    return nodes, weights.prod(axis=1)
