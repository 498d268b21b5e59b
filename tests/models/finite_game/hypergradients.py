"""The hypergradient of a random game, for tests."""

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.follower import BestResponse
from bilevelrl.models.finite_game.exact import GameHypergradient, Influence, game_hypergradient
from bilevelrl.models.finite_game.markov_game import MarkovGame
from bilevelrl.models.finite_game.soft_q_iteration import Order, SoftQIteration
from tests.games import random_game, random_policies

Floats = NDArray[np.float64]


GAME = random_game()


LEADER = random_policies(3, 4, 3)


BETA = np.array([0.1, 0.4, 2.0])


#: Discount of J and steps per episode.
HORIZONS = [(0.95, None), (0.95, 20), (1.0, 6)]


def best_response(
    game: MarkovGame, leader: Floats, temperature: Floats, order: Order
) -> BestResponse:
    follower = SoftQIteration(game, temperature, 1e-10, 60, order)
    return follower.respond(leader, follower.start(len(leader)))


def hypergradient(
    order: Order, discount: float, horizon: int | None, influence: Influence = "infinite"
) -> GameHypergradient:
    """That of the random game."""
    response = best_response(GAME, LEADER, BETA, order)
    return game_hypergradient(
        GAME, LEADER, response, BETA,
        discount=discount, horizon=horizon, order=order, influence=influence,
    )  # fmt: skip
