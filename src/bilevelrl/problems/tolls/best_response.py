"""The equilibrium without tolls."""

import numpy as np
import pandas as pd

from bilevelrl.core.learning_curve import Solved
from bilevelrl.core.problem import Problem
from bilevelrl.models.network_flow.equilibrium import equilibrium
from bilevelrl.problems.tolls.cell import make_problem
from bilevelrl.problems.tolls.settings import TollsBlock


def solve(problem: Problem[TollsBlock], variant: str, temperature: float) -> Solved:
    """The equilibrium of all travellers; variants do not differ in it.

    The value where episodes start is minus the mean expected cost of a trip, in minutes.
    """
    del variant
    net = make_problem(problem.block.constants).network
    nothing, rationality = np.zeros((1, net.num_links)), np.array([1.0 / temperature])
    reached = equilibrium(net, nothing, rationality, tolerance=problem.followers.tolerance)
    steps, accuracy = int(reached.steps[0]), float(reached.residual[0]) / net.total_demand
    found = {
        "accuracy": accuracy,
        "iterations": steps,
        "start_value": -float(reached.total_cost[0]) / net.total_demand,
    }
    arrays = {"flow": reached.flow[0], "time": reached.time[0], "policy": reached.policy[0]}
    row = ("newton", steps, accuracy, 0.0)
    convergence = pd.DataFrame([row], columns=["solver", "iteration", "accuracy", "kl"])
    return Solved(arrays, found, convergence)
