"""How fast followers learn the best response to a leader that does not move."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bilevelrl.core.arrays import Floats
from bilevelrl.core.seeding import Streams


@dataclass(frozen=True, eq=False)
class Solved:
    """A best response at the initial θ.

    Attributes:
        arrays: what describes it, by name.
        found: `accuracy`, `iterations` and `start_value`.
        convergence: columns solver, iteration, accuracy, kl.
    """

    arrays: dict[str, Floats]
    found: dict[str, float]
    convergence: pd.DataFrame


def in_one_go(iterations: int, accuracy: float) -> pd.DataFrame:
    """`Solved.convergence` of a solver that doubles until it has arrived."""
    row = ("doubling", iterations, accuracy, 0.0)
    return pd.DataFrame([row], columns=["solver", "iteration", "accuracy", "kl"])


@dataclass(frozen=True, eq=False)
class Learned:
    """Learning curves, and what was learned in the end.

    Attributes:
        curves: columns `runs.records.LEARNING_COLUMNS` but for problem, variant and temperature.
        policy: after the last checkpoint, as arrays; of tables the seeds are the first axis, and
            networks are named after theirs.
    """

    curves: pd.DataFrame
    policy: Mapping[str, Floats | NDArray[np.float32]]


class Played(Protocol):
    """What a tabular follower answers; read-only."""

    @property
    def policy(self) -> Floats:
        """Of each run, R the first axis."""


@dataclass(frozen=True, eq=False)
class TabularLearner:
    """A tabular follower that learns, and how far its policy is from the `best` response.

    Attributes:
        learn: so many transitions, from a memory that it changes.
        kl: of a policy from the best response, where episodes go.
    """

    learn: Callable[[int, Floats, Streams], Played]
    soft_return: Callable[[Floats], Floats]
    kl: Callable[[Floats], Floats]
    best: Floats


def follow(
    case: TabularLearner, memory: Floats, seeds: Sequence[int], checkpoints: Sequence[int]
) -> Learned:
    """Learning curves of one follower per seed, with a memory (R, ...) that they all change.

    `checkpoints` are transitions, increasing.
    """
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


def divergence(policy: Floats, best: Floats) -> Floats:
    """KL(policy || best) of every state, over the last axis."""
    played = np.where(policy > 0.0, policy, 1.0)
    ratio: Floats = (policy * (np.log(played) - np.log(best))).sum(axis=-1)
    return ratio
