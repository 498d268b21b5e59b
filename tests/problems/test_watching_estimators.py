"""BC-HG of a leader that only watches: does it converge to the exact hypergradient, and what can it
reach?

Errors fall like the root of the number of samples, as the theory says, because belief and estimate
are consistent: the slope of the root mean square error on log-log axes is tested, in a game without
structure and in FourRooms.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.batches import TabularObservations
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.observations import Information, Observations
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.score_function import ScoreFunction
from bilevelrl.core.seeding import Streams
from bilevelrl.models.finite_game.belief import FiniteBelief
from bilevelrl.models.finite_game.critics import ExactGameCritic, ExpectedBackup
from bilevelrl.models.finite_game.exact import game_hypergradient
from bilevelrl.models.finite_game.game import FiniteSampler
from bilevelrl.models.finite_game.leader import FiniteLeader
from bilevelrl.models.finite_game.markov_game import GameSizes, MarkovGame
from bilevelrl.models.finite_game.policies import TabularPolicy
from bilevelrl.models.finite_game.rollout import GameRollout
from bilevelrl.models.finite_game.soft_q_iteration import SoftQIteration
from bilevelrl.models.tabular.belief import TabularBelief
from bilevelrl.models.tabular.critic import ExactCritic
from bilevelrl.models.tabular.exact import exact_hypergradient
from bilevelrl.models.tabular.game import TabularSampler
from bilevelrl.models.tabular.rollout import Rollout
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration
from bilevelrl.models.tabular.watched_covariance import WatchedCovariance
from bilevelrl.problems.four_rooms.problem import FourRooms
from tests.games import random_game

Floats = NDArray[np.float64]
RUNS = 40
GAME = random_game(follower_discount=0.9)
THETA = 0.7 * np.random.default_rng(0).standard_normal((1, 12))
BETA = 0.5


class Locked:
    """Raises on every access but those to `allowed`, attributes of `inner`."""

    def __init__(self, inner: Any, allowed: set[str]) -> None:
        object.__setattr__(self, "_inner", inner)
        object.__setattr__(self, "_allowed", allowed)

    def __getattribute__(self, name: str) -> Any:
        if name != "__class__" and name not in object.__getattribute__(self, "_allowed"):
            raise AssertionError(f"{name} was asked for")
        return getattr(object.__getattribute__(self, "_inner"), name)


def answer(game: MarkovGame, theta: Floats) -> tuple[BestResponse, Floats]:
    """Best response and exact hypergradient."""
    policy, beta = TabularPolicy(4, 3), np.full(len(theta), BETA)
    leader = policy.probabilities(theta)
    follower = SoftQIteration(game, beta, 1e-11, 200)
    response = follower.respond(leader, follower.start(len(theta)))
    direct, indirect, _ = game_hypergradient(
        game, leader, response, beta, discount=game.leader_discount, horizon=game.max_episode_steps,
        order="correct", influence="episode",
    )  # fmt: skip
    return response, policy.pull_back(theta, (direct + indirect) * leader)


def learner(sizes: Any, runs: int, critic: Any) -> ScoreFunction:
    return ScoreFunction(
        FiniteLeader(TabularPolicy(4, 3), sizes, critic),
        GAME.max_episode_steps,
        GAME.leader_discount,
        GAME.follower_discount,
        np.full(runs, BETA),
    )


def watching(
    episodes: int, runs: int = RUNS, information: Information = "rewards", critic: Any = None
) -> Sampled[Observations]:
    policy, sizes = TabularPolicy(4, 3), GAME.sizes
    return Sampled(
        FiniteSampler(policy, GameRollout(GAME, episodes), information),
        learner(sizes, runs, critic or ExpectedBackup(sizes)),
        FiniteBelief(sizes, policy, np.full(runs, BETA)),
    )


def slope(samples: list[int], errors: list[float]) -> float:
    return float(np.polyfit(np.log(samples), np.log(errors), 1)[0])


@pytest.mark.parametrize("critic", [None, ExactGameCritic(GAME)], ids=["learned", "exact"])
def test_the_error_falls_with_the_root_of_the_samples_in_a_game(critic: Any) -> None:
    theta = np.repeat(THETA, RUNS, axis=0)
    response, exact = answer(GAME, theta)
    budgets, errors = [20, 80, 320, 1280], []
    for episodes in budgets:
        estimator, streams = watching(episodes, critic=critic), Streams(range(RUNS))
        found = estimator.estimate(theta, response, estimator.start(streams), streams)
        errors.append(float(np.sqrt(np.square(found.gradient - exact).sum(axis=1).mean())))
    assert slope(budgets, errors) <= -0.4
    assert errors[-1] < 0.2 * np.linalg.norm(exact[0])


def test_the_error_falls_with_the_root_of_the_samples_in_four_rooms() -> None:
    problem = FourRooms(slip_kernels="corrected")
    point = np.random.default_rng(20).standard_normal(105)[None]
    beta = np.array([0.003])
    follower = SoftPolicyIteration(problem.planner, beta, 1e-12, 100)
    one = follower.respond(problem.follower_reward(point), np.zeros((1, 104)))
    exact = exact_hypergradient(problem, point, one.policy, beta).total[0]
    theta, response = np.tile(point, (RUNS, 1)), replace(one, policy=np.repeat(one.policy, RUNS, 0))
    budgets, errors = [10, 40, 160, 640], []
    for envs in budgets:
        shape = (104, 4)
        estimator = Sampled(
            TabularSampler(problem, Rollout(problem.simulator, envs, 100, 200), "actions"),
            WatchedCovariance(
                problem.influence,
                shape,
                ExactCritic(problem.planner),
                np.full(RUNS, 0.003),
                problem.discount,
            ),
            TabularBelief(shape),
        )
        streams = Streams(range(RUNS))
        found = estimator.estimate(theta, response, estimator.start(streams), streams)
        errors.append(float(np.sqrt(np.square(found.gradient - exact).sum(axis=1).mean())))
    assert slope(budgets, errors) <= -0.4


def test_nothing_in_a_game_is_reached_but_its_sizes() -> None:
    theta = np.repeat(THETA, 2, axis=0)
    response, _ = answer(GAME, theta)
    seen = watching(5, runs=2).sampler.observe(theta, response, Streams([0, 1]), at_random=False)
    sizes: Any = Locked(GAME.sizes, set(GameSizes.__dataclass_fields__))
    watched: Any = Locked(
        seen, set(Observations.__dataclass_fields__) | {"take", "follower_rewards"}
    )
    belief = FiniteBelief(sizes, TabularPolicy(4, 3), np.full(2, BETA))
    estimator, streams = learner(sizes, 2, ExpectedBackup(sizes)), Streams([0, 1])
    believed = belief.learn(theta, watched, belief.start(streams))
    found = estimator.learn(theta, believed, watched, estimator.start(streams), streams)
    assert np.isfinite(found.gradient).all()
    with pytest.raises(AssertionError, match="transition was asked for"):
        sizes.transition  # noqa: B018


def test_nothing_in_four_rooms_is_reached_but_the_leaders_own_doing() -> None:
    problem = FourRooms(slip_kernels="corrected")
    theta = 0.1 * np.random.default_rng(0).standard_normal((2, 105))
    follower = SoftPolicyIteration(problem.planner, np.full(2, 0.003), 1e-10, 100)
    response = follower.respond(problem.follower_reward(theta), np.zeros((2, 104)))
    sampler = TabularSampler(problem, Rollout(problem.simulator, 4, 50, 200), "rewards")
    seen = sampler.observe(theta, response, Streams([0, 1]), at_random=False)
    influence: Any = Locked(
        problem.influence, {"pull_back_follower_reward", "pull_back_leader_reward"}
    )
    watched: Any = Locked(seen, set(TabularObservations.__dataclass_fields__))
    shape, streams = (104, 4), Streams([0, 1])
    belief = TabularBelief(shape)
    believed = belief.learn(theta, watched, belief.start(streams))
    critic = ExactCritic(problem.planner)
    estimator = WatchedCovariance(influence, shape, critic, np.full(2, 0.003), 0.99)
    found = estimator.learn(theta, believed, watched, estimator.start(streams), streams)
    assert np.isfinite(found.gradient).all()


def test_a_follower_reward_that_is_not_seen_is_asked_for() -> None:
    theta = np.repeat(THETA, 2, axis=0)
    response, _ = answer(GAME, theta)
    estimator, streams = watching(5, 2, "actions"), Streams([0, 1])
    with pytest.raises(ValueError, match="rewards"):
        estimator.estimate(theta, response, estimator.start(streams), streams)


def test_runs_do_not_depend_on_their_neighbours() -> None:
    theta = THETA + 0.1 * np.random.default_rng(4).standard_normal((3, 12))
    response, _ = answer(GAME, theta)
    together, streams = watching(5, 3), Streams([3, 4, 5])
    every = together.estimate(theta, response, together.start(streams), streams).gradient
    for run in range(3):
        alone, own = watching(5, 1), Streams([3 + run])
        part = replace(
            response, policy=response.policy[run : run + 1], value=response.value[run : run + 1]
        )
        found = alone.estimate(theta[run : run + 1], part, alone.start(own), own)
        np.testing.assert_array_equal(found.gradient[0], every[run])
