"""The best known J of a problem: exact ascent from many structured and random starts.

Ascent from θ = 0 alone is not enough: in FourRooms it stops at "charge nothing".
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.blocks import FollowerParams
from bilevelrl.core.finite_settings import SoftQParams
from bilevelrl.core.problem import Problem, RunTasks
from bilevelrl.core.search import Searched
from bilevelrl.models.tabular.climb import climb
from bilevelrl.models.tabular.exact import leader_return
from bilevelrl.problems.four_rooms.cell import best_policy, exact_follower, make_four_rooms
from bilevelrl.problems.four_rooms.problem import FourRooms
from bilevelrl.problems.four_rooms.settings import FourRoomsBlock, SearchParams

#: Variants to search for, and all that have the same J, because they plan with the same kernels.
_SAME_J = {"published": ("published",), "corrected": ("corrected", "improved")}


@dataclass(frozen=True, eq=False)
class Found:
    """The best θ that the search came across.

    Attributes:
        theta: shape (D,).
        start: which start led there.
        returns: the best J that each start led to, by name of the start.
    """

    theta: Floats
    start: str
    returns: dict[str, float]

    @property
    def leader_return(self) -> float:
        """J(θ)."""
        return self.returns[self.start]


@dataclass(frozen=True, eq=False)
class Ascent:
    """One batch of starts, shape (N, D); what a worker needs to climb from them."""

    problem: Problem[FourRoomsBlock]
    variant: str
    temperature: float
    starts: Floats


def structured_starts(problem: FourRooms, heights: Sequence[float]) -> dict[str, Floats]:
    """θ with one cell, or one pair of door cells, raised: a fine on that spot.

    Doors are the cells with walls on two opposite sides: whatever the follower plans, it passes
    them.
    """
    blocked = problem.moves == np.arange(problem.num_states)[:, None]
    opposite = blocked == np.roll(blocked, 2, axis=1)
    doors = np.flatnonzero(opposite.all(axis=1) & (blocked[:, 0] != blocked[:, 1]))
    places = {f"cell {s}": [s] for s in range(problem.num_states)}
    for a, b in itertools.combinations(doors.tolist(), 2):
        places[f"doors {a} and {b}"] = [a, b]
    starts = {}
    for height, (name, cells) in itertools.product(heights, places.items()):
        theta = np.zeros(problem.num_parameters)
        theta[cells] = height
        starts[f"structured, {name} at {height:g}"] = theta
    return starts


def random_starts(num_parameters: int, search: SearchParams) -> dict[str, Floats]:
    """θ ~ N(0, spread²), the spreads in turn."""
    generator = np.random.default_rng(search.seed)
    spreads = itertools.cycle(search.random_spreads)
    return {
        f"random with spread {spread:g}, {i}": spread * generator.standard_normal(num_parameters)
        for i, spread in zip(range(search.random_starts), spreads, strict=False)
    }


def climb_from(ascent: Ascent) -> tuple[Floats, Floats]:
    """Where J was best on the way from each start, shape (N, D), and that J, shape (N,)."""
    own = ascent.problem.block.search
    problem = make_four_rooms(ascent.problem.block.constants, ascent.variant)
    temperature = np.full(len(ascent.starts), ascent.temperature)
    return climb(
        problem,
        exact_follower(problem, temperature, ascent.problem.followers),
        ascent.starts,
        num_updates=own.num_updates,
        first_step_size=own.first_step_size,
        last_step_size=own.last_step_size,
    )


def best_known(
    problem: Problem[FourRoomsBlock], variant: str, temperature: float, run_tasks: RunTasks
) -> Found:
    """Search from all starts; results do not depend on how the starts are split over processes."""
    search, model = problem.block.search, make_four_rooms(problem.block.constants, variant)
    starts = structured_starts(model, search.heights)
    starts |= random_starts(model.num_parameters, search)
    names, thetas = list(starts), np.stack(list(starts.values()))
    blocks = np.array_split(np.arange(len(thetas)), max(2, len(thetas) // 40))
    tasks = [Ascent(problem, variant, temperature, thetas[block]) for block in blocks]
    values, ends = np.empty(len(thetas)), np.empty_like(thetas)
    weights = [len(block) for block in blocks]
    described = f"best known J, {variant}, temperature {temperature:g}"
    for place, found in run_tasks(climb_from, tasks, weights=weights, description=described):
        ends[blocks[place]], values[blocks[place]] = found
    winner = int(np.argmax(values))
    return Found(ends[winner], names[winner], dict(zip(names, values.tolist(), strict=True)))


def leader_return_at(
    problem: FourRooms, theta: Floats, temperature: float, followers: FollowerParams[SoftQParams]
) -> float:
    """J(θ) at the exact best response, for one θ, shape (D,)."""
    policy = best_policy(problem, theta, temperature, followers)
    return float(leader_return(problem, theta[None], policy[None])[0])


def search(problem: Problem[FourRoomsBlock], run_tasks: RunTasks) -> Searched:
    """The best θ under both slip kernels and at every temperature."""
    constants, followers = problem.block.constants, problem.followers
    searched = Searched({})
    for variant, alike in _SAME_J.items():
        model = make_four_rooms(constants, variant)
        searched.model[f"{variant}_planner"] = model.planner.transition
        searched.model[f"{variant}_simulator"] = model.simulator.transition
        theta = np.zeros(model.num_parameters)
        kept = np.append(theta[:-1], 50.0)  # all of the budget stays with the leader
        for temperature in problem.temperatures:
            found = best_known(problem, variant, temperature, run_tasks)
            facts = {
                "initial_return": leader_return_at(model, theta, temperature, followers),
                "charge_nothing_return": leader_return_at(model, kept, temperature, followers),
                "best_known": found.leader_return,
                "best_known_start": found.start,
                "num_starts": len(found.returns),
            }
            for name in alike:
                searched.best_theta[f"{name}_{temperature}"] = found.theta
                searched.add(name, temperature, **facts)
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
