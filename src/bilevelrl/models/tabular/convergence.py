"""How fast each follower solver approaches the best response."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bilevelrl.core.follower import BestResponse, policy_kl
from bilevelrl.core.seeding import Streams
from bilevelrl.models.tabular.problem import TabularProblem
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration
from bilevelrl.models.tabular.truncated import Truncated

Floats = NDArray[np.float64]


def best_response(
    problem: TabularProblem, theta: Floats, temperature: float, tolerance: float, limit: int
) -> BestResponse:
    """The exact best response to one θ, shape (D,), from a cold start."""
    solver = SoftPolicyIteration(problem.planner, np.array([temperature]), tolerance, limit)
    memory = np.zeros((1, problem.planner.num_states))
    return solver.respond(problem.follower_reward(theta[None]), memory)


def convergence(
    problem: TabularProblem,
    theta: Floats,
    temperature: float,
    tolerance: float,
    sweeps: int,
    max_iterations: int,
) -> pd.DataFrame:
    """Certified value error and policy KL after 1, 2, ... iterations of each solver.

    Columns solver, iteration, accuracy, kl. The solvers are soft policy iteration (ours) and
    modified policy iteration from Q = 0 (the released code's).
    """
    reward = problem.follower_reward(theta[None])
    beta = np.array([temperature])
    optimum = best_response(problem, theta, temperature, tolerance, max_iterations)
    answers: list[tuple[str, int, BestResponse]] = []
    exact = SoftPolicyIteration(problem.planner, beta, tolerance, max_iterations)
    for iteration in range(int(optimum.iterations[0]) + 1):
        cold = np.zeros((1, problem.planner.num_states))
        answers.append(("soft_policy_iteration", iteration, exact.iterate(reward, cold, iteration)))
    for iteration in (1, 2, 5, 10, 20, 50, 100):
        literal = Truncated(problem.planner, beta, np.array([iteration]), sweeps, "zero")
        streams = Streams([0])  # unused: nothing is drawn when starting from zero
        answer = literal.respond(reward, literal.start(1, streams), streams)
        answers.append(("modified_policy_iteration", iteration, answer))
    return pd.DataFrame(
        [
            (solver, iteration, answer.accuracy[0], policy_kl(answer.policy, optimum.policy)[0])
            for solver, iteration, answer in answers
        ],
        columns=["solver", "iteration", "accuracy", "kl"],
    )
