"""Exact ascent from many starts at once."""

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.ascent import Adam
from bilevelrl.core.exact import Hypergradient
from bilevelrl.core.search import best_on_the_way
from bilevelrl.models.tabular.exact import exact_hypergradient
from bilevelrl.models.tabular.problem import RewardModel
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration


def climb(
    problem: RewardModel,
    follower: SoftPolicyIteration,
    starts: Floats,
    *,
    num_updates: int,
    first_step_size: float,
    last_step_size: float,
) -> tuple[Floats, Floats]:
    """Adam along the exact hypergradient, the step size falling geometrically.

    Plain ascent is too slow here: fines that no one pays any more have vanishing gradients.

    Args:
        problem: with the rewards and their derivatives.
        follower: its best response, with a temperature for each start.
        starts: θ, shape (N, D).
        num_updates: evaluations of each.
        first_step_size: of Adam.
        last_step_size: after as many updates.

    Returns:
        Where J was best on the way from each start, shape (N, D), and that J, shape (N,).
    """
    memory = follower.start(len(starts))

    def hypergradient(theta: Floats) -> Hypergradient:
        response = follower.respond(problem.follower_reward(theta), memory)
        return exact_hypergradient(problem, theta, response.policy, follower.temperature)

    decay = (last_step_size / first_step_size) ** (1.0 / num_updates)
    rule = Adam(np.full(len(starts), first_step_size), decay=decay, epsilon=1e-12)
    return best_on_the_way(hypergradient, starts, rule, num_updates)
