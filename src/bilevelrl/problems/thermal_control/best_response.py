"""The best response to θ = 0 in building thermal control, and how fast followers learn it."""

import numpy as np

from bilevelrl.core.learning_curve import Learned, Solved, in_one_go
from bilevelrl.core.problem import Problem, RunTasks
from bilevelrl.models.deep.learning import learn_all
from bilevelrl.problems.thermal_control.cell import make_problem
from bilevelrl.problems.thermal_control.follower_task import ThermalFollowerTask, exact_value
from bilevelrl.problems.thermal_control.search import ThermalLandscape
from bilevelrl.problems.thermal_control.settings import ThermalControlBlock


def solve(problem: Problem[ThermalControlBlock], variant: str, temperature: float) -> Solved:
    """The best response; variants do not differ in it."""
    del variant
    landscape = ThermalLandscape(problem.block.constants, problem.followers, temperature)
    building = landscape.problem
    answer = landscape.follower(1).respond(np.zeros((1, building.num_parameters)))
    accuracy, iterations = float(answer.accuracy[0]), int(answer.iterations[0])
    found = {
        "accuracy": accuracy,
        "iterations": iterations,
        "start_value": float(exact_value(building, answer)[0]),  # its mean over starts
    }
    names = ("gain", "covariance", "quadratic", "offset")
    arrays = {name: getattr(answer, name)[0] for name in names}
    return Solved(arrays, found, in_one_go(iterations, accuracy))


def learn(
    problem: Problem[ThermalControlBlock], temperature: float, run_tasks: RunTasks
) -> Learned:
    """SAC of Stable-Baselines3."""
    model, rule = make_problem(problem.block.constants), problem.followers.learner
    task, theta = ThermalFollowerTask(model), np.zeros(model.num_parameters)
    return learn_all(task, theta, temperature, rule, problem.block.learning, run_tasks)
