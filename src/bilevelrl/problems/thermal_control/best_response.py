"""The best response to θ = 0 in building thermal control, and how fast followers learn it."""

import numpy as np

from bilevelrl.core.learning_curve import Learned, Solved, in_one_go
from bilevelrl.core.problem import Problem, RunTasks
from bilevelrl.models.deep.learning import learn_all
from bilevelrl.problems.thermal_control.cell import make_problem
from bilevelrl.problems.thermal_control.follower_task import ThermalFollowerTask
from bilevelrl.problems.thermal_control.search import ThermalLandscape
from bilevelrl.problems.thermal_control.settings import ThermalControlBlock


def solve(problem: Problem[ThermalControlBlock], variant: str, temperature: float) -> Solved:
    """The best response; variants do not differ in it."""
    del variant
    landscape = ThermalLandscape(problem.block.constants, problem.followers, temperature)
    theta = np.zeros((1, landscape.problem.num_parameters))
    answer = landscape.follower(1).respond(theta)
    spread = landscape.problem.initial_deviation**2 * np.trace(answer.quadratic[0])
    found = {
        "accuracy": float(answer.accuracy[0]),
        "iterations": int(answer.iterations[0]),
        "start_value": -float(spread + answer.offset[0]),  # its mean over starts
    }
    names = ("gain", "covariance", "quadratic", "offset")
    arrays = {name: getattr(answer, name)[0] for name in names}
    return Solved(arrays, found, in_one_go(int(answer.iterations[0]), float(answer.accuracy[0])))


def learn(
    problem: Problem[ThermalControlBlock], temperature: float, run_tasks: RunTasks
) -> Learned:
    """SAC of Stable-Baselines3."""
    model, rule = make_problem(problem.block.constants), problem.followers.learner
    task, theta = ThermalFollowerTask(model), np.zeros(model.num_parameters)
    return learn_all(task, theta, temperature, rule, problem.block.learning, run_tasks)
