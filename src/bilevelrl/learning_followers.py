"""How fast followers learn the best response to a leader that does not move."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bilevelrl.config import FollowerParams, LearningParams, Runtime, SacParams, SoftQParams
from bilevelrl.execution import run_tasks
from bilevelrl.followers.game_soft_q_learning import GameSoftQLearning
from bilevelrl.followers.players import Duel
from bilevelrl.followers.protocol import BestResponse, FollowerDiverged, soft_bonus
from bilevelrl.followers.soft_policy_iteration import SoftPolicyIteration
from bilevelrl.followers.soft_q_iteration import SoftQIteration
from bilevelrl.followers.soft_q_learning import SoftQLearning, SoftQOptions
from bilevelrl.problems.four_rooms import FourRooms
from bilevelrl.problems.markov_game import MarkovGame, follower_soft_return, state_chain
from bilevelrl.problems.tabular import evaluate_policy
from bilevelrl.seeding import Streams

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Learned:
    """Learning curves, and what was learned in the end.

    Attributes:
        curves: columns `records.LEARNING_COLUMNS` but for problem, variant and temperature.
        policy: after the last checkpoint, as arrays; of tables the seeds are the first axis, and
            networks are named after theirs.
    """

    curves: pd.DataFrame
    policy: dict[str, Floats]


def four_rooms(
    problem: FourRooms,
    temperature: float,
    followers: FollowerParams,
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
    options = _for_good(followers.soft_q)
    visits = _episode_visits(problem, best.policy[0])

    def soft_return(policy: Floats) -> Floats:
        paid = reward + soft_bonus(policy, np.array(temperature))
        value: Floats = evaluate_policy(problem.planner, policy, paid) @ problem.planner.initial
        return value

    def kl(policy: Floats) -> Floats:
        return _divergence(policy, best.policy) @ visits

    def learn(steps: int, memory: Floats, streams: Streams) -> BestResponse:
        follower = SoftQLearning(
            problem.simulator, beta, steps, steps, problem.max_episode_steps, options
        )
        return follower.respond(reward, memory, streams)

    memory = np.zeros((runs, 2, problem.simulator.num_states, problem.simulator.num_actions))
    return _follow(_Case(learn, soft_return, kl, best.policy), memory, seeds, checkpoints)


@dataclass(frozen=True)
class SacTask:
    """One agent at θ = 0.

    Attributes:
        duel: the problem.
        temperature: β.
        rule: of the agent.
        seed: its own.
        checkpoints: transitions, increasing.
    """

    duel: Duel[Any]
    temperature: float
    rule: SacParams
    seed: int
    checkpoints: tuple[int, ...]


def learn_sac(task: SacTask) -> tuple[pd.DataFrame, dict[str, Floats]]:
    """Learning curve and trained actor; torch is imported here, because that takes seconds.

    An agent that diverges has a curve of NaN, and says so on stderr.
    """
    from bilevelrl.followers.sac_settings import learn

    try:
        return learn(
            task.duel, task.temperature, task.rule.model_dump(), task.seed, task.checkpoints
        )
    except FollowerDiverged as error:
        print(f"WARNING: SAC with seed {task.seed} has no result: {error}", file=sys.stderr)
        unknown = dict.fromkeys(("value_gap", "relative_gap", "kl"), np.nan)
        return pd.DataFrame({"steps": task.checkpoints, **unknown}), {}


def sac(
    duel: Duel[Any], temperature: float, rule: SacParams, own: LearningParams, runtime: Runtime
) -> Learned:
    """SAC of Stable-Baselines3 at θ = 0, the seeds in parallel."""
    tasks = [SacTask(duel, temperature, rule, seed, own.steps) for seed in own.seeds]
    done = dict(run_tasks(learn_sac, tasks, runtime, description="SAC"))
    curves = [
        done[place][0].assign(seed=task.seed, follower="sac") for place, task in enumerate(tasks)
    ]
    trained = {task.seed: done[place][1] for place, task in enumerate(tasks)}
    policy = {
        f"seed_{seed}_{name}": array
        for seed, actor in trained.items()
        for name, array in actor.items()
    }
    return Learned(pd.concat(curves, ignore_index=True), policy)


def toy(
    game: MarkovGame,
    temperature: float,
    followers: FollowerParams,
    seeds: Sequence[int],
    checkpoints: Sequence[int],
) -> Learned:
    """Soft Q-learning against a uniform leader; arguments as in `four_rooms`."""
    runs, beta = len(seeds), np.full(len(seeds), temperature)
    leader = np.full((runs, game.num_states, game.num_leader_actions), 1.0)
    leader /= game.num_leader_actions
    exact = SoftQIteration(game, beta, followers.tolerance, followers.max_iterations)
    best = exact.respond(leader, exact.start(runs))
    options = _for_good(followers.soft_q)
    chain, now = state_chain(game, leader[:1], best.policy[:1])[0], game.initial
    visits = np.zeros(game.num_states)
    for _ in range(game.max_episode_steps):
        visits += now / game.max_episode_steps
        now = now @ chain

    def soft_return(policy: Floats) -> Floats:
        return follower_soft_return(game, leader, policy, beta)

    def kl(policy: Floats) -> Floats:
        of_state: Floats = (_divergence(policy, best.policy) * leader).sum(axis=2)
        return of_state @ visits

    def learn(steps: int, memory: Floats, streams: Streams) -> BestResponse:
        follower = GameSoftQLearning(game, beta, steps, steps, options)
        return follower.respond(leader, memory, streams)

    memory = np.zeros((runs, 2, *game.follower_reward.shape))
    return _follow(_Case(learn, soft_return, kl, best.policy), memory, seeds, checkpoints)


def _for_good(rule: SoftQParams) -> SoftQOptions:
    """The learning rule without the step size that keeps up with a leader that moves."""
    return SoftQOptions(**rule.model_dump() | {"smallest_step": 0.0})


@dataclass(frozen=True, eq=False)
class _Case:
    learn: Callable[[int, Floats, Streams], BestResponse]
    soft_return: Callable[[Floats], Floats]
    kl: Callable[[Floats], Floats]
    best: Floats


def _follow(
    case: _Case, memory: Floats, seeds: Sequence[int], checkpoints: Sequence[int]
) -> Learned:
    streams, before, tables = Streams(list(seeds)), 0, []
    optimum = case.soft_return(case.best)
    for checkpoint in checkpoints:
        policy = case.learn(checkpoint - before, memory, streams).policy
        gap = optimum - case.soft_return(policy)
        columns = {"seed": seeds, "steps": checkpoint, "value_gap": gap,
                   "relative_gap": gap / np.abs(optimum), "kl": case.kl(policy)}  # fmt: skip
        tables.append(pd.DataFrame(columns).assign(follower="soft_q"))
        before = checkpoint
    return Learned(pd.concat(tables, ignore_index=True), {"policy": policy})


def _divergence(policy: Floats, best: Floats) -> Floats:
    """KL(policy || best) of every state, over the last axis."""
    played = np.where(policy > 0.0, policy, 1.0)
    ratio: Floats = (policy * (np.log(played) - np.log(best))).sum(axis=-1)
    return ratio


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
