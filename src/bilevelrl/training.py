"""The one training loop: gradient ascent on J(θ) for R runs at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bilevelrl.estimators.protocol import Estimate, Estimator
from bilevelrl.followers.protocol import BestResponse
from bilevelrl.seeding import Streams

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """What can be said about θ without sampling.

    Attributes:
        hypergradient: exact dJ/dθ at the exact best response, shape (R, D).
        leader_return_optimal: J(θ) under the exact best response, shape (R,).
        follower_kl: mean over states of KL(played policy || best response), shape (R,).
    """

    hypergradient: Floats
    leader_return_optimal: Floats
    follower_kl: Floats


class Game(Protocol):
    """A problem with its follower, as the loop sees it."""

    def start(self, streams: Streams) -> tuple[Floats, Floats]:
        """First θ, shape (R, D), and the follower's memory."""
        ...

    def respond(self, theta: Floats, memory: Floats, streams: Streams) -> BestResponse:
        """What the follower plays against θ; updates `memory` in place."""
        ...

    def leader_return(self, theta: Floats, response: BestResponse) -> Floats:
        """Exact J(θ) under what the follower plays, shape (R,)."""
        ...

    def ground_truth(self, theta: Floats, response: BestResponse) -> GroundTruth:
        """Exact hypergradient and follower errors at θ."""
        ...


@dataclass(frozen=True, eq=False)
class Step:
    """One update of all runs.

    Attributes:
        update: 0-based.
        theta: before the step, shape (R, D).
        response: the follower's answer to it.
        estimate: the hypergradient estimated from it.
        next_theta: after the step, shape (R, D).
    """

    update: int
    theta: Floats
    response: BestResponse
    estimate: Estimate
    next_theta: Floats


def clipped(gradient: Floats, max_norm: float) -> Floats:
    """Scale each row down to at most `max_norm`."""
    norm = np.sqrt(np.square(gradient).sum(axis=1, keepdims=True))
    rescaled: Floats = gradient * (max_norm / np.maximum(norm, max_norm))
    return rescaled


def ascend(
    game: Game,
    estimator: Estimator,
    streams: Streams,
    *,
    step_size: Floats,
    num_updates: int,
    max_gradient_norm: float,
) -> Iterator[Step]:
    """Climb J(θ), one `Step` at a time, by θ ← θ + η g min(1, max_norm / |g|).

    A generator, so that the caller decides what to measure; measuring draws no random numbers and
    therefore cannot change what follows.

    Args:
        game: the problem and its follower.
        estimator: of the hypergradient.
        streams: random numbers of the runs.
        step_size: η of each run, shape (R,).
        num_updates: steps to take.
        max_gradient_norm: clip of the gradient's Euclidean norm.
    """
    theta, follower = game.start(streams)
    memory = estimator.start(streams)
    for update in range(num_updates):
        response = game.respond(theta, follower, streams)
        estimate = estimator.estimate(theta, response, memory, streams)
        step = step_size[:, None] * clipped(estimate.gradient, max_gradient_norm)
        next_theta = theta + step
        yield Step(update, theta, response, estimate, next_theta)
        theta = next_theta


@dataclass(frozen=True, eq=False)
class Trained:
    """Curves and result of R runs.

    Attributes:
        curves: column name to values, shape (R, rows); see `records.CURVE_COLUMNS`.
        theta: leader parameters after the last update, shape (R, D).
    """

    curves: dict[str, Floats]
    theta: Floats


def recorded_updates(num_updates: int, max_rows: int) -> range:
    """The updates that close a window; the windows tile all updates if `max_rows` divides them."""
    interval = -(-num_updates // max_rows)
    return range(interval - 1, num_updates, interval)


def train(
    game: Game,
    estimator: Estimator,
    streams: Streams,
    *,
    step_size: Floats,
    num_updates: int,
    max_gradient_norm: float,
    max_rows: int,
) -> Trained:
    """Run `ascend` and record it; J is evaluated at every update, the rest when a window closes."""
    closing = recorded_updates(num_updates, max_rows)
    rows: list[dict[str, Floats]] = []
    window = np.zeros(len(step_size))
    env_steps = oracle_steps = 0
    for step in ascend(
        game,
        estimator,
        streams,
        step_size=step_size,
        num_updates=num_updates,
        max_gradient_norm=max_gradient_norm,
    ):
        leader_return = game.leader_return(step.theta, step.response)
        window += leader_return
        if step.update in closing:
            rows.append(
                {
                    "update": np.full(len(window), float(step.update)),
                    "env_steps": np.full(len(window), float(env_steps)),
                    "oracle_steps": np.full(len(window), float(oracle_steps)),
                    "leader_return": leader_return,
                    "leader_return_mean": window / closing.step,
                    **_measure(game, step),
                }
            )
            window = np.zeros(len(step_size))
        env_steps += step.estimate.env_steps
        oracle_steps += step.estimate.oracle_steps
    curves = {name: np.stack([row[name] for row in rows], axis=1) for name in rows[0]}
    return Trained(curves, step.next_theta)


def _measure(game: Game, step: Step) -> dict[str, Floats]:
    truth = game.ground_truth(step.theta, step.response)
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
    }
