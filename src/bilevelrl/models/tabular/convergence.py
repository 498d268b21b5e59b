"""How fast each follower solver approaches the best response."""

import numpy as np
import pandas as pd

from bilevelrl.core.arrays import Floats
from bilevelrl.core.follower import BestResponse, policy_kl
from bilevelrl.core.seeding import Streams
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration
from bilevelrl.models.tabular.truncated import Truncated


def convergence(
    exact: SoftPolicyIteration, reward: Floats, optimum: BestResponse, sweeps: int
) -> pd.DataFrame:
    """Certified value error and policy KL after 1, 2, ... iterations of each solver.

    Columns solver, iteration, accuracy, kl. The solvers are soft policy iteration (ours), of one
    run whose answer to `reward`, shape (1, S, A), is `optimum`, and modified policy iteration from
    Q = 0 (the released code's).
    """
    answers = [
        ("soft_policy_iteration", number, exact.iterate(reward, exact.start(1), number))
        for number in range(int(optimum.iterations[0]) + 1)
    ]
    for number in (1, 2, 5, 10, 20, 50, 100):
        literal = Truncated(exact.model, exact.temperature, np.array([number]), sweeps, "zero")
        answer = literal.respond(reward, np.zeros_like(reward), Streams([]))  # draws nothing
        answers.append(("modified_policy_iteration", number, answer))
    return pd.DataFrame(
        [
            (solver, number, answer.accuracy[0], policy_kl(answer.policy, optimum.policy)[0])
            for solver, number, answer in answers
        ],
        columns=["solver", "iteration", "accuracy", "kl"],
    )
