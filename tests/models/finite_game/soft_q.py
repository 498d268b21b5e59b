"""Soft Q iteration written out, and followers of a random game, for tests."""

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.follower import BestResponse
from bilevelrl.models.finite_game.markov_game import MarkovGame
from bilevelrl.models.finite_game.soft_q_iteration import (
    Order,
    SoftQIteration,
    Start,
    TruncatedSoftQ,
)
from tests.games import random_game, random_policies

Floats = NDArray[np.float64]


GAME = random_game()


LEADER = random_policies(3, 4, 3)


BETA = np.array([0.05, 0.4, 2.0])


ORDERS: list[Order] = ["correct", "published"]


def best_response(order: Order, leader: Floats = LEADER, game: MarkovGame = GAME) -> BestResponse:
    follower = SoftQIteration(game, np.resize(BETA, len(leader)), 1e-11, 60, order)
    return follower.respond(leader, follower.start(len(leader)))


def soft_max(x: Floats, beta: float) -> Floats:
    return beta * np.logaddexp.reduce(x / beta, axis=-1)


def sweep(table: Floats, leader: Floats, beta: float, order: Order) -> Floats:
    """One synchronous sweep of soft Q iteration, one run."""
    if order == "correct":
        value = (leader * soft_max(table, beta)).sum(axis=1)
    else:
        value = soft_max((leader[:, :, None] * table).sum(axis=1), beta)
    return GAME.follower_reward + GAME.follower_discount * GAME.transition @ value


def iterate(table: Floats, leader: Floats, beta: float, order: Order, times: int) -> Floats:
    for _ in range(times):
        table = sweep(table, leader, beta, order)
    return table


def truncated(sweeps: list[int], start_from: Start, order: Order = "correct") -> TruncatedSoftQ:
    return TruncatedSoftQ(GAME, BETA, np.array(sweeps), start_from, order)
