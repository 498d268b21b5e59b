"""BilevelLQR against followers that act on single states, SAC among them."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.follower import FollowerDiverged
from bilevelrl.core.seeding import Streams
from bilevelrl.models.deep.agent import SacAgent
from bilevelrl.models.deep.game import AgentResponse, SacGame, SacSampler
from bilevelrl.models.deep.learning import SacTask, learn_sac
from bilevelrl.models.deep.players import RegulatorPlayer, discounted, evaluate
from bilevelrl.problems.bilevel_lqr.follower import MaxEntropyLQR
from bilevelrl.problems.bilevel_lqr.follower_task import LinearFollowerTask
from bilevelrl.problems.bilevel_lqr.game import LinearGame
from bilevelrl.problems.bilevel_lqr.problem import PUBLISHED, BilevelLQR
from bilevelrl.problems.bilevel_lqr.rollout import LinearRollout
from tests.sac_params import agents, answers

Floats = NDArray[np.float64]
#: The leader's noise is large enough for the innovation to matter.
PROBLEM = BilevelLQR.from_numbers(**{**PUBLISHED, "leader_noise": 3.0})
TASK = LinearFollowerTask(PROBLEM, 1.0)
BETA = 0.1
THETA = np.array([[-5.0, -3.0], [0.3, -0.5]])
RULE = agents(activation_fn="tanh", action_bound=4.0, training_horizon=10, episodes=10)


def make(num_runs: int) -> SacGame[Any]:
    beta = np.full(num_runs, BETA)
    exact = LinearGame(PROBLEM, MaxEntropyLQR(PROBLEM, beta), np.ones(num_runs), 1.0)
    return SacGame(exact, beta, TASK, RULE, answers(60, 20))


def exact_players(theta: Floats) -> AgentResponse:
    players = tuple(TASK.best(own, BETA)[0] for own in theta)
    return AgentResponse(players, 0)


def test_exact_players_give_the_batches_of_the_simulator() -> None:
    response = MaxEntropyLQR(PROBLEM, np.full(2, BETA)).respond(THETA)
    expected = LinearRollout(PROBLEM, 3).observe(THETA, response, Streams([1, 2]), at_random=False)
    found = SacSampler(TASK, 3).observe(
        THETA, exact_players(THETA), Streams([1, 2]), at_random=False
    )
    for name in ("state", "leader_action", "follower_action", "next_state", "leader_reward"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-9)
    paid = PROBLEM.follower_reward(expected.state, expected.follower_action)
    np.testing.assert_allclose(found.follower_rewards(), paid, atol=1e-9)


@pytest.mark.parametrize("theta", THETA)
def test_the_best_response_is_worth_what_it_earns(theta: Floats) -> None:
    best, value = TASK.best(theta, BETA)
    normals = np.random.default_rng(0).standard_normal((4000, TASK.numbers_per_episode))
    played = TASK.play(theta, best, normals)
    earned = discounted(0.95, TASK.follower_reward(played) - BETA * played.density)
    tail = 0.95**100 * abs(value)
    assert abs(earned.mean() - value) < 4.0 * earned.std() / np.sqrt(4000) + 2.0 * tail


def test_the_exact_policy_has_no_gap_and_others_have() -> None:
    best, _ = TASK.best(THETA[0], BETA)
    found = evaluate(TASK, THETA[0], BETA, best, episodes=20)
    assert (found.value_gap, found.leader_gain) == (0.0, 0.0)
    assert abs(found.kl) < 1e-10
    deaf = best.gain.copy()
    deaf[:, 2:] = 0.0  # does not listen to the leader's innovation
    for worse in (RegulatorPlayer(0.5 * best.gain, best.covariance),
                  RegulatorPlayer(deaf, best.covariance)):  # fmt: skip
        found = evaluate(TASK, THETA[0], BETA, worse, episodes=4000)
        assert found.value_gap > 4.0 * found.gap_error > 0.0
        assert found.kl > 1e-4


def test_the_leader_s_return_is_exact_where_the_follower_is() -> None:
    game, players = make(2), exact_players(THETA)
    best = game.exact.respond(THETA, np.empty((2, 0)), Streams([]))
    expected = game.exact.ground_truth(THETA, best)
    np.testing.assert_array_equal(
        game.leader_return(THETA, players), expected.leader_return_optimal
    )
    truth = game.ground_truth(THETA, players)
    np.testing.assert_array_equal(truth.hypergradient, expected.hypergradient)
    np.testing.assert_array_equal(truth.follower_value_gap, [0.0, 0.0])


def test_bits_do_not_depend_on_the_batch() -> None:
    def everything(runs: list[int]) -> list[Floats]:
        game, streams = make(len(runs)), Streams(runs)
        theta = THETA[runs]
        _, memory = game.start(streams)
        game.respond(theta, memory, streams)
        answer = game.respond(theta + 0.1, memory, streams)
        assert answer.steps == 20
        batch = SacSampler(TASK, 2).observe(theta, answer, streams, at_random=False)
        truth = game.ground_truth(theta, answer)
        return [batch.state, batch.leader_action, batch.follower_action, batch.leader_reward,
                game.leader_return(theta, answer), truth.follower_kl,
                truth.follower_value_gap]  # fmt: skip

    together = everything([0, 1])
    for alone, both in zip(everything([1]), together, strict=True):
        np.testing.assert_array_equal(alone[0], both[1])


def test_an_agent_that_diverges_leaves_the_others_their_curves(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def diverge(agent: SacAgent, steps: int) -> None:
        raise FollowerDiverged("SAC after 7 transitions: loss is nan")

    monkeypatch.setattr(SacAgent, "learn", diverge)
    curve, actor = learn_sac(SacTask(TASK, THETA[0], BETA, RULE, 3, (10, 20)))
    assert actor == {}
    assert curve["steps"].tolist() == [10, 20]
    assert curve[["value_gap", "relative_gap", "kl"]].isna().all(axis=None)
    assert "seed 3 has no result: SAC after 7 transitions" in capsys.readouterr().err
