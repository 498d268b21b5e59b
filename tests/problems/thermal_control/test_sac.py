"""Thermal control against followers that learn by SAC."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bilevelrl.core.observations import discounted_return
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import train
from bilevelrl.models.deep.game import AgentResponse, SacGame, SacSampler
from bilevelrl.models.deep.players import RegulatorPlayer
from bilevelrl.problems.thermal_control.belief import RegulatorBelief
from bilevelrl.problems.thermal_control.critic import QuadraticActionCritic
from bilevelrl.problems.thermal_control.follower import RegulatorResponse, ThermalRegulator
from bilevelrl.problems.thermal_control.follower_task import ThermalFollowerTask
from bilevelrl.problems.thermal_control.game import ThermalGame
from bilevelrl.problems.thermal_control.group_ascent import GroupAscent
from bilevelrl.problems.thermal_control.problem import ThermalControl
from bilevelrl.problems.thermal_control.rollout import ThermalBatch, ThermalRollout
from bilevelrl.problems.thermal_control.transition_score import TransitionScore
from tests.buildings import BETA, building, designs
from tests.sac_params import agents, answers

Floats = NDArray[np.float64]
RULE = agents(
    activation_fn="tanh", reward_scale=300.0, action_bound=20.0, training_horizon=4, episodes=30
)
PROBLEM = ThermalControl.published(max_episode_steps=20)


def make(num_runs: int, episodes: int = 30) -> SacGame[RegulatorResponse]:
    beta = np.full(num_runs, BETA)
    exact = ThermalGame(PROBLEM, ThermalRegulator(PROBLEM, beta), np.full(num_runs, 0.5))
    rule = RULE.model_copy(update={"episodes": episodes})
    return SacGame(exact, beta, ThermalFollowerTask(PROBLEM), rule, answers(60, 20))


def exact_players(problem: ThermalControl, theta: Floats, factor: float = 1.0) -> AgentResponse:
    response = best_response(problem, theta)
    players = [
        RegulatorPlayer(factor * gain, covariance)
        for gain, covariance in zip(response.gain, response.covariance, strict=True)
    ]
    return AgentResponse(tuple(players), 0)


def best_response(problem: ThermalControl, theta: Floats) -> RegulatorResponse:
    return ThermalRegulator(problem, np.full(len(theta), BETA)).respond(theta)


@pytest.mark.parametrize("problem", [PROBLEM, building(5, 3)], ids=["published", "5 zones"])
def test_linear_agents_give_the_batches_of_the_linear_simulator(problem: ThermalControl) -> None:
    theta = designs(problem, 3)
    sampler = SacSampler(ThermalFollowerTask(problem), 6)
    players = exact_players(problem, theta)
    found = sampler.observe(theta, players, Streams([1, 2, 3]), at_random=False)
    expected = ThermalRollout(problem, 6).sample(
        theta, best_response(problem, theta), Streams([1, 2, 3])
    )
    for name in ("state", "leader_action", "follower_action", "next_state", "leader_reward"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-9)
    paid = problem.follower_reward(expected.state, expected.follower_action)
    np.testing.assert_allclose(found.follower_rewards(), paid, rtol=1e-9, atol=1e-9)
    assert found.innovation is None


def test_bits_do_not_depend_on_the_batch() -> None:
    seeds, theta = [7, 8, 9], 0.5 * designs(PROBLEM, 3)

    def everything(runs: list[int]) -> list[Floats]:
        game, streams = make(len(runs)), Streams([seeds[run] for run in runs])
        _, memory = game.start(streams)
        own = theta[runs]
        first = game.respond(own, memory, streams)
        second = game.respond(own + 0.1, memory, streams)
        assert (first.steps, second.steps) == (60, 20)
        batch = SacSampler(ThermalFollowerTask(PROBLEM), 3).observe(
            own, second, streams, at_random=False
        )
        truth = game.ground_truth(own, second)
        return [
            batch.state, batch.follower_action, batch.next_state, batch.leader_reward,
            batch.follower_rewards(), game.leader_return(own, second), truth.follower_kl,
            truth.follower_value_gap,
        ]  # fmt: skip

    together = everything([0, 1, 2])
    torch.manual_seed(5)
    for run in (2, 0):
        for alone, all_runs in zip(everything([run]), together, strict=True):
            np.testing.assert_array_equal(alone[0], all_runs[run])
    assert all((each[0] != each[1]).any() for each in together)


def test_an_answer_is_learned_against_the_leader_of_the_moment() -> None:
    game, streams = make(2), Streams([0, 1])
    theta, memory = game.start(streams)
    np.testing.assert_array_equal(theta, game.exact.start(Streams([0, 1]))[0])
    game.respond(theta, memory, streams)
    moved = theta + np.array([[1.0], [2.0]])
    answer = game.respond(moved, memory, streams)
    for run, agent in enumerate(memory):
        assert agent.steps == 80
        for view in agent.views:
            np.testing.assert_array_equal(view.theta, moved[run])
    assert np.isnan(answer.accuracy).all()


def test_the_leader_s_return_is_exact_where_the_follower_is() -> None:
    theta = designs(PROBLEM, 2)
    game, best = make(2), best_response(PROBLEM, theta)
    expected = game.exact.leader_return(theta, best)
    players = exact_players(PROBLEM, theta)
    np.testing.assert_array_equal(game.leader_return(theta, players), expected)
    truth = game.ground_truth(theta, players)
    exact = game.exact.ground_truth(theta, best)
    np.testing.assert_array_equal(truth.hypergradient, exact.hypergradient)
    np.testing.assert_array_equal(truth.leader_return_optimal, expected)
    np.testing.assert_allclose(truth.follower_kl, 0.0, atol=1e-10)
    np.testing.assert_array_equal(truth.follower_value_gap, [0.0, 0.0])
    found = game.coordinates(theta, players)
    np.testing.assert_equal(found, game.exact.coordinates(theta, best))


def test_the_leader_s_return_is_that_of_the_policy_that_is_played() -> None:
    theta = designs(PROBLEM, 2)
    game, best = make(2, episodes=3000), best_response(PROBLEM, theta)
    players = exact_players(PROBLEM, theta, factor=0.8)
    # Its closed form holds for any linear policy.
    expected = game.exact.leader_return(theta, replace(best, gain=0.8 * best.gain))
    assert (np.abs(expected / game.exact.leader_return(theta, best) - 1.0) > 0.1).all()
    np.testing.assert_allclose(game.leader_return(theta, players), expected, rtol=0.02)
    batch = SacSampler(ThermalFollowerTask(PROBLEM), 3000).observe(
        theta, players, Streams([0, 1]), at_random=False
    )
    sampled = discounted_return(batch.leader_reward, 20, PROBLEM.discount)
    np.testing.assert_allclose(sampled, expected, rtol=0.1)


def test_a_leader_trains_against_agents_that_learn() -> None:
    game, beta = make(2), np.full(2, BETA)
    design = PROBLEM.design
    learner = TransitionScore(
        design,
        QuadraticActionCritic(design, expected=True, samples=256),
        form="pathwise",
        max_score_norm=1.0,
        temperature=beta,
    )
    belief = RegulatorBelief(beta, design.discount, design.max_episode_steps)
    sampled = Sampled[ThermalBatch](SacSampler(ThermalFollowerTask(PROBLEM), 20), learner, belief)
    rule = GroupAscent(np.full(2, 0.1), 1.0, 2, np.zeros(2))
    trained = train(game, sampled, Streams([0, 1]), rule=rule, num_updates=3, max_rows=3)
    assert trained.curves["follower_steps"].tolist() == [[60.0, 80.0, 100.0]] * 2
    assert trained.curves["env_steps"].tolist() == [[0.0, 400.0, 800.0]] * 2
    assert np.isnan(trained.curves["follower_accuracy"]).all()
    known = [name for name in trained.curves if name != "follower_accuracy"]
    assert all(np.isfinite(trained.curves[name]).all() for name in known)
    moved = np.sqrt(np.square(trained.theta.reshape(2, 2, 4) - theta_start()).sum(axis=2))
    assert (moved > 0.05).all()
    assert (moved < 0.301).all()


def theta_start() -> Floats:
    theta, _ = make(2).exact.start(Streams([0, 1]))
    return theta.reshape(2, 2, 4)
