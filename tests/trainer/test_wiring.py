"""Trainer and follower play in environments of their own, against the leader that is trained."""

import gymnasium
import pytest
from stable_baselines3 import PPO

from bilevelrl.trainer import FollowerView, WithIncentives
from tests.trainer.games import TableLeader, TurnGame
from tests.trainer.test_refusals import Line, Returns, make


def learner(env: TurnGame, leader: TableLeader) -> PPO:
    return PPO("MlpPolicy", FollowerView(env, leader), n_steps=8, batch_size=8, device="cpu")


def test_leader_and_follower_have_environments_of_their_own() -> None:
    leader, shared = TableLeader(), TurnGame()
    make(leader=leader, follower=learner(TurnGame(), leader), env=shared)
    message = r"the follower's environment 0 is one of env too; expected environments of its own"
    with pytest.raises(ValueError, match=message):
        make(leader=leader, follower=learner(shared, leader), env=[TurnGame(), shared])


def test_the_leader_that_learns_is_the_one_that_is_played_against() -> None:
    stranger = TableLeader()
    with pytest.raises(ValueError, match="follower's environment 0 holds another module"):
        make(follower=learner(TurnGame(), stranger))
    design_of = Returns(lambda logits, s, *_: logits[s, 0])
    paid = gymnasium.wrappers.TimeLimit(WithIncentives(Line(), Returns(design_of.what)), 5)
    with pytest.raises(ValueError, match=r"env\[0\] holds another module as the leader, a Returns"):
        make(leader=design_of, env=paid, channel="rewards")
