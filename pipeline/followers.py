"""DVC stage `followers`: best responses at the initial θ, how fast solvers and learners get there.

Reads:  params.yaml (problems, leaders and learning of <problem>, followers),
        data/environments/<problem>.
Writes: data/followers/<problem>/{best_responses.npz, convergence.csv, accuracy.json,
        learning.csv, learned_policies.npz}.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bilevelrl import learning_followers
from bilevelrl.atomic_files import write_arrays
from bilevelrl.cells.bilevel_lqr import make_problem as make_linear
from bilevelrl.cells.discrete_toy import make_game
from bilevelrl.cells.four_rooms import make_four_rooms
from bilevelrl.cells.thermal_control import make_problem as make_building
from bilevelrl.config import FAMILIES, Params, read_params
from bilevelrl.convergence import best_response, convergence
from bilevelrl.followers.sac_linear import LinearDuel
from bilevelrl.followers.sac_thermal import ThermalDuel
from bilevelrl.learning_followers import Learned
from bilevelrl.lqr_landscape import LqrLandscape
from bilevelrl.records import (
    LEARNING_COLUMNS,
    concatenate,
    read_csv,
    read_json,
    write_csv,
    write_json,
)
from bilevelrl.thermal_landscape import ThermalLandscape
from bilevelrl.toy_landscape import ToyLandscape
from bilevelrl.tracking import Tracker, sync_followers, sync_pending
from pipeline.attachments import attach_penalty_map
from pipeline.stage import run_stage

#: A best response as arrays, its accuracy, iterations and value at the start, and the convergence.
Solved = tuple[dict[str, Any], dict[str, Any], pd.DataFrame]


def four_rooms(params: Params, problem_name: str, variant: str, temperature: float) -> Solved:
    """Solve at θ = 0."""
    solver = params.followers.of(problem_name)
    problem = make_four_rooms(params.problems.of(problem_name), variant)
    theta = np.zeros(problem.num_parameters)
    answer = best_response(problem, theta, temperature, solver.tolerance, solver.max_iterations)
    curve = convergence(
        problem, theta, temperature, solver.tolerance, solver.sweeps, solver.max_iterations
    )
    found = {
        "accuracy": float(answer.accuracy[0]),
        "iterations": int(answer.iterations[0]),
        "start_value": float(problem.planner.initial @ answer.value[0]),
    }
    return {"policy": answer.policy[0], "value": answer.value[0]}, found, curve


def discrete_toy(params: Params, problem_name: str, variant: str, temperature: float) -> Solved:
    """Solve against a uniform leader."""
    constants = params.problems.of(problem_name)
    landscape = ToyLandscape(constants, params.followers.of(problem_name), variant, temperature)
    answer = landscape.best_response(np.array([0.5]))
    found = {
        "accuracy": float(answer.accuracy[0]),
        "iterations": int(answer.iterations[0]),
        "start_value": float(answer.value[0, 0].mean()),
    }
    arrays = {"policy": answer.policy[0], "value": answer.value[0]}
    return arrays, found, landscape.convergence()


def bilevel_lqr(params: Params, problem_name: str, variant: str, temperature: float) -> Solved:
    """Solve against K = 0."""
    del variant
    leaders, constants = params.leaders.of(problem_name), params.problems.of(problem_name)
    landscape = LqrLandscape(constants, params.followers.of(problem_name), leaders, temperature)
    problem, theta = landscape.problem, np.zeros((1, landscape.problem.num_parameters))
    answer = landscape.follower(1).respond(theta)
    start = np.tile(problem.initial_state, (1, 1))
    action = np.zeros((1, problem.leader_matrix.shape[1]))
    found = {
        "accuracy": float(answer.accuracy[0]),
        "iterations": int(answer.iterations[0]),
        "start_value": float(answer.value(problem, theta, start, action)[0]),
    }
    names = ("state_gain", "noise_gain", "covariance", "quadratic")
    row = ("doubling", found["iterations"], found["accuracy"], 0.0)
    curve = pd.DataFrame([row], columns=["solver", "iteration", "accuracy", "kl"])
    return {name: getattr(answer, name)[0] for name in names}, found, curve


def thermal_control(params: Params, problem_name: str, variant: str, temperature: float) -> Solved:
    """Solve against θ = 0."""
    del variant
    constants = params.problems.of(problem_name)
    landscape = ThermalLandscape(constants, params.followers.of(problem_name), temperature)
    theta = np.zeros((1, landscape.problem.num_parameters))
    answer = landscape.follower(1).respond(theta)
    spread = landscape.problem.initial_deviation**2 * np.trace(answer.quadratic[0])
    found = {
        "accuracy": float(answer.accuracy[0]),
        "iterations": int(answer.iterations[0]),
        "start_value": -float(spread + answer.offset[0]),  # its mean over starts
    }
    row = ("doubling", found["iterations"], found["accuracy"], 0.0)
    curve = pd.DataFrame([row], columns=["solver", "iteration", "accuracy", "kl"])
    names = ("gain", "covariance", "quadratic", "offset")
    return {name: getattr(answer, name)[0] for name in names}, found, curve


SOLVERS: dict[str, Callable[[Params, str, str, float], Solved]] = {
    "four_rooms": four_rooms,
    "discrete_toy_r1": discrete_toy,
    "discrete_toy_r2": discrete_toy,
    "bilevel_lqr": bilevel_lqr,
    "thermal_control": thermal_control,
}


def learn_four_rooms(params: Params, problem_name: str, temperature: float) -> Learned:
    """Soft Q-learning in the process that the best response plans in, hence the variant."""
    problem = make_four_rooms(params.problems.of(problem_name), "corrected")
    own = params.learning.of(problem_name)
    return learning_followers.four_rooms(
        problem, temperature, params.followers.of(problem_name), own.seeds, own.steps
    )


def learn_toy(params: Params, problem_name: str, temperature: float) -> Learned:
    """Soft Q-learning, which averages in the correct order."""
    game, own = make_game(params.problems.of(problem_name)), params.learning.of(problem_name)
    return learning_followers.toy(
        game, temperature, params.followers.of(problem_name), own.seeds, own.steps
    )


def learn_lqr(params: Params, problem_name: str, temperature: float) -> Learned:
    """SAC of Stable-Baselines3 against K = 0."""
    leaders, own = params.leaders.of(problem_name), params.learning.of(problem_name)
    problem = make_linear(params.problems.of(problem_name), leaders.leader_noise)
    duel, rule = LinearDuel(problem, 1.0), params.followers.of(problem_name).sac
    return learning_followers.sac(duel, temperature, rule, own, params.runtime)


def learn_thermal(params: Params, problem_name: str, temperature: float) -> Learned:
    """SAC of Stable-Baselines3 against θ = 0."""
    own, rule = params.learning.of(problem_name), params.followers.of(problem_name).sac
    duel = ThermalDuel(make_building(params.problems.of(problem_name)))
    return learning_followers.sac(duel, temperature, rule, own, params.runtime)


LEARNERS: dict[str, Callable[[Params, str, float], Learned]] = {
    "four_rooms": learn_four_rooms,
    "discrete_toy_r1": learn_toy,
    "discrete_toy_r2": learn_toy,
    "bilevel_lqr": learn_lqr,
    "thermal_control": learn_thermal,
}


def main(problem_name: str, data: Path = Path("data")) -> None:
    """Solve for every variant and temperature that the environments stage lists."""
    params = read_params()
    entries = read_json(data / "environments" / problem_name / "metadata.json")["entries"]
    arrays: dict[str, Any] = {}
    accuracy, curves = [], []
    for entry in entries if problem_name in SOLVERS else ():
        variant, temperature = entry["variant"], entry["temperature"]
        solved, found, curve = SOLVERS[problem_name](params, problem_name, variant, temperature)
        arrays |= {f"{variant}_{temperature}_{name}": array for name, array in solved.items()}
        where = {"variant": variant, "temperature": temperature}
        accuracy.append(where | found)
        curves.append(curve.assign(**where))
    folder = data / "followers" / problem_name
    folder.mkdir(parents=True, exist_ok=True)
    write_arrays(folder / "best_responses.npz", arrays)
    nothing = pd.DataFrame(columns=["solver", "iteration", "accuracy", "kl"])
    write_csv(folder / "convergence.csv", concatenate(curves) if curves else nothing)
    write_json(folder / "accuracy.json", accuracy)
    policies: dict[str, Any] = {}
    learned = []
    asked = params.learning.of(problem_name) is not None
    temperatures = {entry["temperature"]: None for entry in entries} if asked else {}
    for temperature in temperatures:
        result = LEARNERS[problem_name](params, problem_name, temperature)
        policies |= {f"{temperature}_{name}": array for name, array in result.policy.items()}
        where = {"problem": problem_name, "variant": "corrected", "temperature": temperature}
        learned.append(result.curves.assign(**where))
    write_arrays(folder / "learned_policies.npz", policies)
    empty = pd.DataFrame(columns=list(LEARNING_COLUMNS))
    learning = concatenate(learned)[list(LEARNING_COLUMNS)] if learned else empty
    write_csv(folder / "learning.csv", learning)
    # As the file has them, which is what `pipeline.mlflow_sync` will compare with.
    stored = read_csv(folder / "learning.csv", LEARNING_COLUMNS)
    tracker = Tracker.here(Path.cwd())
    sync_followers(tracker, problem_name, stored)
    sync_pending(tracker, data, Path.cwd(), attach_penalty_map)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("problem_name", choices=sorted(FAMILIES))
    arguments = parser.parse_args()
    run_stage(lambda: main(arguments.problem_name))
