"""Replicated estimates at one θ: what both studies of estimators have in common."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.entries import registered
from bilevelrl.core.problem import Problem, RunTasks
from bilevelrl.core.seeding import Streams
from bilevelrl.core.settings import Setting
from bilevelrl.problems import registry


@dataclass(frozen=True, eq=False)
class Replication:
    """Independent estimates of one estimator at one θ, one per seed.

    Attributes:
        problem: whose module `ladder` builds the game.
        point: name of θ.
        theta: shape (D,).
        estimator: name in params.yaml.
        entry: hyper-parameters that the problem's cells do not share.
        change: turns the estimator that is built, given it and the game, into the one asked for.
        batches: that the estimator sees; the last one's estimate counts.
        seeds: one per replicate.
    """

    problem: Problem[Any]
    point: str
    theta: Floats
    estimator: str
    entry: Mapping[str, Any]
    change: Callable[[Any, Any], Any]
    batches: int
    seeds: range


@dataclass(frozen=True, eq=False)
class Replicates:
    """What a `Replication` found.

    Attributes:
        direct: part of every estimate, shape (n, D).
        indirect: the other part, likewise.
        exact_direct: part of dJ/dθ, shape (n, D).
        exact_indirect: the other part, likewise.
        scale: what estimates of this estimator are multiplied by to estimate dJ/dθ.
    """

    direct: Floats
    indirect: Floats
    exact_direct: Floats
    exact_indirect: Floats
    scale: float

    @property
    def estimates(self) -> Floats:
        """Of dJ/dθ, shape (n, D)."""
        return self.scale * (self.direct + self.indirect)

    @property
    def exact(self) -> Floats:
        """The exact dJ/dθ beside each, shape (n, D)."""
        return self.exact_direct + self.exact_indirect


def settings_of(task: Replication) -> list[Setting]:
    """One setting per replicate."""
    block = task.problem.block
    entry = {**task.entry, "first_seed": task.seeds.start, "num_seeds": len(task.seeds)}
    (setting,) = block.expanded(task.estimator, entry, "gradients")
    return [setting] * len(task.seeds)


def allowed(
    problem: Problem[Any], estimator: str, variant: str, entry: Mapping[str, Any]
) -> dict[str, Any]:
    """The hyper-parameters that an estimator has, of those that a whole study shares."""
    own = registered(problem.block.estimators, estimator, variant, "gradients")
    return {key: value for key, value in entry.items() if own.has(key)}


def shared_by(problem: Problem[Any], budget: int) -> dict[str, Any]:
    """What a problem's ladder gives to all its rungs, as far as they have it."""
    ladder = registry.part(problem.block.kind, "ladder")
    found: dict[str, Any] = ladder.shared(problem, budget) if hasattr(ladder, "shared") else {}
    return found


def replicate(task: Replication) -> Replicates:
    """Estimates from the seeds of the task, and the exact hypergradient beside each."""
    ladder = registry.part(task.problem.block.kind, "ladder")
    settings = settings_of(task)
    group = ladder.group(task.problem, settings)
    block, game = task.problem.block, group.game
    known = registered(block.estimators, task.estimator, settings[0].variant, "gradients")
    estimator = task.change(registry.function(block.kind, known.maker)(group), game)
    streams = Streams(list(task.seeds))
    theta = np.tile(task.theta, (len(task.seeds), 1))
    answer = game.respond(theta, game.follower_memory(len(theta), streams), streams)
    memory = estimator.start(streams)
    for _ in range(task.batches):
        estimate = estimator.estimate(theta, answer, memory, streams)
    exact = game.hypergradient(theta, answer)
    scale = getattr(getattr(estimator, "learner", None), "scale", 1.0)
    return Replicates(estimate.direct, estimate.indirect, exact.direct, exact.indirect, scale)


def replicate_all(
    tasks: Sequence[Replication], run_tasks: RunTasks, together: int, description: str
) -> Iterator[Replicates]:
    """The replicates of every task, in order, computed in parts.

    Args:
        tasks: what is asked.
        run_tasks: on which processes.
        together: replicates of a worker's batch.
        description: left of the progress bar.
    """
    parts = [_parts(task, together) for task in tasks]
    flat = [part for own in parts for part in own]
    done = dict(run_tasks(replicate, flat, description=description))
    place = 0
    for own in parts:
        found = [done[place + number] for number in range(len(own))]
        place += len(own)
        yield Replicates(
            np.concatenate([each.direct for each in found]),
            np.concatenate([each.indirect for each in found]),
            np.concatenate([each.exact_direct for each in found]),
            np.concatenate([each.exact_indirect for each in found]),
            found[0].scale,
        )


def _parts(task: Replication, together: int) -> list[Replication]:
    seeds = task.seeds
    starts = range(0, len(seeds), together)
    return [replace(task, seeds=seeds[start : start + together]) for start in starts]
