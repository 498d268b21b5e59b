"""The guided cart-pole's cells: what their names stand for, and that runs are their own."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from bilevelrl.core.cell import Context
from bilevelrl.core.follower import FollowerDiverged
from bilevelrl.core.score_function import ScoreFunction
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import Trained, train
from bilevelrl.problems.guided_cartpole.cell import build, group_key
from bilevelrl.problems.guided_cartpole.game import CartPoleGame
from bilevelrl.problems.guided_cartpole.leader import Idle
from bilevelrl.problems.guided_cartpole.problem import GuidedCartPole
from bilevelrl.problems.guided_cartpole.settings import GuidedCartPoleParams, GuidedCartPoleSetting
from tests.follower_params import FOLLOWERS

Floats = NDArray[np.float64]
#: Beginners reach this goal.
CONSTANTS = GuidedCartPoleParams(**asdict(GuidedCartPole(goal=(-0.02, 0.02))))
CONTEXT = Context(CONSTANTS, FOLLOWERS, CONSTANTS)
BASE: dict[str, Any] = {
    "variant": "improved", "temperature": 0.2, "step_size": 0.01, "first_seed": 0, "num_seeds": 1,
    "num_updates": 3, "follower": "sac", "start": "carry", "information": "rewards",
    "winds": (-0.5, 0.0, 0.5), "units": 8, "max_gradient_norm": 100.0, "evaluation_episodes": 4,
    "first_follower_steps": 96, "follower_steps": 32, "follower_units": 16,
    "follower_step_size": 1e-3, "follower_batch": 16, "follower_target_rate": 0.01,
    "follower_random_steps": 64, "follower_capacity": 1000, "follower_envs": 8,
    "follower_gradient_steps": 1, "env_steps_per_update": 600, "critic_features": 10,
    "policy_features": 10, "keep": 0.5, "ridge": 1e-3, "policy_ridge": 1e-3,
}  # fmt: skip


def setting(**changes: Any) -> GuidedCartPoleSetting:
    return GuidedCartPoleSetting(**BASE | changes)


def run(estimator: str, seeds: list[int], **changes: Any) -> Trained:
    chosen = setting(**changes)
    built = build(estimator, [chosen] * len(seeds), CONTEXT)
    return train(
        built.game, built.estimator, Streams(seeds), rule=built.rule,
        num_updates=chosen.num_updates, max_rows=chosen.num_updates,
    )  # fmt: skip


def test_names_stand_for_estimators() -> None:
    made: dict[str, Any] = {
        name: build(name, [setting()], CONTEXT).estimator for name in ("bc_hg", "naive", "random")
    }
    assert isinstance(made["random"], Idle)
    for name in ("bc_hg", "naive"):
        learner = made[name].learner
        assert isinstance(learner, ScoreFunction)
        assert made[name].belief is not None
        assert made[name].world.information == "rewards"
        assert (learner.temperature is None) == (name == "naive")
        assert (learner.expectation is None) == (name == "naive")


@pytest.mark.parametrize("estimator", ["bc_hg", "naive", "random"])
def test_a_run_is_the_same_alone_and_in_a_batch(estimator: str) -> None:
    together = run(estimator, [3, 4])
    for row, seed in enumerate((3, 4)):
        alone = run(estimator, [seed])
        np.testing.assert_array_equal(together.theta[row], alone.theta[0])
        for name, curve in together.curves.items():
            np.testing.assert_array_equal(curve[row], alone.curves[name][0])
    first, _ = build(estimator, [setting()] * 2, CONTEXT).game.start(Streams([3, 4]))
    assert (together.theta != first).any() == (estimator != "random")


def test_what_is_recorded() -> None:
    trained = run("naive", [0])
    curves = trained.curves
    np.testing.assert_array_equal(curves["follower_steps"][0], [96, 128, 160])
    np.testing.assert_array_equal(curves["env_steps"][0], [0, 600, 1200])
    assert np.isfinite(curves["leader_return"]).all()
    for unknown in ("cosine", "leader_return_optimal", "follower_accuracy", "follower_kl"):
        assert np.isnan(curves[unknown]).all()
    assert set(trained.coordinates) == {"episode_length", "final_position", "share_in_goal"}
    lengths = trained.coordinates["episode_length"]
    assert ((lengths >= 1) & (lengths <= 200)).all()


def test_evaluation_uses_the_same_numbers_again() -> None:
    game = build("naive", [setting()], CONTEXT).game
    assert isinstance(game, CartPoleGame)
    theta, followers = game.start(Streams([0]))
    response = game.respond(theta, followers, Streams([0]))
    first = game.leader_return(theta, response)
    seen = game.coordinates(theta)
    np.testing.assert_array_equal(game.leader_return(theta, response), first)
    np.testing.assert_array_equal(game.coordinates(theta)["final_position"], seen["final_position"])
    assert np.isnan(game.coordinates(theta + 1.0)["episode_length"]).all()


def test_followers_learn_against_the_leader_s_newest_policy() -> None:
    game = build("naive", [setting(first_follower_steps=16)], CONTEXT).game
    assert isinstance(game, CartPoleGame)
    theta, followers = game.start(Streams([0]))
    theta[:, -3:] = [0.0, 0.0, 50.0]
    game.respond(theta, followers, Streams([0]))
    assert len(followers[0].views) == 8
    for view in followers[0].views:
        assert view.leader(np.zeros((1, 4)), np.array([0.5])) == 0.5
        assert view.reset(seed=0)[0][4] == np.float32(0.5)


@pytest.mark.parametrize(("network", "message"), [("actor", "SAC after"), ("critic", "loss")])
def test_a_follower_that_diverges_stops_the_run(network: str, message: str) -> None:
    game = build("naive", [setting()], CONTEXT).game
    theta, followers = game.start(Streams([0]))
    game.respond(theta, followers, Streams([0]))
    model = followers[0].agent._model
    with torch.no_grad():
        for parameter in getattr(model, network).parameters():
            parameter.fill_(torch.nan if network == "actor" else 1e6)
    with pytest.raises(FollowerDiverged, match=message):
        game.respond(theta, followers, Streams([0]))


def test_only_runs_that_can_share_arrays_do() -> None:
    assert group_key(setting()) == group_key(setting(step_size=0.5, temperature=1.0, study="x"))
    assert group_key(setting()) != group_key(setting(units=9))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"winds": (0.0,)}, "winds"),
        ({"winds": (0.0, 1.5)}, "winds"),
        ({"follower_steps": 12}, "follower_envs"),
        ({"start": "reset", "first_follower_steps": None}, "carries on"),
        ({"information": "full"}, "rewards"),
    ],
)
def test_what_is_impossible_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        setting(**changes)
