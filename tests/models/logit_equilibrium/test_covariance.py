import numpy as np
import pytest

from bilevelrl.core.seeding import Streams
from bilevelrl.models.logit_equilibrium.covariance import weights
from bilevelrl.models.logit_equilibrium.episodes import play
from bilevelrl.models.logit_equilibrium.hypergradient import evaluate, hypergradient
from tests.models.logit_equilibrium.random_games import (
    first_action_payments,
    random_game,
    random_theta,
    solved,
)


def _estimates(game, theta, payments, *, runs, episodes, coupled, largest=10.0, beta=0.5):
    reached = solved(game, payments, np.repeat(theta, runs, axis=0), beta)
    batch = play(reached, episodes, Streams(range(runs)))
    found = weights(
        game.sizes, batch, batch.leader_reward, reached.temperature, coupled=coupled,
        largest=largest,
    )  # fmt: skip
    return payments.pulled_back(np.repeat(theta, runs, axis=0), found), reached


@pytest.fixture(scope="module")
def setting():
    game = random_game(2, 3, states=3)
    payments = first_action_payments(game, cost=0.0)
    return game, random_theta(payments, 1), payments


@pytest.mark.parametrize("reaction", ["coupled", "uncoupled"])
def test_errors_fall_with_the_root_of_the_episodes(setting, reaction):
    _, theta, payments = setting
    sizes, errors = np.array([500, 2000, 8000]), []
    for episodes in sizes:
        found, reached = _estimates(
            *setting, runs=80, episodes=int(episodes), coupled=reaction == "coupled"
        )
        exact = hypergradient(reached, payments, np.repeat(theta, 80, axis=0), reaction).indirect
        errors.append(np.sqrt(np.square(found - exact).sum(axis=1).mean()))
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert -0.6 < slope < -0.4


def test_the_bias_is_what_is_left_of_few_episodes(setting):
    _, theta, payments = setting
    biases = []
    for episodes in (250, 4000):
        found, reached = _estimates(*setting, runs=400, episodes=episodes, coupled=True)
        exact = hypergradient(reached, payments, theta.repeat(400, axis=0)).indirect[0]
        error = found.mean(axis=0) - exact
        biases.append(np.linalg.norm(error) / np.linalg.norm(exact))
    assert biases[1] < 0.03
    assert biases[0] > 3.0 * biases[1]


def test_coupled_and_uncoupled_estimates_have_different_means(setting):
    _, theta, payments = setting
    found, reached = _estimates(*setting, runs=100, episodes=4000, coupled=False)
    exact = hypergradient(reached, payments, theta.repeat(100, axis=0)).indirect[0]
    error = found.mean(axis=0) - exact
    spread = found.std(axis=0) / 10.0
    assert np.abs(error / spread).max() > 10.0


def test_an_estimate_does_not_depend_on_the_batch_of_runs(setting):
    game, theta, payments = setting
    reached = solved(game, payments, np.repeat(theta, 3, axis=0), 0.5)
    alone = solved(game, payments, theta, 0.5)
    found = []
    for equilibrium, seeds in ((reached, [4, 5, 6]), (alone, [5])):
        batch = play(equilibrium, 50, Streams(seeds))
        found.append(
            weights(
                game.sizes, batch, batch.leader_reward, equilibrium.temperature, coupled=True,
                largest=3.0,
            )
        )  # fmt: skip
    assert found[0][1].tobytes() == found[1][0].tobytes()


def test_weights_stay_within_what_they_may_be(setting):
    found, _ = _estimates(*setting, runs=50, episodes=20, coupled=True, largest=1.5, beta=0.1)
    plain, _ = _estimates(*setting, runs=50, episodes=20, coupled=False, beta=0.1)
    loose, _ = _estimates(*setting, runs=50, episodes=20, coupled=True, largest=1e9, beta=0.1)
    assert np.isfinite(found).all()
    norms = [np.linalg.norm(each, axis=1).max() for each in (found, plain, loose)]
    assert norms[0] < 10.0 * norms[1]
    assert norms[2] > 2.0 * norms[0]


def test_episodes_have_the_returns_and_lengths_of_the_game(setting):
    game, theta, payments = setting
    reached = solved(game, payments, theta, 0.5)
    batch = play(reached, 40_000, Streams([3]))
    exact = evaluate(reached, payments.cost)
    sampled = batch.leader_return(game.leader_discount)
    np.testing.assert_allclose(sampled, exact.leader_return, atol=0.03)
    lasting = (batch.state[0] >= 0).mean(axis=0)
    np.testing.assert_allclose(lasting, exact.occupancy[0].sum(axis=1), atol=0.01)
    over = batch.state < 0
    assert over[:, :, -1].any()
    assert not batch.reward[over].any()
    assert not batch.leader_reward[over].any()
    assert (batch.action[over] == -1).all()
    # What players get has the payments in it.
    s, a = batch.state[0, 0, 0], batch.action[0, 0, 0]
    own = game.actions[a]
    paid = reached.payments[0, np.arange(2), s, own]
    np.testing.assert_allclose(batch.reward[0, 0, 0], game.reward[:, s, a] + paid, rtol=1e-12)
