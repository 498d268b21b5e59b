"""The best response to θ = 0 in FourRooms, and how fast followers learn it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.blocks import FollowerParams
from bilevelrl.core.finite_settings import SoftQParams
from bilevelrl.core.follower import BestResponse, soft_bonus
from bilevelrl.core.learning_curve import Learned, Solved, TabularLearner, divergence, follow
from bilevelrl.core.problem import Problem, RunTasks
from bilevelrl.core.seeding import Streams
from bilevelrl.core.soft_q_rule import SoftQOptions
from bilevelrl.models.tabular.convergence import convergence
from bilevelrl.models.tabular.model import evaluate_policy
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration
from bilevelrl.models.tabular.soft_q_learning import SoftQLearning
from bilevelrl.problems.four_rooms.cell import make_four_rooms
from bilevelrl.problems.four_rooms.problem import FourRooms
from bilevelrl.problems.four_rooms.settings import FourRoomsBlock

Floats = NDArray[np.float64]


def solve(problem: Problem[FourRoomsBlock], variant: str, temperature: float) -> Solved:
    """The best response under the slip kernels of a variant."""
    solver = problem.followers
    model = make_four_rooms(problem.block.constants, variant)
    exact = SoftPolicyIteration(
        model.planner, np.array([temperature]), solver.tolerance, solver.max_iterations
    )
    reward = model.follower_reward(np.zeros((1, model.num_parameters)))
    answer = exact.respond(reward, exact.start(1))
    curve = convergence(exact, reward, answer, solver.sweeps)
    found = {
        "accuracy": float(answer.accuracy[0]),
        "iterations": int(answer.iterations[0]),
        "start_value": float(model.planner.initial @ answer.value[0]),
    }
    return Solved({"policy": answer.policy[0], "value": answer.value[0]}, found, curve)


def learn(problem: Problem[FourRoomsBlock], temperature: float, run_tasks: RunTasks) -> Learned:
    """Soft Q-learning in the process that the best response plans in, hence the variant."""
    del run_tasks
    own = problem.block.learning
    model = make_four_rooms(problem.block.constants, "corrected")
    return learning_curve(model, temperature, problem.followers, own.seeds, own.steps)


def learning_curve(
    problem: FourRooms,
    temperature: float,
    followers: FollowerParams[SoftQParams],
    seeds: Sequence[int],
    checkpoints: Sequence[int],
) -> Learned:
    """Soft Q-learning at θ = 0.

    Args:
        problem: without the slip kernels' quirk, or the learner would live in another process than
            the one that the best response plans in.
        temperature: β.
        followers: tolerance of the best response, and the learning rule.
        seeds: one follower each.
        checkpoints: transitions, increasing.
    """
    runs, beta = len(seeds), np.full(len(seeds), temperature)
    reward = problem.follower_reward(np.zeros((runs, problem.num_parameters)))
    exact = SoftPolicyIteration(
        problem.planner, beta, followers.tolerance, followers.max_iterations
    )
    best = exact.respond(reward, np.zeros((runs, problem.planner.num_states)))
    options = SoftQOptions(**followers.learner.for_good().model_dump())
    visits = _episode_visits(problem, best.policy[0])

    def soft_return(policy: Floats) -> Floats:
        soft = reward + soft_bonus(policy, np.array(temperature))
        value: Floats = evaluate_policy(problem.planner, policy, soft) @ problem.planner.initial
        return value

    def kl(policy: Floats) -> Floats:
        return divergence(policy, best.policy) @ visits

    def learn(steps: int, memory: Floats, streams: Streams) -> BestResponse:
        follower = SoftQLearning(
            problem.simulator, beta, steps, steps, problem.max_episode_steps, options
        )
        return follower.respond(reward, memory, streams)

    memory = np.zeros((runs, 2, problem.simulator.num_states, problem.simulator.num_actions))
    return follow(TabularLearner(learn, soft_return, kl, best.policy), memory, seeds, checkpoints)


def _episode_visits(problem: FourRooms, policy: Floats) -> Floats:
    """Share of its time that a policy spends in each state until episodes end."""
    model = problem.simulator
    chain = np.einsum("sa,sak->sk", policy, model.transition)
    chain[model.discount == 0.0] = 0.0
    now, visits = model.initial.copy(), np.zeros(model.num_states)
    for _ in range(problem.max_episode_steps):
        visits += now
        now = now @ chain
    share: Floats = visits / visits.sum()
    return share
