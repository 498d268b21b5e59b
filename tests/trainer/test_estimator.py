"""The estimates of a trainer, from large batches, against the exact hypergradient."""

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete, MultiDiscrete
from numpy.typing import NDArray

from bilevelrl.core.seeding import Streams
from bilevelrl.hypergradients.coefficients import Agents
from bilevelrl.models.finite_game.game import FiniteSampler
from bilevelrl.models.finite_game.policies import TabularPolicy
from bilevelrl.models.finite_game.rollout import GameRollout
from bilevelrl.trainer.acting import LeaderPolicy
from bilevelrl.trainer.beliefs import make_belief
from bilevelrl.trainer.critics import Critic
from bilevelrl.trainer.estimator import Answer, LeaderEstimator
from bilevelrl.trainer.functions import Network, RandomFeatures, Table
from bilevelrl.trainer.policies import known_policy
from bilevelrl.trainer.simulation import Batch, Spaces
from tests.trainer.games import (
    GAME,
    TEMPERATURE,
    ExactFollower,
    TableLeader,
    exact_hypergradient,
)

Floats = NDArray[np.float64]
AGENTS = Agents(GAME.leader_discount, GAME.follower_discount, TEMPERATURE)
STATES, LEADER, FOLLOWER = GAME.leader_reward.shape
SPACES = Spaces(
    Discrete(STATES), Discrete(LEADER), MultiDiscrete([STATES, LEADER]), Discrete(FOLLOWER)
)


class FastGame:
    """The same game from the project's own simulator, thousands of episodes at once."""

    spaces = SPACES

    def play(self, follower: Any, num_episodes: int, rng: np.random.Generator) -> Batch:
        policy = TabularPolicy(STATES, LEADER)
        sampler = FiniteSampler(policy, GameRollout(GAME, num_episodes), "rewards")
        theta = follower.leader.logits.detach().double().numpy().reshape(1, -1)
        streams = Streams([int(rng.integers(2**31))])
        seen = sampler.observe(theta, follower.response, streams, at_random=False)
        over = np.arange(seen.state.shape[1])[None] % GAME.max_episode_steps
        return Batch(
            seen.state.copy(),
            seen.leader_action.copy(),
            np.stack([seen.state, seen.leader_action], axis=2),
            seen.follower_action.copy(),
            seen.next_state.copy(),
            seen.leader_reward.copy(),
            seen.follower_rewards().copy(),
            np.zeros(over.shape, dtype=bool),
            over == GAME.max_episode_steps - 1,
            np.ones(over.shape, dtype=bool),
        )


def estimates(
    kind: Table | RandomFeatures | Network,
    belief: Table | Network | None,
    *,
    batches: int,
    episodes: int,
) -> tuple[Floats, Floats, TableLeader]:
    """Means of direct and indirect part over a few batches, after one to learn from."""
    leader, rng = TableLeader(), np.random.default_rng(3)
    torch.manual_seed(0)
    follower = ExactFollower(leader)
    follower.learn(1)
    policy = LeaderPolicy(leader, SPACES.observation, Discrete(LEADER))

    def acts(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        phi = policy.log_prob(batch.valid("observation"), batch.valid("leader_action"))
        return phi, phi

    if belief is None:
        watched = known_policy(follower, SPACES.follower_action, 1)
    else:
        watched = make_belief(belief, SPACES.follower_observation, SPACES.follower_action, 1, rng)
    estimator = LeaderEstimator(
        FastGame(),
        acts,
        "actions",
        AGENTS,
        leader,
        episodes,
        0.5,
        Critic.make(kind, SPACES, AGENTS.leader_discount, rng, gains=True),
        Critic.make(kind, SPACES, AGENTS.follower_discount, rng, gains=False),
        watched,
        rng,
    )
    answer, streams = Answer(follower, 1, np.full(1, np.nan)), Streams([0])
    found = [estimator.estimate(np.zeros((1, 1)), answer, {}, streams) for _ in range(batches + 1)]
    direct = np.mean([each.direct[0] for each in found[1:]], axis=0)
    return direct, np.mean([each.indirect[0] for each in found[1:]], axis=0), leader


def cosine(found: Floats, exact: Floats) -> float:
    return float(found @ exact / np.linalg.norm(found) / np.linalg.norm(exact))


@pytest.mark.parametrize("belief", [None, Table()])
def test_both_parts_go_to_the_exact_ones(belief: Table | None) -> None:
    direct, indirect, leader = estimates(Table(), belief, batches=15, episodes=1000)
    exact_direct, exact_indirect = exact_hypergradient(leader)
    assert cosine(direct, exact_direct) > 0.999
    assert cosine(indirect, exact_indirect) > 0.98
    assert np.linalg.norm(indirect) == pytest.approx(np.linalg.norm(exact_indirect), rel=0.15)
    # Power: the direct part is another direction.
    assert cosine(exact_direct, exact_indirect) < 0.5


@pytest.mark.parametrize("kind", [RandomFeatures(50), Network((32,), 3e-3, minibatch=1000)])
def test_so_do_they_with_critics_that_are_no_tables(kind: RandomFeatures | Network) -> None:
    belief = kind if isinstance(kind, Network) else None
    direct, indirect, leader = estimates(kind, belief, batches=2, episodes=300)
    exact_direct, exact_indirect = exact_hypergradient(leader)
    assert cosine(direct, exact_direct) > 0.99
    share = indirect @ exact_indirect / (exact_indirect @ exact_indirect)
    assert 0.6 < share < 1.4
