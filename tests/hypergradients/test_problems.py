"""On the project's problems: the same numbers as its own estimators, and close to the exact ones.

Batches and critics are the project's; coefficients, and gradients by PyTorch, the library's. In
thermal control the score alone is too loud for a comparison with the exact hypergradient; that its
own estimator is right in the mean is tested with it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bilevelrl.core.estimator import Estimate
from bilevelrl.core.observations import Observations
from bilevelrl.core.score_function import ScoreFunction
from bilevelrl.core.seeding import Streams
from bilevelrl.hypergradients.advantages import choice_advantages
from bilevelrl.hypergradients.coefficients import (
    Agents,
    action_coefficients,
    reward_coefficients,
    transition_coefficients,
)
from bilevelrl.hypergradients.episodes import Episodes
from bilevelrl.hypergradients.surrogate import surrogate
from bilevelrl.models.finite_game.critics import ExactGameCritic
from bilevelrl.models.finite_game.exact import game_hypergradient
from bilevelrl.models.finite_game.game import FiniteSampler
from bilevelrl.models.finite_game.leader import FiniteLeader
from bilevelrl.models.finite_game.markov_game import MarkovGame
from bilevelrl.models.finite_game.policies import TabularPolicy
from bilevelrl.models.finite_game.rollout import GameRollout
from bilevelrl.models.finite_game.soft_q_iteration import SoftQIteration
from bilevelrl.models.tabular.exact import exact_hypergradient
from bilevelrl.models.tabular.model import action_values
from bilevelrl.models.tabular.rollout import Rollout
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration
from bilevelrl.problems.bilevel_lqr.exact import lqr_hypergradient
from bilevelrl.problems.bilevel_lqr.follower import MaxEntropyLQR
from bilevelrl.problems.bilevel_lqr.model_critic import LinearModelCritic
from bilevelrl.problems.bilevel_lqr.model_leader import ModelLeader
from bilevelrl.problems.bilevel_lqr.rollout import LinearRollout
from bilevelrl.problems.discrete_toy.problem import discrete_toy
from bilevelrl.problems.four_rooms.problem import FourRooms
from bilevelrl.problems.thermal_control.critic import ExactThermalCritic
from bilevelrl.problems.thermal_control.follower import ThermalRegulator
from bilevelrl.problems.thermal_control.rollout import ThermalRollout
from bilevelrl.problems.thermal_control.transition_score import TransitionScore
from tests.buildings import building
from tests.games import generic_lqr, random_game

Floats = NDArray[np.float64]
Tensor = torch.Tensor


def cosine(found: Floats, exact: Floats) -> float:
    return float(found @ exact / np.linalg.norm(found) / np.linalg.norm(exact))


def by_library(
    learner: ScoreFunction,
    theta: Floats,
    response: Any,
    batch: Observations,
    log_prob: Callable[[Tensor], Tensor],
) -> tuple[Floats, Estimate]:
    """The library's estimate and the project's, from the same batch and the same critic."""
    streams, leader = Streams(range(len(theta))), learner.leader
    memory = learner.start(streams)
    estimate = learner.learn(theta, response, batch, memory, streams)
    time = np.broadcast_to(np.arange(batch.leader_reward.shape[1]), batch.leader_reward.shape)
    at = (theta, response, batch, time % learner.horizon, memory, streams)
    assert learner.temperature is not None
    coefficients = action_coefficients(
        Episodes.read(torch.tensor(time % learner.horizon == learner.horizon - 1)),
        Agents(learner.leader_discount, learner.follower_discount, learner.temperature[0]),
        leader_advantage=torch.tensor(leader.leader_advantage(*at)),
        follower_side_advantage=torch.tensor(leader.follower_side_advantage(*at)),
        follower_advantage=torch.tensor(leader.follower_factor(theta, response, batch, memory)),
    )
    parameters = torch.tensor(theta, requires_grad=True)
    surrogate(coefficients, log_prob(parameters), shared_leader=False).backward()
    assert parameters.grad is not None
    return parameters.grad.numpy(), estimate


def finite_game(
    game: MarkovGame, theta: Floats, temperature: float, episodes: int
) -> tuple[Floats, Estimate, Floats]:
    """Both estimates, and the exact hypergradient."""
    policy = TabularPolicy(game.num_states, game.num_leader_actions)
    f, beta = policy.probabilities(theta), np.full(len(theta), temperature)
    follower = SoftQIteration(game, beta, 1e-11, 200)
    response = follower.respond(f, follower.start(len(theta)))
    direct, indirect, _ = game_hypergradient(
        game, f, response, beta, discount=game.leader_discount, horizon=game.max_episode_steps,
        order="correct", influence="episode",
    )  # fmt: skip
    sampler = FiniteSampler(policy, GameRollout(game, episodes), "full")
    batch = sampler.observe(theta, response, Streams(range(len(theta))), at_random=False)
    leader = FiniteLeader(policy, game.sizes, ExactGameCritic(game), "state")
    learner = ScoreFunction(
        leader, game.max_episode_steps, game.leader_discount, game.follower_discount, beta
    )

    def log_prob(parameters: Tensor) -> Tensor:
        table = torch.log_softmax(parameters.reshape(f.shape), dim=2)
        runs = torch.arange(len(theta))[:, None]
        return table[
            runs, torch.tensor(batch.state).long(), torch.tensor(batch.leader_action).long()
        ]

    found, estimate = by_library(learner, theta, response, batch, log_prob)
    return found, estimate, policy.pull_back(theta, (direct + indirect) * f)


def test_a_game_without_structure() -> None:
    theta = 0.7 * np.random.default_rng(0).standard_normal((2, 12))
    found, estimate, exact = finite_game(random_game(0), theta, 0.1, episodes=5000)
    np.testing.assert_allclose(found, estimate.gradient, rtol=1e-9, atol=1e-12)
    assert min(cosine(*pair) for pair in zip(found, exact, strict=True)) > 0.95
    assert cosine(estimate.direct[0], exact[0]) < 0.95  # Naive-PGD
    assert np.abs(estimate.indirect).max() > 0.1 * np.abs(estimate.direct).max()


def test_the_discrete_toy() -> None:
    theta = np.array([[0.3, 0.0, 0.0, -0.5, 0.0, 0.2]])
    found, estimate, exact = finite_game(discrete_toy(2.0), theta, 0.05, episodes=10_000)
    np.testing.assert_allclose(found, estimate.gradient, rtol=1e-9, atol=1e-12)
    assert abs(found[0, 3] / exact[0, 3] - 1.0) < 0.1


def test_the_lqr() -> None:
    problem = generic_lqr(max_episode_steps=60, leader_noise=0.3)
    theta, beta = np.array([[0.2, -0.1, 0.15]]), np.array([0.4])
    follower = MaxEntropyLQR(problem, beta)
    response = follower.respond(theta)
    batch = LinearRollout(problem, 1000).observe(theta, response, Streams([0]), at_random=False)
    leader = ModelLeader(problem, LinearModelCritic(problem), "score")
    learner = ScoreFunction(leader, 60, problem.leader_discount, problem.follower_discount, beta)
    state, action = torch.tensor(batch.state), torch.tensor(batch.leader_action)

    def log_prob(parameters: Tensor) -> Tensor:
        mean = torch.einsum("rnx,rx->rn", state, parameters)
        return torch.distributions.Normal(mean, problem.leader_noise).log_prob(action[:, :, 0])

    found, estimate = by_library(learner, theta, response, batch, log_prob)
    np.testing.assert_allclose(found, estimate.gradient, rtol=1e-9)
    exact = lqr_hypergradient(follower, theta, response, problem.leader_discount).total
    assert cosine(found[0], exact[0]) > 0.95


def test_four_rooms() -> None:
    problem, beta = FourRooms(slip_kernels="corrected"), np.array([0.003])
    theta = np.random.default_rng(20).standard_normal(105)
    follower = SoftPolicyIteration(problem.planner, beta, 1e-12, 100)
    policy = follower.respond(problem.follower_reward(theta[None]), np.zeros((1, 104))).policy
    exact = exact_hypergradient(problem, theta[None], policy, beta).total[0]
    batch = Rollout(problem.simulator, 500, 2000, problem.max_episode_steps).sample(
        policy, Streams([0])
    )
    place = (torch.tensor(batch.state[0]).long(), torch.tensor(batch.action[0]).long())
    quality = action_values(problem.planner, policy, problem.leader_reward(theta[None]))
    advantage = choice_advantages(
        torch.tensor(quality[0])[place[0]], torch.tensor(policy[0])[place[0]], place[1]
    )
    coefficients = reward_coefficients(
        Episodes.read(torch.tensor(batch.terminated[0]), torch.tensor(batch.truncated[0])),
        Agents(0.99, 0.99, beta[0]),
        follower_side_advantage=advantage,
    )
    parameters = torch.tensor(theta, requires_grad=True)
    penalty = problem.incentive_scale * torch.softmax(parameters, dim=0)[:-1]
    cell = torch.arange(problem.num_states)
    follower_reward = torch.where(cell == problem.goal, 1.0, -penalty)
    spent = problem.incentive_cost * penalty.sum()
    leader_reward = (cell == problem.target) * 1.0 - (cell == problem.goal) * spent
    surrogate(
        coefficients, direct=leader_reward[place[0]], indirect=follower_reward[place[0]]
    ).backward()
    assert parameters.grad is not None
    assert cosine(parameters.grad.numpy(), exact) > 0.95


def test_thermal_control() -> None:
    problem = building(
        3, 1, initial_deviation=0.3, control_cost=((0.05,),), discount=0.6, max_episode_steps=40
    )
    beta, theta = np.array([10.0]), np.random.default_rng(1).standard_normal((1, 6))
    follower = ThermalRegulator(problem, beta)
    response, streams = follower.respond(theta), Streams([0])
    batch = ThermalRollout(problem, 2500).sample(theta, response, streams)
    critic = ExactThermalCritic(problem)
    learner = TransitionScore(problem.design, critic, "score", problem.noise, temperature=beta)
    estimate = learner.learn(theta, response, batch, learner.start(streams), streams)
    values = critic.evaluate(theta, response, batch, streams)
    last = np.arange(batch.leader_reward.shape[1]) % 40 == 39

    def beyond(value: Floats) -> Tensor:  # published: no score in an episode's last step
        return torch.tensor(problem.discount * np.where(last, 0.0, value))

    coefficients = transition_coefficients(
        Episodes.read(torch.tensor(last[None])),
        Agents(problem.discount, problem.discount, beta[0]),
        leader_advantage=beyond(np.roll(values.value, -1, axis=1)),
        follower_side_advantage=torch.tensor(values.action_value - values.value),
        follower_advantage=beyond(response.value(batch.next_state)),
    )
    parameters = torch.tensor(theta, requires_grad=True)
    levels = torch.sigmoid(parameters[0])
    insulation, airflow = levels[:3], levels[3:]
    base = torch.tensor(problem.base_matrix)
    ring = torch.arange(3)
    following = (ring + 1) % 3
    matrix = torch.zeros(3, 3, dtype=torch.float64)
    matrix = matrix.index_put((ring, following), base[ring, following] * airflow)
    matrix = matrix.index_put((following, ring), base[following, ring] * airflow)
    kept = torch.diag(base) + torch.tensor(problem.insulation_effect) * (1.0 - insulation)
    matrix = matrix + torch.diag(kept - matrix.sum(dim=1))
    state, action = torch.tensor(batch.state[0]), torch.tensor(batch.follower_action[0])
    mean = state @ matrix.T + action @ torch.tensor(problem.input_matrix).T
    log_prob = torch.distributions.Normal(mean, problem.noise).log_prob(
        torch.tensor(batch.next_state[0])
    )
    cost = problem.insulation_weight * (insulation**2).sum()
    cost = cost + problem.airflow_weight * (airflow**2).sum()
    steps = np.sum(problem.discount ** np.arange(40))
    (surrogate(coefficients, log_prob.sum(dim=1)[None]) - float(steps) * cost).backward()
    assert parameters.grad is not None
    found = parameters.grad.numpy()
    np.testing.assert_allclose(found, estimate.gradient, rtol=1e-8)
