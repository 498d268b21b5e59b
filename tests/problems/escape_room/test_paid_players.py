"""Paying all players of EscapeRoom for what the leader wants does not tell its gradient."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.perturbed_follower import derivative
from bilevelrl.core.seeding import Streams
from bilevelrl.models.logit_equilibrium.equilibrium import equilibrium
from bilevelrl.models.logit_equilibrium.hypergradient import evaluate
from bilevelrl.problems.escape_room.cell import make_game
from bilevelrl.problems.escape_room.ladder import points
from bilevelrl.runs.params import read_params

Floats = NDArray[np.float64]


def test_the_quotient_is_off_by_more_than_the_gradient_at_every_point_of_the_study() -> None:
    problem = read_params().problem("escape_room")
    study = problem.block.gradients
    theta = np.array(list(points(problem, np.zeros(0)).values()))
    spread = np.full(len(theta), study.spread)
    beta = np.full(len(theta), study.temperature)
    own = make_game(problem.block.constants, study, problem.followers, beta, spread)
    game, payments = own.game, own.payments
    assert (payments.cost, game.leader_discount, game.follower_discount) == (0.0, 1.0, 1.0)
    shape = game.num_players, game.num_states, game.num_actions
    paid = payments.table(theta, shape)

    def moved(epsilon: Floats) -> Floats:
        # Pay is of ε r_L to all; r_L without payments, which cancel here.
        more = replace(game, reward=game.reward + epsilon[0] * game.leader_reward)
        reached = equilibrium(more, paid, own.temperatures, tolerance=1e-11)
        occupancy = evaluate(reached, payments.cost).occupancy
        visits = (occupancy[..., None, None] * reached.policy).sum(axis=1)
        return payments.pulled_back(theta, visits.transpose(0, 2, 1, 3))

    truth = own.hypergradient(theta, own.respond(theta, np.zeros((len(theta), 0)), Streams([0])))
    np.testing.assert_array_equal(truth.direct, 0.0)
    norm = np.linalg.norm(truth.total, axis=1)
    errors = [
        np.linalg.norm(derivative(moved, np.full(len(theta), epsilon)) - truth.total, axis=1) / norm
        for epsilon in (0.01, 0.003)
    ]
    assert (errors[1] > 1.0).all()
    np.testing.assert_allclose(errors[0], errors[1], rtol=0.05)  # no payment is small enough
