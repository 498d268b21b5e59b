"""The best response to a uniform leader in a discrete toy, and how fast followers learn it."""

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.learning_curve import Learned, Solved, TabularLearner, divergence, follow
from bilevelrl.core.problem import Problem, RunTasks
from bilevelrl.core.seeding import Streams
from bilevelrl.core.soft_q_rule import SoftQOptions
from bilevelrl.models.finite_game.markov_game import follower_soft_return, state_chain
from bilevelrl.models.finite_game.soft_q_iteration import SoftQIteration
from bilevelrl.models.finite_game.soft_q_learning import GameSoftQLearning
from bilevelrl.problems.discrete_toy.cell import make_game
from bilevelrl.problems.discrete_toy.search import ToyLandscape
from bilevelrl.problems.discrete_toy.settings import DiscreteToyBlock


def solve(problem: Problem[DiscreteToyBlock], variant: str, temperature: float) -> Solved:
    """The best response of a variant's follower."""
    game = make_game(problem.block.constants)
    landscape = ToyLandscape(game, problem.followers, variant, temperature)
    answer = landscape.best_response(np.array([0.5]))
    found = {
        "accuracy": float(answer.accuracy[0]),
        "iterations": int(answer.iterations[0]),
        "start_value": float(answer.value[0, 0].mean()),
    }
    arrays = {"policy": answer.policy[0], "value": answer.value[0]}
    return Solved(arrays, found, landscape.convergence())


def learn(problem: Problem[DiscreteToyBlock], temperature: float, run_tasks: RunTasks) -> Learned:
    """Soft Q-learning, which averages in the correct order, against a uniform leader."""
    del run_tasks
    own, followers = problem.block.learning, problem.followers
    game = make_game(problem.block.constants)
    runs, beta = len(own.seeds), np.full(len(own.seeds), temperature)
    actions = game.num_leader_actions
    leader = np.full((runs, game.num_states, actions), 1.0 / actions)
    exact = SoftQIteration(game, beta, followers.tolerance, followers.max_iterations)
    best = exact.respond(leader, exact.start(runs))
    options = SoftQOptions(**followers.learner.for_good().model_dump())
    chain, now = state_chain(game, leader[:1], best.policy[:1])[0], game.initial
    visits = np.zeros(game.num_states)
    for _ in range(game.max_episode_steps):
        visits += now / game.max_episode_steps
        now = now @ chain

    def soft_return(policy: Floats) -> Floats:
        return follower_soft_return(game, leader, policy, beta)

    def kl(policy: Floats) -> Floats:
        of_state: Floats = (divergence(policy, best.policy) * leader).sum(axis=2)
        return of_state @ visits

    def play(steps: int, memory: Floats, streams: Streams) -> BestResponse:
        follower = GameSoftQLearning(game, beta, steps, steps, options)
        return follower.respond(leader, memory, streams)

    memory = np.zeros((runs, 2, *game.follower_reward.shape))
    return follow(TabularLearner(play, soft_return, kl, best.policy), memory, own.seeds, own.steps)
