"""The best known J of a problem: exact ascent from many structured and random starts.

Ascent from θ = 0 alone is not enough: in FourRooms it stops at "charge nothing".
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.ascent import Adam
from bilevelrl.core.blocks import FollowerParams
from bilevelrl.core.finite_settings import SoftQParams
from bilevelrl.core.problem import Problem, RunTasks
from bilevelrl.core.search import Searched
from bilevelrl.models.tabular.exact import exact_hypergradient, leader_return
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration
from bilevelrl.problems.four_rooms.cell import make_four_rooms
from bilevelrl.problems.four_rooms.problem import FourRooms
from bilevelrl.problems.four_rooms.settings import FourRoomsBlock, FourRoomsParams, SearchParams

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Found:
    """The best θ that the search came across.

    Attributes:
        leader_return: J(θ).
        theta: shape (D,).
        start: which start led there.
        returns: the best J that each start led to, by name of the start.
    """

    leader_return: float
    theta: Floats
    start: str
    returns: dict[str, float]


@dataclass(frozen=True, eq=False)
class Ascent:
    """One batch of starts; what a worker needs to climb from them."""

    variant: str
    temperature: float
    starts: Floats
    constants: FourRoomsParams
    followers: FollowerParams[SoftQParams]
    search: SearchParams


def structured_starts(problem: FourRooms, heights: Sequence[float]) -> dict[str, Floats]:
    """θ with one cell, or one pair of door cells, raised: a fine on that spot.

    Doors are the cells with walls on two opposite sides: whatever the follower plans, it passes
        them.
    """
    moves = problem.moves
    own = np.arange(problem.num_states)[:, None]
    blocked = moves == own
    doors = np.flatnonzero(
        (blocked[:, 0] & blocked[:, 2] & ~blocked[:, 1] & ~blocked[:, 3])
        | (blocked[:, 1] & blocked[:, 3] & ~blocked[:, 0] & ~blocked[:, 2])
    )
    places = {f"cell {s}": [s] for s in range(problem.num_states)}
    for a, b in itertools.combinations(doors.tolist(), 2):
        places[f"doors {a} and {b}"] = [a, b]
    starts = {}
    for height in heights:
        for name, cells in places.items():
            theta = np.zeros(problem.num_parameters)
            theta[cells] = height
            starts[f"structured, {name} at {height:g}"] = theta
    return starts


def random_starts(num_parameters: int, search: SearchParams) -> dict[str, Floats]:
    """θ ~ N(0, spread²), the spreads in turn."""
    generator = np.random.default_rng(search.seed)
    spreads = [
        search.random_spreads[i % len(search.random_spreads)] for i in range(search.random_starts)
    ]
    return {
        f"random with spread {spread:g}, {i}": spread * generator.standard_normal(num_parameters)
        for i, spread in enumerate(spreads)
    }


def climb(ascent: Ascent) -> tuple[Floats, Floats]:
    """Adam along the exact hypergradient, the step size falling geometrically.

    Plain ascent is too slow here: fines that no one pays any more have vanishing gradients.

    Returns:
        The best J of each start, shape (N,), and where it was, shape (N, D).
    """
    problem = make_four_rooms(ascent.constants, ascent.variant)
    theta = ascent.starts.copy()
    temperature = np.full(len(theta), ascent.temperature)
    follower = SoftPolicyIteration(
        problem.planner, temperature, ascent.followers.tolerance, ascent.followers.max_iterations
    )
    memory = np.zeros((len(theta), problem.num_states))
    best, best_theta = np.full(len(theta), -np.inf), theta.copy()
    own = ascent.search
    decay = (own.last_step_size / own.first_step_size) ** (1.0 / own.num_updates)
    rule = Adam(np.full(len(theta), own.first_step_size), decay=decay, epsilon=1e-12)
    optimiser = rule.start(theta.shape)
    for _ in range(own.num_updates):
        response = follower.respond(problem.follower_reward(theta), memory)
        truth = exact_hypergradient(problem, theta, response.policy, temperature)
        better = truth.leader_return > best
        best[better], best_theta[better] = truth.leader_return[better], theta[better]
        theta = rule.step(theta, truth.total, optimiser)
    return best, best_theta


def best_known(
    problem: Problem[FourRoomsBlock], variant: str, temperature: float, run_tasks: RunTasks
) -> Found:
    """Search from all starts; results do not depend on how the starts are split over processes."""
    constants, search = problem.block.constants, problem.block.search
    model = make_four_rooms(constants, variant)
    starts = structured_starts(model, search.heights)
    starts |= random_starts(model.num_parameters, search)
    names, thetas = list(starts), np.stack(list(starts.values()))
    blocks = np.array_split(np.arange(len(thetas)), max(2, len(thetas) // 40))
    tasks = [
        Ascent(variant, temperature, thetas[block], constants, problem.followers, search)
        for block in blocks
    ]
    values, ends = np.empty(len(thetas)), np.empty_like(thetas)
    for position, (best, theta) in run_tasks(
        climb,
        tasks,
        weights=[len(block) for block in blocks],
        description=f"best known J, {variant}, temperature {temperature:g}",
    ):
        values[blocks[position]], ends[blocks[position]] = best, theta
    winner = int(np.argmax(values))
    returns = dict(zip(names, values.tolist(), strict=True))
    return Found(float(values[winner]), ends[winner], names[winner], returns)


def leader_return_at(
    problem: FourRooms, theta: Floats, temperature: float, followers: FollowerParams[SoftQParams]
) -> float:
    """J(θ) at the exact best response, for one θ, shape (D,)."""
    follower = SoftPolicyIteration(
        problem.planner, np.array([temperature]), followers.tolerance, followers.max_iterations
    )
    memory = np.zeros((1, problem.num_states))
    response = follower.respond(problem.follower_reward(theta[None]), memory)
    return float(leader_return(problem, theta[None], response.policy)[0])


def search(problem: Problem[FourRoomsBlock], run_tasks: RunTasks) -> Searched:
    """The best θ under both slip kernels and at every temperature."""
    constants, followers = problem.block.constants, problem.followers
    searched = Searched({})
    for variant in ("published", "corrected"):
        model = make_four_rooms(constants, variant)
        for role in ("planner", "simulator"):
            searched.model[f"{variant}_{role}"] = getattr(model, role).transition
        theta = np.zeros(model.num_parameters)
        kept = np.append(theta[:-1], 50.0)  # all of the budget stays with the leader
        for temperature in problem.temperatures:
            found = best_known(problem, variant, temperature, run_tasks)
            searched.best_theta[f"{variant}_{temperature}"] = found.theta
            searched.add(
                variant,
                temperature,
                initial_return=leader_return_at(model, theta, temperature, followers),
                charge_nothing_return=leader_return_at(model, kept, temperature, followers),
                best_known=found.leader_return,
                best_known_start=found.start,
                num_starts=len(found.returns),
            )
            for start, value in found.returns.items():
                kind, name = start.split(", ", 1)
                searched.starts.append((variant, temperature, kind, name, value))
    searched.model |= {
        "cells": np.array(model.cells),
        "moves": model.moves,
        "initial": model.planner.initial,
        "discount": model.planner.discount,
    }
    return searched
