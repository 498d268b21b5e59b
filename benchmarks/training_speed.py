"""How long one update of one run takes, everything included: `make bench`.

Prints a table per problem: milliseconds of ours (as the leaders stage computes it, recording
included, without compilation), of a peer where one can be measured in the same process, their
ratio, and what the peer is. `make bench QUICK=1` measures one row per problem and its peer, in a
minute. Standard error says what is measured now and about how long is left.
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

import numba

from benchmarks import peers
from bilevelrl.core.cell import Context
from bilevelrl.core.settings import Setting
from bilevelrl.evaluation.conditions import study_named
from bilevelrl.models.deep.settings import SacParams
from bilevelrl.problems.guided_cartpole.settings import GuidedCartPoleSetting
from bilevelrl.runs.chunks import Chunk, Run, train_chunk
from bilevelrl.runs.execution import run_tasks
from bilevelrl.runs.params import Params, read_params

UNKNOWN = "no time of another implementation is known"


@dataclass(frozen=True)
class Row:
    """Milliseconds per run and update (or per `unit`) of ours and of a peer, if there is one."""

    what: str
    ours: float
    mib: float | None = None
    peer: float | None = None
    source: str = ""
    unit: str = "run and update"


@dataclass(frozen=True)
class Job:
    """What is measured together: what it is called, how, and its share of the time."""

    problem: str
    name: str
    measure: Callable[[], Row]
    weight: int = 1


@dataclass(frozen=True)
class Bench:
    """Params with the processes used, and about how long a measurement may take, in seconds."""

    params: Params
    seconds: float

    def train(self, problem: str, estimator: str, setting: Setting, runs: int) -> tuple[float, int]:
        """Wall seconds of so many runs together, and peak KiB of a worker."""
        start = time.perf_counter()
        chunks = _chunks(self.params, problem, estimator, setting, runs)
        peak = max(peak for _, peak in run_tasks(_train, chunks, self.params.runtime))
        return time.perf_counter() - start, peak

    def row(
        self, problem: str, estimator: str, setting: Setting, runs: int, most: int = 10**9
    ) -> Row:
        """Milliseconds per run and update, between a short and a longer training."""

        def wall(num_updates: int) -> tuple[float, int]:
            short = setting.model_copy(update={"num_updates": num_updates})
            return self.train(problem, estimator, short, runs)

        few = 2
        wall(few)  # compiles, and starts the workers
        start, peak = wall(few)
        many = 2 * few
        while True:
            if many < most:
                wall(many)  # compiles what only later updates call
            long, peak = wall(many)
            enough = many >= min(most, setting.num_updates) or long >= self.seconds / 2
            if enough and long > start:
                break
            many *= 4
        each = 1e3 * (long - start) / (many - few) / runs
        budget = getattr(setting, "env_steps_per_update", None)
        steps = "" if budget is None else f", {budget:,} transitions"
        return Row(f"{estimator} {setting.variant}{steps}, {runs} runs", each, peak / 1024)


def _chunks(
    params: Params, problem: str, estimator: str, setting: Setting, runs: int
) -> list[Chunk]:
    """Runs of a setting, split evenly over the processes."""
    block, jobs = params.block(problem), min(params.runtime.jobs, runs)
    every = [Run(setting, seed, "") for seed in range(runs)]
    context = Context(block.constants, params.problem(problem).followers, block.training)
    rows = block.training.max_rows
    return [
        Chunk(problem, block.kind, estimator, tuple(every[job::jobs]), context, rows)
        for job in range(jobs)
    ]


def _train(chunk: Chunk) -> int:
    """Train a chunk; peak memory of the process that did it, in KiB."""
    train_chunk(chunk)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _main_settings(params: Params, problem: str, estimator: str) -> list[Setting]:
    shared = params.block(problem).shared()
    return [
        setting
        for setting in params.settings(problem, estimator)
        if study_named(setting.conditions(shared), setting.roles) == "main"
    ]


def four_rooms(bench: Bench, quick: bool) -> list[Job]:
    """Published BC-HG against the budget and the number of runs; the best response."""
    published = [
        setting
        for setting in _main_settings(bench.params, "four_rooms", "bc_hg")
        if setting.variant == "published"
    ]
    asked = [(setting, 20) for setting in published] + [(published[-1], n) for n in (2, 10, 40)]

    def follower() -> Row:
        ours, peer = peers.released_sweeps(bench.params, 5 if quick else 20)
        source = "released solver, 100 x 5 sweeps; both in one process"
        return Row("best response of 20 runs", ours, None, peer, source, "run")

    jobs = _training_jobs(bench, "four_rooms", "bc_hg", asked[3:4] if quick else asked)
    return [*jobs, Job("four_rooms", "best response", follower)]


def games(bench: Bench, quick: bool) -> list[Job]:
    """BC-HG in the toys and the LQR, as many seeds together as are reported."""
    jobs = []
    for problem in ("discrete_toy_r1", "discrete_toy_r2", "bilevel_lqr"):
        settings = _main_settings(bench.params, problem, "bc_hg")
        asked = [(setting, setting.num_seeds) for setting in settings]
        jobs += _training_jobs(bench, problem, "bc_hg", asked[:1] if quick else asked)
    return jobs


def thermal(bench: Bench, quick: bool) -> list[Job]:
    """Every estimator with quadratic critics, ten runs; the released networks."""
    jobs = []
    for estimator in ("bc_hg",) if quick else ("bc_hg", "hpgd_mc", "hpgd_td", "naive"):
        settings = _main_settings(bench.params, "thermal_control", estimator)
        asked = [(setting, 10) for setting in settings]
        jobs += _training_jobs(
            bench, "thermal_control", estimator, asked[:1] if quick else asked, most=60
        )

    def networks() -> Row:
        (setting, *_) = _main_settings(bench.params, "thermal_control", "bc_hg")

        def milliseconds(of: Setting) -> float:
            return bench.row("thermal_control", "bc_hg", of, 1, most=4).ours

        ours, peer = milliseconds(setting), peers.released_networks(setting, milliseconds)
        source = f"released networks in NumPy, {peers.RELEASED_ADAM_STEPS:,} Adam steps, from 25"
        return Row("bc_hg published, 1 run", ours, None, peer, source)

    return [*jobs, Job("thermal_control", "released networks", networks, weight=3)]


def cartpole(bench: Bench, quick: bool) -> list[Job]:
    """BC-HG against a follower that is Stable-Baselines3's SAC."""
    del quick
    (setting,) = _main_settings(bench.params, "guided_cartpole", "bc_hg")
    assert isinstance(setting, GuidedCartPoleSetting)
    learner = bench.params.block("guided_cartpole").learner
    assert isinstance(learner, SacParams)
    follower = setting.follower.model_copy(update={"first_steps": 1000})
    setting = setting.model_copy(update={"follower": follower})

    def whole() -> Row:
        row = bench.row("guided_cartpole", "bc_hg", setting, 1, most=4)
        peer = peers.stable_baselines(learner, setting.temperature)
        source = "Stable-Baselines3's SAC alone, same options, Pendulum-v1"
        ours = row.ours / follower.steps
        return Row("bc_hg improved", ours, row.mib, peer, source, "follower's transition")

    return [Job("guided_cartpole", "bc_hg improved, and SAC alone", whole, weight=12)]


def _training_jobs(
    bench: Bench, problem: str, estimator: str, asked: list[tuple[Setting, int]], most: int = 10**9
) -> list[Job]:
    def job(setting: Setting, runs: int) -> Job:
        budget = getattr(setting, "env_steps_per_update", "")
        name = f"{estimator} {setting.variant} {budget}, {runs} runs"
        return Job(problem, name, lambda: bench.row(problem, estimator, setting, runs, most))

    return [job(setting, runs) for setting, runs in asked]


def measured(jobs: list[Job]) -> list[tuple[str, Row]]:
    """All rows, in the order of the jobs; says on standard error how far it is."""
    begin, found = time.perf_counter(), []
    for number, job in enumerate(jobs):
        gone = time.perf_counter() - begin
        done, waiting = (sum(one.weight for one in part) for part in (jobs[:number], jobs[number:]))
        left = f", about {gone / done * waiting:.0f} s left" if done else ""
        place = f"[{number + 1}/{len(jobs)}, {gone:.0f} s{left}]"
        print(f"{place} {job.problem}: {job.name}", file=sys.stderr, flush=True)
        found.append((job.problem, job.measure()))
    print(f"{time.perf_counter() - begin:.0f} s in all", file=sys.stderr)
    return found


def show(rows: list[tuple[str, Row]]) -> None:
    """A table per problem."""
    for problem, group in groupby(rows, key=lambda pair: pair[0]):
        print(
            f"\n{problem}\n{'ms of':47}{'ours':>10}{'peer':>10}{'peer/ours':>11}{'MiB':>6}  peer is"
        )
        for _, row in group:
            what = f"{row.what}" if row.unit == "run and update" else f"{row.what}, per {row.unit}"
            peer = "-" if row.peer is None else f"{row.peer:.4g}"
            ratio = "-" if row.peer is None else f"{row.peer / row.ours:.3g}"
            memory = "" if row.mib is None else f"{row.mib:.0f}"
            source = row.source or UNKNOWN
            print(f"{what:47}{row.ours:>10.4g}{peer:>10}{ratio:>11}{memory:>6}  {source}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one row per problem, in one process")
    quick = parser.parse_args().quick
    params = read_params()
    one = params.model_copy(update={"runtime": params.runtime.model_copy(update={"jobs": 1})})
    alone, several = Bench(one, 1.0 if quick else 10.0), Bench(params, 10.0)
    jobs = [
        *four_rooms(alone if quick else several, quick),
        *games(alone if quick else several, quick),
        *thermal(alone, quick),
        *cartpole(alone, quick),
    ]
    processes = 1 if quick else params.runtime.jobs
    numba.set_num_threads(1)  # as tasks have it, also where a peer is measured beside them
    found = measured(jobs)
    print(f"ms per run and update; four_rooms and games: {processes} process(es), the rest: one")
    show(found)


if __name__ == "__main__":
    main()
