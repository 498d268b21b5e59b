"""DVC stage `environments`: one problem as arrays, J at the initial θ, and the best known J.

Reads:  params.yaml (problems, environments and leaders of <problem>, followers).
Writes: data/environments/<problem>/{model.npz, best_theta.npz, starts.csv, metadata.json}; of the
        games also landscape.csv, of bilevel_lqr {simulations,returns}.csv, and of thermal_control
        {designs,random_search}.csv.
"""

import argparse
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bilevelrl.atomic_files import write_arrays
from bilevelrl.cells.discrete_toy import make_game
from bilevelrl.cells.four_rooms import make_four_rooms
from bilevelrl.config import FAMILIES, AscentParams, Params, read_params, refusing
from bilevelrl.lqr_landscape import PAPER_GAINS, LqrLandscape
from bilevelrl.problems.guided_cartpole import GuidedCartPole
from bilevelrl.records import START_COLUMNS, write_csv, write_json
from bilevelrl.search import best_known, leader_return_at
from bilevelrl.thermal_landscape import ThermalLandscape
from bilevelrl.toy_landscape import ToyLandscape
from pipeline.stage import run_stage

#: What a problem's writer returns: metadata entries, best θ by name, starts, model arrays.
Written = tuple[list[dict[str, Any]], dict[str, Any], list[tuple[Any, ...]], dict[str, Any]]


def four_rooms(params: Params, problem_name: str, folder: Path) -> Written:
    """Search for the best θ under both slip kernels and at every temperature."""
    del folder
    constants = params.problems.of(problem_name)
    search, followers = params.environments.of(problem_name), params.followers.of(problem_name)
    entries, starts, best_theta, model = [], [], {}, {}
    for variant in ("published", "corrected"):
        problem = make_four_rooms(constants, variant)
        for role in ("planner", "simulator"):
            model[f"{variant}_{role}"] = getattr(problem, role).transition
        theta = np.zeros(problem.num_parameters)
        kept = np.append(theta[:-1], 50.0)  # all of the budget stays with the leader
        for temperature in search.temperatures:
            found = best_known(constants, variant, temperature, search, followers, params.runtime)
            best_theta[f"{variant}_{temperature}"] = found.theta
            entries.append(
                {
                    "variant": variant,
                    "temperature": temperature,
                    "initial_return": leader_return_at(problem, theta, temperature, followers),
                    "charge_nothing_return": leader_return_at(
                        problem, kept, temperature, followers
                    ),
                    "best_known": found.leader_return,
                    "best_known_start": found.start,
                    "num_starts": len(found.returns),
                }
            )
            starts += [
                (problem_name, variant, temperature, *start.split(", ", 1), value)
                for start, value in found.returns.items()
            ]
    model |= {
        "cells": np.array(problem.cells),
        "moves": problem.moves,
        "initial": problem.planner.initial,
        "discount": problem.planner.discount,
    }
    return entries, best_theta, starts, model


def discrete_toy(params: Params, problem_name: str, folder: Path) -> Written:
    """J of every leader, and the best one, for both followers."""
    constants, search = params.problems.of(problem_name), params.environments.of(problem_name)
    returns = params.leaders.of(problem_name).returns
    followers = params.followers.of(problem_name)
    entries, best_theta, tables = [], {}, []
    for variant in ("published", "corrected"):
        for temperature in search.temperatures:
            landscape = ToyLandscape(constants, followers, variant, temperature)
            probability, best = landscape.best(search.points, returns)
            best_theta[f"{variant}_{temperature}"] = np.array([probability])
            entries.append(
                {
                    "variant": variant,
                    "temperature": temperature,
                    "initial_return": float(landscape.returns(np.array([0.5]), returns)[0]),
                    "charge_nothing_return": None,
                    "best_known": best,
                    "best_known_start": f"f(1|A) = {probability:.6f}",
                    "num_starts": search.points,
                }
            )
        landscape = ToyLandscape(constants, followers, variant, search.temperatures[0])
        tables.append(landscape.table(201))
    write_csv(folder / "landscape.csv", pd.concat(tables, ignore_index=True))
    return entries, best_theta, [], asdict(make_game(constants))


def bilevel_lqr(params: Params, problem_name: str, folder: Path) -> Written:
    """Exact ascent from many starts, a map of J, and what known gains look like."""
    search, followers = params.environments.of(problem_name), params.followers.of(problem_name)

    def landscape(temperature: float) -> LqrLandscape:
        constants, leaders = params.problems.of(problem_name), params.leaders.of(problem_name)
        return LqrLandscape(constants, followers, leaders, temperature)

    entries, best_theta, starts = _climbed(
        problem_name, search, landscape, lambda own, first: float(own.returns(first).mean())
    )
    first = landscape(search.temperatures[0])
    best = best_theta[f"published_{search.temperatures[0]}"]
    paths, totals = first.simulate(PAPER_GAINS | {"best known": tuple(best)}, search.seed)
    write_csv(folder / "landscape.csv", first.table())
    write_csv(folder / "simulations.csv", paths)
    write_csv(folder / "returns.csv", totals)
    return entries, best_theta, starts, asdict(first.problem)


def thermal_control(params: Params, problem_name: str, folder: Path) -> Written:
    """Exact ascent from many starts, named designs, and random ones."""
    search, followers = params.environments.of(problem_name), params.followers.of(problem_name)

    def landscape(temperature: float) -> ThermalLandscape:
        return ThermalLandscape(params.problems.of(problem_name), followers, temperature)

    entries, best_theta, starts = _climbed(
        problem_name, search, landscape,
        lambda own, first: float(own.returns(np.zeros_like(first[:1]))[0]),
    )  # fmt: skip
    first = landscape(search.temperatures[0])
    best = best_theta[f"published_{search.temperatures[0]}"]
    write_csv(folder / "designs.csv", first.designs(best))
    write_csv(folder / "random_search.csv", first.random_search(search))
    return entries, best_theta, starts, asdict(first.problem)


def guided_cartpole(params: Params, problem_name: str, folder: Path) -> Written:
    """Its constants: without a model nobody has searched for the best J."""
    del folder
    unknown = {"initial_return": None, "charge_nothing_return": None, "best_known": None}
    temperatures = params.environments.of(problem_name).temperatures
    with refusing(f"params.yaml: problems.{problem_name}"):
        problem = GuidedCartPole(**params.problems.of(problem_name).model_dump())
    entries = [
        {"variant": "improved", "temperature": temperature, **unknown}
        for temperature in temperatures
    ]
    return entries, {}, [], asdict(problem)


def _climbed(
    problem_name: str,
    search: AscentParams,
    landscape: Callable[[float], Any],
    initial_return: Callable[[Any, Any], float],
) -> tuple[list[dict[str, Any]], dict[str, Any], list[tuple[Any, ...]]]:
    entries, best_theta, starts = [], {}, []
    for temperature in search.temperatures:
        own = landscape(temperature)
        first, best, highest = own.climb(search)
        top = int(np.argmax(highest))
        initial = initial_return(own, first)
        for variant in ("published", "corrected", "improved"):  # one problem, one follower
            best_theta[f"{variant}_{temperature}"] = best[top]
            entries.append(
                {
                    "variant": variant,
                    "temperature": temperature,
                    "initial_return": initial,
                    "charge_nothing_return": None,
                    "best_known": float(highest[top]),
                    "best_known_start": f"random {top}",
                    "num_starts": search.starts,
                }
            )
            starts += [
                (problem_name, variant, temperature, f"spread {search.spread:g}", f"{i}", value)
                for i, value in enumerate(highest)
            ]
    return entries, best_theta, starts


WRITERS: dict[str, Callable[[Params, str, Path], Written]] = {
    "four_rooms": four_rooms,
    "discrete_toy_r1": discrete_toy,
    "discrete_toy_r2": discrete_toy,
    "bilevel_lqr": bilevel_lqr,
    "thermal_control": thermal_control,
    "guided_cartpole": guided_cartpole,
}


def main(problem_name: str, data: Path = Path("data/environments")) -> None:
    """Write everything about one problem."""
    params, folder = read_params(), data / problem_name
    folder.mkdir(parents=True, exist_ok=True)
    entries, best_theta, starts, model = WRITERS[problem_name](params, problem_name, folder)
    write_arrays(folder / "model.npz", model)
    write_arrays(folder / "best_theta.npz", best_theta)
    write_csv(folder / "starts.csv", pd.DataFrame(starts, columns=list(START_COLUMNS)))
    write_json(folder / "metadata.json", {"problem": problem_name, "entries": entries})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("problem_name", choices=sorted(FAMILIES))
    arguments = parser.parse_args()
    run_stage(lambda: main(arguments.problem_name))
