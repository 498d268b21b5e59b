"""How long one update of one run takes, everything included: `make bench`.

Prints time per run and update and peak memory against the budget and against the number of runs
(published BC-HG, as the leaders stage computes it, recording included), and the ratio of the
released code's follower solver to ours, paired in one process; of the games, seconds per run; of
building thermal control, milliseconds per run and update on one core.
"""

import argparse
import resource
import statistics
import time

import numpy as np

from bilevelrl.core.cell import Context
from bilevelrl.core.seeding import Streams
from bilevelrl.core.settings import Setting
from bilevelrl.evaluation.conditions import study_of
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration
from bilevelrl.models.tabular.truncated import Truncated
from bilevelrl.problems.four_rooms.problem import FourRooms
from bilevelrl.problems.four_rooms.settings import FourRoomsSetting
from bilevelrl.problems.thermal_control.settings import ThermalSetting
from bilevelrl.runs.chunks import Chunk, Run, train_chunk
from bilevelrl.runs.execution import run_tasks
from bilevelrl.runs.params import Params, read_params
from bilevelrl.runs.records import setting_string


def chunks(
    params: Params, setting: Setting, num_runs: int, problem: str, estimator: str
) -> list[Chunk]:
    """`num_runs` runs of a setting, split evenly over the processes."""
    runs = [Run(setting, seed, "") for seed in range(num_runs)]
    block = params.block(problem)
    context = Context(block.constants, params.problem(problem).followers, block.training)
    return [
        Chunk(
            problem,
            block.kind,
            estimator,
            tuple(runs[job :: params.runtime.jobs]),
            context,
            block.training.max_rows,
        )
        for job in range(min(params.runtime.jobs, num_runs))
    ]


def train(chunk: Chunk) -> int:
    """Train a chunk; peak memory of the process that did it, in KiB."""
    train_chunk(chunk)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def cost(
    params: Params,
    setting: Setting,
    num_runs: int,
    problem: str = "four_rooms",
    estimator: str = "bc_hg",
) -> tuple[float, int]:
    """Wall seconds and peak KiB per worker; a short run first compiles and starts the workers."""
    short = setting.model_copy(update={"num_updates": 2})
    list(run_tasks(train, chunks(params, short, num_runs, problem, estimator), params.runtime))
    started = time.perf_counter()
    done = list(
        run_tasks(train, chunks(params, setting, num_runs, problem, estimator), params.runtime)
    )
    return time.perf_counter() - started, max(peak for _, peak in done)


def per_update_table(params: Params, num_updates: int) -> None:
    """Milliseconds per run and update."""
    published = [
        setting.model_copy(update={"num_updates": num_updates})
        for setting in params.settings("four_rooms", "bc_hg")
        if isinstance(setting, FourRoomsSetting)
        and setting.variant == "published"
        and setting.follower == "exact"
        and setting.initial_spread == params.block("four_rooms").shared()["initial_spread"]
    ]
    print(f"published BC-HG, {num_updates} updates, {params.runtime.jobs} processes")
    print(f"{'budget':>8}{'runs':>6}{'ms per run and update':>24}{'MiB per process':>18}")
    budgets = [(setting, 20) for setting in published]
    for setting, num_runs in budgets + [(published[-1], n) for n in (2, 10, 40)]:
        budget = setting.env_steps_per_update
        wall, peak = cost(params, setting, num_runs)
        each = 1e3 * wall / num_updates / num_runs
        print(f"{budget:>8}{num_runs:>6}{each:>24.4f}{peak / 1024:>18.0f}")


def game_table(params: Params) -> None:
    """Seconds per run of the games' BC-HG cells, as many seeds together as are reported."""
    print(f"{'problem':>16}{'variant':>11}{'runs':>6}{'updates':>9}{'s per run':>11}{'MiB':>6}")
    for problem in ("discrete_toy_r1", "discrete_toy_r2", "bilevel_lqr"):
        shared = params.block(problem).shared()
        for setting in params.settings(problem, "bc_hg"):
            if study_of(setting_string(setting.conditions(shared))) != "main":
                continue
            wall, peak = cost(params, setting, setting.num_seeds, problem)
            print(
                f"{problem:>16}{setting.variant:>11}{setting.num_seeds:>6}{setting.num_updates:>9}"
                f"{wall / setting.num_seeds:>11.2f}{peak / 1024:>6.0f}"
            )


def thermal_table(params: Params, num_updates: int = 60) -> None:
    """Milliseconds per update of one run of building thermal control, on one core."""
    alone = params.model_copy(update={"runtime": params.runtime.model_copy(update={"jobs": 1})})
    print(f"thermal_control, 10 runs together, {num_updates} updates, 1 process")
    print(f"{'estimator':>10}{'variant':>11}{'budget':>8}{'ms per run and update':>24}{'MiB':>6}")
    for estimator in ("bc_hg", "hpgd_mc", "hpgd_td", "naive"):
        for setting in params.settings("thermal_control", estimator):
            assert isinstance(setting, ThermalSetting)
            if setting.study is not None:
                continue
            short = setting.model_copy(update={"num_updates": num_updates})
            wall, peak = cost(alone, short, 10, "thermal_control", estimator)
            print(
                f"{estimator:>10}{setting.variant:>11}{setting.env_steps_per_update or 0:>8}"
                f"{1e3 * wall / num_updates / 10:>24.2f}{peak / 1024:>6.0f}"
            )


def follower_ratio(params: Params, repetitions: int = 20) -> None:
    """The released code's 100 x 5 sweeps from zero against our warm-started solver."""
    problem = FourRooms(slip_kernels="published")
    runs, rng = 20, np.random.default_rng(0)
    beta = np.full(runs, 0.003)
    ours = SoftPolicyIteration(problem.planner, beta, params.followers.tolerance, 200)
    literal = Truncated(problem.planner, beta, np.full(runs, 100), params.followers.sweeps, "zero")
    streams = Streams(range(runs))
    warm, table = ours.start(runs, streams), literal.start(runs, streams)
    theta = rng.normal(size=(runs, problem.num_parameters))
    ratios = []
    for _ in range(repetitions + 1):
        theta = theta + 0.05 * rng.normal(size=theta.shape)
        reward = problem.follower_reward(theta)
        start = time.perf_counter()
        literal.respond(reward, table, streams)
        middle = time.perf_counter()
        ours.respond(reward, warm)
        ratios.append((middle - start) / (time.perf_counter() - middle))
    print(
        f"follower: 100 x 5 sweeps take {statistics.median(ratios[1:]):.1f} times as long as "
        f"soft policy iteration (median of {repetitions} pairs, {runs} runs, one process)"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=4000)
    arguments = parser.parse_args()
    shipped = read_params()
    per_update_table(shipped, arguments.updates)
    game_table(shipped)
    thermal_table(shipped)
    follower_ratio(shipped)
