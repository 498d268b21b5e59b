"""Where the indirect term is worth having: random games whose leader shares its follower's reward.

The leader is paid κ r_F + (1 - |κ|) r_0. At κ = -1 and 1 the envelope theorem leaves only the
entropy part of the indirect term, see `models.finite_game.envelope`. One game is one sample.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from bilevelrl.core.arrays import Floats
from bilevelrl.core.ascent import Adam, geometric_decay
from bilevelrl.core.blocks import SolverParams
from bilevelrl.core.cell import Group
from bilevelrl.core.exact import Hypergradient
from bilevelrl.core.problem import RunTasks
from bilevelrl.core.seeding import Streams
from bilevelrl.evaluation.statistics import interval, mean
from bilevelrl.models.finite_game.envelope import entropy_indirect
from bilevelrl.models.finite_game.estimators import bc_hg
from bilevelrl.models.finite_game.exact import game_hypergradient
from bilevelrl.models.finite_game.game import FiniteGame
from bilevelrl.models.finite_game.markov_game import GameSizes, MarkovGame
from bilevelrl.models.finite_game.policies import TabularPolicy
from bilevelrl.models.finite_game.random_game import mixed_rewards, random_game
from bilevelrl.models.finite_game.settings import FiniteCorrectedSetting
from bilevelrl.models.finite_game.soft_q_iteration import SoftQIteration
from bilevelrl.runs.reward_structures_block import RandomGameParams, RewardStructureParams

#: Columns of results/reward_structures.csv: a metric's mean over games and its interval.
REWARD_STRUCTURE_COLUMNS = (
    "temperature", "alignment", "metric", "value", "low", "high", "worst", "games",
)  # fmt: skip
_KEY = ["temperature", "alignment", "metric"]


@dataclass(frozen=True)
class RewardTask:
    """One random game with all its reward structures."""

    seed: int
    params: RewardStructureParams
    solver: SolverParams


def reward_structures(
    params: RewardStructureParams, solver: SolverParams, confidence: float, run_tasks: RunTasks
) -> pd.DataFrame:
    """Columns `REWARD_STRUCTURE_COLUMNS`, a row per β, κ and metric of `measure`.

    `worst` is the largest value of any game.
    """
    first, number = params.games.first_seed, params.games.num_seeds
    tasks = [RewardTask(seed, params, solver) for seed in range(first, first + number)]
    found = dict(run_tasks(_measured, tasks, description="reward structures"))
    every = pd.concat([found[place] for place in range(len(tasks))], ignore_index=True)
    rows = []
    for key, own in every.groupby(_KEY, sort=False):
        scores = own["value"].to_numpy(dtype=np.float64)
        low, high = interval(scores, "mean", confidence)
        rows.append((*key, float(mean(scores)), float(low), float(high), scores.max(), len(scores)))
    return pd.DataFrame(rows, columns=list(REWARD_STRUCTURE_COLUMNS))


def _measured(task: RewardTask) -> pd.DataFrame:
    rows = [
        (temperature, alignment, name, value)
        for temperature in task.params.temperatures
        for alignment in task.params.alignments
        for name, value in measure(task, temperature, alignment).items()
    ]
    return pd.DataFrame(rows, columns=[*_KEY, "value"])


def measure(task: RewardTask, temperature: float, alignment: float) -> dict[str, float]:
    """What one game says of one reward structure.

    Returns:
        By name: means over points of `indirect_share`, |indirect| / (|direct| + |indirect|), and
        `cosine_direct`, of direct part and hypergradient. `closed_form_error` of the indirect part,
        as a share of it, to nine decimals, where κ is -1 or 1. J at the points, `return_start`, and
        where ascent along the hypergradient ends, `return_total`, and along the direct part alone,
        `return_direct`; `lost_share` is what the latter lacks of the former's gain. Root mean
        square errors of sampled estimates over that of 0: `error_bc_hg`, of the direct part alone
        `error_direct`, and how much larger that is, `error_saved`. `break_even_log10` of the
        transitions from which on an estimate is closer with the indirect part than without, if
        variances fall as one over them; at least an episode.
    """
    game = mixed_rewards(random_game(task.seed, sizes_of(task.params.games)), alignment)
    streams = Streams([task.seed])
    policy = TabularPolicy(game.num_states, game.num_leader_actions)
    shape = (task.params.points, policy.num_parameters)
    theta = task.params.spread * streams.normals("initial_parameters", shape)[0]
    solved = partial(_solved, game, policy, task.solver, temperature)
    return (
        _terms(solved(len(theta)), theta, alignment)
        | _ascents(solved(2 * len(theta)), theta, task.params)
        | _errors(solved(len(theta) * task.params.replicates), theta, task, temperature)
    )


def sizes_of(games: RandomGameParams) -> GameSizes:
    """Of the random games."""
    return GameSizes(
        games.num_states, games.num_leader_actions, games.num_follower_actions,
        games.discount, games.discount, games.max_episode_steps,
    )  # fmt: skip


def _solved(
    game: MarkovGame, policy: TabularPolicy, solver: SolverParams, temperature: float, runs: int
) -> FiniteGame:
    beta = np.full(runs, temperature)
    exact = SoftQIteration(game, beta, solver.tolerance, solver.max_iterations)
    return FiniteGame(game, policy, exact, exact, game.leader_discount)


def _hypergradient(solved: FiniteGame, theta: Floats) -> Hypergradient:
    memory = solved.follower_memory(len(theta), Streams([]))
    return solved.hypergradient(theta, solved.respond(theta, memory, Streams([])))


def _terms(solved: FiniteGame, theta: Floats, alignment: float) -> dict[str, float]:
    truth = _hypergradient(solved, theta)
    direct, indirect, total = (
        np.linalg.norm(part, axis=1) for part in (truth.direct, truth.indirect, truth.total)
    )
    cosine = (truth.direct * truth.total).sum(axis=1) / (direct * total)
    found = {
        "indirect_share": float((indirect / (direct + indirect)).mean()),
        "cosine_direct": float(cosine.mean()),
    }
    if abs(alignment) == 1.0:
        found["closed_form_error"] = _closed_form_error(solved, theta, alignment)
    return found


def _closed_form_error(solved: FiniteGame, theta: Floats, alignment: float) -> float:
    """Of the indirect part of episodes that never end, as a share of it, at its worst point."""
    game, beta, leader = solved.game, solved.exact.temperature, solved.policy.probabilities(theta)
    response = solved.respond(theta, solved.follower_memory(len(theta), Streams([])), Streams([]))
    found = game_hypergradient(
        game, leader, response, beta, discount=game.leader_discount, horizon=None, order="correct"
    ).indirect
    entropy = entropy_indirect(game, leader, response, beta, horizon=None)
    error = found + alignment * beta[:, None, None] * entropy
    worst = np.linalg.norm(error, axis=(1, 2)) / np.linalg.norm(found, axis=(1, 2))
    return round(float(worst.max()), 9)


def _ascents(solved: FiniteGame, theta: Floats, params: RewardStructureParams) -> dict[str, float]:
    own, points = params.ascent, len(theta)
    decay = geometric_decay(own.step_size_ratio, own.num_updates)
    rule = Adam(np.full(2 * points, own.step_size), normalise=True, decay=decay)
    moved = np.concatenate([theta, theta])
    optimiser = rule.start(moved.shape)
    follows_indirect = np.repeat([1.0, 0.0], points)[:, None]
    for _ in range(own.num_updates):
        truth = _hypergradient(solved, moved)
        moved = rule.step(moved, truth.direct + follows_indirect * truth.indirect, optimiser)
    start, (total, direct) = (
        _hypergradient(solved, each).leader_return.reshape(2, points).mean(axis=1)
        for each in (np.concatenate([theta, theta]), moved)
    )
    return {
        "return_start": float(start[0]),
        "return_total": float(total),
        "return_direct": float(direct),
        "lost_share": float((total - direct) / (total - start[0])),
    }


def _errors(
    solved: FiniteGame, theta: Floats, task: RewardTask, temperature: float
) -> dict[str, float]:
    params = task.params
    seeds = range(task.seed * 10_000, task.seed * 10_000 + len(theta) * params.replicates)
    setting = FiniteCorrectedSetting(
        variant="corrected", temperature=temperature, step_size=1.0, first_seed=0,
        num_seeds=len(seeds), num_updates=2, returns="discounted", random_updates=0,
        actor_steps=1, env_steps_per_update=params.env_steps_per_update, control_variate=True,
    )  # fmt: skip
    estimator = bc_hg(Group([setting] * len(seeds), solved))
    streams, repeated = Streams(list(seeds)), np.repeat(theta, params.replicates, axis=0)
    response = solved.respond(repeated, solved.follower_memory(len(seeds), streams), streams)
    memory = estimator.start(streams)
    for _ in range(setting.num_updates):  # the first batch teaches critic and control variate
        estimate = estimator.estimate(repeated, response, memory, streams)
    exact = solved.hypergradient(repeated, response)
    with_indirect, without = (
        float(np.sqrt(np.square(each - exact.total).sum() / np.square(exact.total).sum()))
        for each in (estimate.gradient, estimate.direct)
    )
    noise, direct_noise = (
        each.reshape(*theta.shape[:1], params.replicates, -1).var(axis=1, ddof=1).sum()
        for each in (estimate.gradient, estimate.direct)
    )
    missed = np.square(exact.indirect).sum() / params.replicates
    transitions = params.env_steps_per_update * (noise - direct_noise) / missed
    horizon = params.games.max_episode_steps
    return {
        "error_bc_hg": with_indirect,
        "error_direct": without,
        "error_saved": without - with_indirect,
        "break_even_log10": float(np.log10(max(transitions, horizon))),
    }
