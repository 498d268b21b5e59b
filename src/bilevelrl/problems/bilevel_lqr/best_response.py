"""The best response to K = 0 in BilevelLQR, and how fast followers learn it."""

import numpy as np

from bilevelrl.core.learning_curve import Learned, Solved, in_one_go
from bilevelrl.core.problem import Problem, RunTasks
from bilevelrl.models.deep.learning import learn_all
from bilevelrl.problems.bilevel_lqr.cell import make_problem
from bilevelrl.problems.bilevel_lqr.follower_task import LinearFollowerTask
from bilevelrl.problems.bilevel_lqr.search import landscape
from bilevelrl.problems.bilevel_lqr.settings import BilevelLQRBlock


def solve(problem: Problem[BilevelLQRBlock], variant: str, temperature: float) -> Solved:
    """The best response; variants do not differ in it."""
    del variant
    game = landscape(problem, temperature).game
    model, theta = game.problem, np.zeros((1, game.problem.num_parameters))
    answer = game.follower.respond(theta)
    start, action = model.initial_state[None], np.zeros((1, model.leader_matrix.shape[1]))
    accuracy, iterations = float(answer.accuracy[0]), int(answer.iterations[0])
    found = {
        "accuracy": accuracy,
        "iterations": iterations,
        "start_value": float(answer.value(model, theta, start, action)[0]),
    }
    names = ("state_gain", "noise_gain", "covariance", "quadratic")
    arrays = {name: getattr(answer, name)[0] for name in names}
    return Solved(arrays, found, in_one_go(iterations, accuracy))


def learn(problem: Problem[BilevelLQRBlock], temperature: float, run_tasks: RunTasks) -> Learned:
    """SAC of Stable-Baselines3."""
    block = problem.block
    model = make_problem(block.constants, block.training.leader_noise)
    task, theta = LinearFollowerTask(model, 1.0), np.zeros(model.num_parameters)
    rule = problem.followers.learner
    return learn_all(task, theta, temperature, rule, block.learning, run_tasks)
