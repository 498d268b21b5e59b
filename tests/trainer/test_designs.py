"""Leaders that set rewards or shape transitions, against autograd through backward induction."""

from typing import Any

import numpy as np
import pytest
import torch

from bilevelrl.core.seeding import Streams
from bilevelrl.hypergradients.coefficients import Agents, Channel
from bilevelrl.trainer.beliefs import make_belief
from bilevelrl.trainer.critics import Critic
from bilevelrl.trainer.estimator import Answer, LeaderEstimator
from bilevelrl.trainer.functions import Table
from bilevelrl.trainer.policies import known_policy
from bilevelrl.trainer.simulation import Batch
from tests.trainer.small_designs import (
    FOLLOWER_DISCOUNT,
    LEADER_DISCOUNT,
    TEMPERATURE,
    BackwardInduction,
    Builder,
    Payer,
    SmallDesigns,
)

AGENTS = Agents(LEADER_DISCOUNT, FOLLOWER_DISCOUNT, TEMPERATURE)


@pytest.mark.parametrize("information", ["full", "rewards"])
@pytest.mark.parametrize(("leader", "channel"), [(Payer(), "rewards"), (Builder(), "transitions")])
def test_the_mean_is_the_exact_hypergradient(
    leader: Any, channel: Channel, information: str
) -> None:
    simulator, follower, rng = (
        SmallDesigns(leader),
        BackwardInduction(leader),
        np.random.default_rng(2),
    )

    def acts(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        names = ("observation", "follower_action", "next_observation")
        found = leader(*(torch.as_tensor(batch.valid(name)) for name in names))
        return found if channel == "rewards" else (found, found)

    def critic(discount: float) -> Critic:
        return Critic.make(Table(prior=1e-6), simulator.spaces, discount, rng, gains=True)

    spaces = simulator.spaces
    policy = (
        known_policy(follower, spaces.follower_action, 1)
        if information == "full"
        else make_belief(Table(), spaces.follower_observation, spaces.follower_action, 1, rng)
    )
    estimator = LeaderEstimator(
        simulator, acts, channel, AGENTS, leader, 20_000, 0.5,
        critic(LEADER_DISCOUNT),
        None if channel == "rewards" else critic(FOLLOWER_DISCOUNT),
        policy, rng,
    )  # fmt: skip
    answer, streams = Answer(follower, 1, np.full(1, np.nan)), Streams([0])
    _, *found = [
        estimator.estimate(np.zeros((1, 1)), answer, {}, streams) for _ in range(9)
    ]  # the first has no critic yet
    estimates = np.array([each.gradient[0] for each in found])
    direct = np.mean([each.direct[0] for each in found], axis=0)
    (exact,) = torch.autograd.grad(leader.game().solve().leader_return, leader.theta)
    mean, wanted = estimates.mean(axis=0), exact.numpy().ravel()
    error = estimates.std(axis=0, ddof=1) / np.sqrt(len(estimates))
    # Power: without the indirect term the mean would be off by many of these errors.
    assert np.abs((direct - wanted) / error).max() > 20.0
    assert np.abs((mean - wanted) / error).max() < 6.0
    assert np.linalg.norm(mean - wanted) < 0.03 * np.linalg.norm(wanted)
