"""The best response to θ = 0 in FourRooms, and how fast followers learn it."""

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.follower import BestResponse, soft_bonus
from bilevelrl.core.learning_curve import Learned, Solved, TabularLearner, divergence, follow
from bilevelrl.core.problem import Problem, RunTasks
from bilevelrl.core.seeding import Streams
from bilevelrl.core.soft_q_rule import SoftQOptions
from bilevelrl.models.tabular.convergence import convergence
from bilevelrl.models.tabular.model import evaluate_policy
from bilevelrl.models.tabular.soft_q_learning import SoftQLearning
from bilevelrl.problems.four_rooms.cell import exact_follower, make_four_rooms
from bilevelrl.problems.four_rooms.problem import FourRooms
from bilevelrl.problems.four_rooms.settings import FourRoomsBlock


def solve(problem: Problem[FourRoomsBlock], variant: str, temperature: float) -> Solved:
    """The best response under the slip kernels of a variant."""
    solver = problem.followers
    model = make_four_rooms(problem.block.constants, variant)
    exact = exact_follower(model, np.array([temperature]), solver)
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
    """Soft Q-learning at θ = 0, in the process that the best response plans in."""
    del run_tasks
    own, followers = problem.block.learning, problem.followers
    model = make_four_rooms(problem.block.constants, "corrected")
    runs, beta = own.num_seeds, np.full(own.num_seeds, temperature)
    reward = model.follower_reward(np.zeros((runs, model.num_parameters)))
    best = exact_follower(model, beta, followers).respond(
        reward, np.zeros((runs, model.num_states))
    )
    options = SoftQOptions(**followers.learner.for_good().model_dump())
    visits = _episode_visits(model, best.policy[0])

    def soft_return(policy: Floats) -> Floats:
        soft = reward + soft_bonus(policy, np.array(temperature))
        value: Floats = evaluate_policy(model.planner, policy, soft) @ model.planner.initial
        return value

    def kl(policy: Floats) -> Floats:
        return divergence(policy, best.policy) @ visits

    def after(steps: int, memory: Floats, streams: Streams) -> BestResponse:
        follower = SoftQLearning(
            model.simulator, beta, steps, steps, model.max_episode_steps, options
        )
        return follower.respond(reward, memory, streams)

    memory = np.zeros((runs, 2, *model.moves.shape))
    learner = TabularLearner(after, soft_return, kl, best.policy)
    return follow(learner, memory, own.seeds, own.steps)


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
