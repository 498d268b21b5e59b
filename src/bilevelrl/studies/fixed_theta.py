"""Replicated estimates at one θ: what both studies of estimators have in common."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.entries import registered
from bilevelrl.core.ladder import Change
from bilevelrl.core.problem import AnyProblem, RunTasks
from bilevelrl.core.seeding import Streams
from bilevelrl.core.validation import Content
from bilevelrl.problems import registry


@dataclass(frozen=True, eq=False)
class Replication:
    """Independent estimates of one estimator at the θ called `point`, shape (D,), one per seed.

    Attributes:
        problem: whose module `ladder` builds the game.
        entry: hyper-parameters that the problem's cells do not share.
        batches: that the estimator sees; the last one's estimate counts.
    """

    problem: AnyProblem
    point: str
    theta: Floats
    estimator: str
    entry: Content
    change: Change
    batches: int
    seeds: range


@dataclass(frozen=True, eq=False)
class Replicates:
    """What a `Replication` found: both parts of every estimate and of dJ/dθ, shape (n, D).

    Estimates of this estimator are multiplied by `scale` to estimate dJ/dθ.
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


def shared_entry(
    problem: AnyProblem, estimator: str, variant: str, budget: int, own: Content
) -> Content:
    """What a whole study gives to an estimator, `own` included, of that which it has.

    An estimate is made from `budget` transitions; 0 where it takes none.
    """
    ladder = registry.part(problem.block.kind, "ladder")
    shared = {"temperature": problem.block.gradients.temperature, "step_size": 1.0}
    shared |= ladder.shared(problem, budget) if hasattr(ladder, "shared") else {}
    shared |= {"env_steps_per_update": budget} if budget else {}
    known = registered(problem.block.estimators, estimator, variant, "gradients")
    return {key: value for key, value in (shared | own).items() if known.has(key)}


def replicate(task: Replication) -> Replicates:
    """Estimates from the seeds of the task, and the exact hypergradient beside each."""
    block = task.problem.block
    ladder = registry.part(block.kind, "ladder")
    entry = {**task.entry, "first_seed": task.seeds.start, "num_seeds": len(task.seeds)}
    (setting,) = block.expanded(task.estimator, entry, "gradients")
    group = ladder.group(task.problem, [setting] * len(task.seeds))
    game = group.game
    known = registered(block.estimators, task.estimator, setting.variant, "gradients")
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
    """The replicates of every task, in order, computed in batches of so many `together`."""
    parts = [
        replace(task, seeds=task.seeds[start : start + together])
        for task in tasks
        for start in range(0, len(task.seeds), together)
    ]
    done = dict(run_tasks(replicate, parts, description=description))
    ordered = (done[place] for place in range(len(parts)))
    for task in tasks:
        found = list(itertools.islice(ordered, -(-len(task.seeds) // together)))
        direct, indirect, exact_direct, exact_indirect = (
            np.concatenate([getattr(each, name) for each in found])
            for name in ("direct", "indirect", "exact_direct", "exact_indirect")
        )
        yield Replicates(direct, indirect, exact_direct, exact_indirect, found[0].scale)
