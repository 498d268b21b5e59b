"""Small stochastic games with random numbers, and a leader that pays for the first action."""

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.models.logit_equilibrium.equilibrium import Equilibrium, equilibrium
from bilevelrl.models.logit_equilibrium.payments import Payments
from bilevelrl.models.logit_equilibrium.stochastic_game import StochasticGame


def random_game(
    players: int, actions: int, *, states: int = 4, steps: int = 3, seed: int = 0
) -> StochasticGame:
    """Episodes end at random; discounts differ."""
    draw, joint = np.random.default_rng(seed), actions**players
    transition = draw.dirichlet(np.ones(states), size=(states, joint))
    transition *= draw.uniform(0.6, 1.0, size=(states, joint, 1))
    reward = draw.normal(size=(players, states, joint))
    leader_reward = draw.normal(size=(states, joint))
    initial = np.full(states, 1.0 / states)
    return StochasticGame(
        transition, reward, leader_reward, initial, actions, steps, leader_discount=0.95,
        follower_discount=0.9,
    )  # fmt: skip


def first_action_payments(game: StochasticGame, cost: float = 0.3) -> Payments:
    """Payments in every state."""
    places = np.arange(game.num_players * game.num_states)
    player, state = np.divmod(places, game.num_states)
    return Payments(player, state, np.zeros_like(player), 2.0, cost)


def random_theta(payments: Payments, runs: int, seed: int = 1) -> Floats:
    """θ of so many runs."""
    return np.random.default_rng(seed).normal(size=(runs, payments.num_parameters))


def solved(
    game: StochasticGame, payments: Payments, theta: Floats, temperature: Floats | float
) -> Equilibrium:
    """The equilibrium under θ; a number is every player's β."""
    shape = game.num_players, game.num_states, game.num_actions
    beta = np.broadcast_to(temperature, (len(theta), game.num_players)).copy()
    return equilibrium(game, payments.table(theta, shape), beta)


def matrix_game(first: Floats, second: Floats, leader: Floats) -> StochasticGame:
    """Two players who meet once; rewards by both actions, shape (A, A)."""
    joint = first.size
    return StochasticGame(
        np.zeros((1, joint, 1)), np.stack([first.reshape(1, -1), second.reshape(1, -1)]),
        leader.reshape(1, -1), np.ones(1), len(first), 1,
    )  # fmt: skip
