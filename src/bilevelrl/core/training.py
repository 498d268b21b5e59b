"""The one training loop: gradient ascent on J(θ) for R runs at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.ascent import AscentRule, OptimiserState
from bilevelrl.core.estimator import Estimate, Estimator, Memory
from bilevelrl.core.follower import Response, Response_co
from bilevelrl.core.seeding import Streams


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """What can be said about θ without sampling.

    Attributes:
        hypergradient: exact dJ/dθ at the exact best response, shape (R, D).
        leader_return_optimal: J(θ) under the exact best response, shape (R,).
        follower_kl: mean over states of KL(played policy || best response), shape (R,).
        follower_value_gap: what the follower's soft return, from where episodes start, lacks
            against its optimum, shape (R,).
    """

    hypergradient: Floats
    leader_return_optimal: Floats
    follower_kl: Floats
    follower_value_gap: Floats


class Interaction(Protocol[Response_co]):
    """A leader's first θ and the follower that answers it: all that the ascent needs of a game."""

    def start(self, streams: Streams) -> tuple[Floats, Any]:
        """First θ, shape (R, D), and the follower's memory."""

    def respond(self, theta: Floats, memory: Any, streams: Streams) -> Response_co:
        """What the follower plays against θ; updates `memory` in place."""


class Game(Interaction[Response], Protocol[Response]):
    """A problem with its follower, as the loop sees it that measures how the ascent goes."""

    def leader_return(self, theta: Floats, response: Response) -> Floats:
        """Exact J(θ) under what the follower plays, shape (R,)."""

    def optimal_return(self, theta: Floats) -> Floats:
        """J(θ) under the exact best response, shape (R,), NaN where nobody knows it.

        Does not depend on what was asked before.
        """

    def ground_truth(self, theta: Floats, response: Response) -> GroundTruth:
        """Exact hypergradient and follower errors at θ."""

    def coordinates(self, theta: Floats, response: Response) -> dict[str, Floats]:
        """The few numbers that J depends on, by name, each (R,); none where there are many."""

    def extremes(self, theta: Floats, response: Response) -> dict[str, Floats]:
        """What is looked at in every update, by name, each (R,).

        A row has the largest value of its window, so that "at some update" means any of them.
        """


@dataclass(frozen=True, eq=False)
class Step(Generic[Response]):
    """One update of all runs, 0-based: θ (R, D), the answer to it, the estimate, and the next θ."""

    update: int
    theta: Floats
    response: Response
    estimate: Estimate
    next_theta: Floats


@dataclass(eq=False)
class Progress:
    """What one update hands to the next, beside the random numbers.

    Attributes:
        theta: shape (R, D).
        follower: its memory.
        memory: the estimator's.
        optimiser: the ascent rule's.
        update: number of the next one, from 0.
    """

    theta: Floats
    follower: Any
    memory: Memory
    optimiser: OptimiserState
    update: int = 0

    @classmethod
    def start(
        cls,
        game: Interaction[Response],
        estimator: Estimator[Response],
        streams: Streams,
        rule: AscentRule,
    ) -> "Progress":
        """Before the first update."""
        theta, follower = game.start(streams)
        return cls(theta, follower, estimator.start(streams), rule.start(theta.shape))


def advance(
    progress: Progress,
    game: Interaction[Response],
    estimator: Estimator[Response],
    streams: Streams,
    *,
    rule: AscentRule,
    actor_steps: int = 1,
) -> Step[Response]:
    """One update of all runs; changes `progress`. For the arguments and errors see `ascend`."""
    theta = progress.theta
    response = game.respond(theta, progress.follower, streams)
    estimate = estimator.estimate(theta, response, progress.memory, streams)
    if estimate.proposal is not None:
        next_theta = estimate.proposal
    else:
        next_theta = rule.step(theta, estimate.gradient, progress.optimiser)
    for _ in range(1, actor_steps):
        if estimate.again is None:
            raise ValueError(f"actor_steps = {actor_steps}: {estimator} takes one step a batch")
        next_theta = rule.step(next_theta, estimate.again(next_theta), progress.optimiser)
    step = Step(progress.update, theta, response, estimate, next_theta)
    progress.theta = next_theta
    progress.update += 1
    return step


def ascend(
    game: Interaction[Response],
    estimator: Estimator[Response],
    streams: Streams,
    *,
    rule: AscentRule,
    num_updates: int,
    actor_steps: int = 1,
) -> Iterator[Step[Response]]:
    """Climb J(θ), one `Step` at a time.

    A generator, so that the caller decides what to measure; measuring draws no random numbers and
    therefore cannot change what follows.

    Args:
        game: the problem and its follower.
        estimator: of the hypergradient.
        streams: random numbers of the runs.
        rule: what one estimate does to θ.
        num_updates: answers of the follower, and batches.
        actor_steps: steps per update; all but the first estimate from the same samples again, at
            the θ that the step before led to.

    Raises:
        ValueError: if `actor_steps` > 1 and the estimator cannot repeat an estimate.
    """
    progress = Progress.start(game, estimator, streams, rule)
    for _ in range(num_updates):
        yield advance(progress, game, estimator, streams, rule=rule, actor_steps=actor_steps)


@dataclass(frozen=True, eq=False)
class Trained:
    """Curves and result of R runs.

    Attributes:
        curves: column name to values, shape (R, rows); see `runs.records.CURVE_COLUMNS`.
        coordinates: name to values in the same rows, shape (R, rows); see `Game.coordinates`,
            `Estimate.measured`, and `Game.extremes`, of which a row has the largest value since the
            row before.
        theta: leader parameters after the last update, shape (R, D): the next ones, or those that
            the leader recommends.
    """

    curves: dict[str, Floats]
    coordinates: dict[str, Floats]
    theta: Floats


def recorded_updates(num_updates: int, max_rows: int) -> range:
    """The updates that close a window; the windows tile all updates if `max_rows` divides them."""
    interval = -(-num_updates // max_rows)
    return range(interval - 1, num_updates, interval)


def train(
    game: Game[Response],
    estimator: Estimator[Response],
    streams: Streams,
    *,
    rule: AscentRule,
    num_updates: int,
    max_rows: int,
    actor_steps: int = 1,
    exact_interval: int = 1,
) -> Trained:
    """Run `ascend` and record it.

    J and what the game says by `extremes` are evaluated at every update, the rest when a window
    closes; of these only every `exact_interval`-th has the ground truth, which may be dear, and the
    others NaN. `leader_return` is J where the leader is, `played_return` J as it was played:
    they differ for leaders that recommend another θ than they play.
    """
    closing = recorded_updates(num_updates, max_rows)
    rows: list[dict[str, Floats]] = []
    places: list[dict[str, Floats]] = []
    sums = np.zeros((2, len(streams.seeds)))
    largest: dict[str, Floats] = {}
    env_steps = oracle_steps = follower_steps = 0
    recommended: Floats | None = None  # by the last estimate, after `env_steps` transitions
    for step in ascend(
        game, estimator, streams, rule=rule, num_updates=num_updates, actor_steps=actor_steps
    ):
        played = game.leader_return(step.theta, step.response)
        if step.estimate.recommended is None:
            leader_return = played
        else:  # before the first recommendation the leader is where it starts
            known = step.theta if recommended is None else recommended
            leader_return = game.optimal_return(known)
        sums += [leader_return, played]
        for name, values in game.extremes(step.theta, step.response).items():
            largest[name] = np.maximum(largest[name], values) if name in largest else values
        follower_steps += step.response.steps
        if step.update in closing:
            counts = {"update": step.update, "env_steps": env_steps,
                      "oracle_steps": oracle_steps, "follower_steps": follower_steps}  # fmt: skip
            row = {name: np.full(len(played), float(count)) for name, count in counts.items()}
            row |= {"leader_return": leader_return, "played_return": played}
            means = sums / closing.step
            row |= {"leader_return_mean": means[0], "played_return_mean": means[1]}
            exact = (len(rows) + 1) % exact_interval == 0
            row |= _measure(game, step, exact=exact)
            if step.estimate.recommended is not None:
                row["leader_return_optimal"] = leader_return
            rows.append(row)
            told = game.coordinates(step.theta, step.response) | step.estimate.measured
            places.append(told | largest)
            sums, largest = np.zeros_like(sums), {}
        env_steps += step.estimate.env_steps
        oracle_steps += step.estimate.oracle_steps
        recommended = step.estimate.recommended
    last = step.next_theta if recommended is None else recommended
    return Trained(_stacked(rows), _stacked(places), last)


def _stacked(rows: list[dict[str, Floats]]) -> dict[str, Floats]:
    return {name: np.stack([row[name] for row in rows], axis=1) for name in rows[0]}


def _measure(game: Game[Response], step: Step[Response], *, exact: bool) -> dict[str, Floats]:
    if exact:
        truth = game.ground_truth(step.theta, step.response)
    else:
        unknown = np.full(len(step.theta), np.nan)
        truth = GroundTruth(np.full_like(step.theta, np.nan), unknown, unknown, unknown)
    gradient = step.estimate.gradient
    norm = np.sqrt(np.square(gradient).sum(axis=1))
    exact_norm = np.sqrt(np.square(truth.hypergradient).sum(axis=1))
    scale = np.maximum(norm * exact_norm, np.finfo(np.float64).tiny)
    return {
        "leader_return_sampled": step.estimate.leader_return_sampled,
        "leader_return_optimal": truth.leader_return_optimal,
        "gradient_norm": norm,
        "direct_norm": np.sqrt(np.square(step.estimate.direct).sum(axis=1)),
        "indirect_norm": np.sqrt(np.square(step.estimate.indirect).sum(axis=1)),
        "cosine": (gradient * truth.hypergradient).sum(axis=1) / scale,
        "follower_accuracy": step.response.accuracy.copy(),
        "follower_kl": truth.follower_kl,
        "follower_value_gap": truth.follower_value_gap,
    }
