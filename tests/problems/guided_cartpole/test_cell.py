"""The guided cart-pole's cells: what their names stand for, and that runs are their own."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from bilevelrl.core.cell import Context, Training
from bilevelrl.core.follower import FollowerDiverged
from bilevelrl.core.score_function import ScoreFunction
from bilevelrl.core.seeding import Streams
from bilevelrl.core.settings import group_key
from bilevelrl.core.training import Trained, train
from bilevelrl.core.validation import ConfigError
from bilevelrl.models.deep.settings import SacParams
from bilevelrl.problems.guided_cartpole import cell
from bilevelrl.problems.guided_cartpole.game import CartPoleGame
from bilevelrl.problems.guided_cartpole.identified import IdentifiedBelief
from bilevelrl.problems.guided_cartpole.leader import Idle
from bilevelrl.problems.guided_cartpole.planning_leader import PlanningLeader
from bilevelrl.problems.guided_cartpole.problem import GuidedCartPole
from bilevelrl.problems.guided_cartpole.settings import (
    CartPoleBcHgSetting,
    CartPoleLearningSetting,
    GuidedCartPoleParams,
    GuidedCartPoleSetting,
)
from bilevelrl.runs.chunks import maker
from bilevelrl.runs.params import read_params
from tests.follower_params import FOLLOWERS

Floats = NDArray[np.float64]
#: Beginners reach this goal.
CONSTANTS = GuidedCartPoleParams(**asdict(GuidedCartPole(goal=(-0.02, 0.02))))
LEARNER = SacParams(
    net_arch=(16, 16), activation_fn="relu", n_critics=2, learning_rate=1e-3,
    final_learning_rate=None, decay_steps=1, batch_size=16, tau=0.01, learning_starts=64,
    buffer_size=1000, reward_scale=1.0, n_envs=8, gradient_steps=1,
)  # fmt: skip
CONTEXT = Context(CONSTANTS, FOLLOWERS.model_copy(update={"learner": LEARNER}), CONSTANTS)
PROBLEM = "guided_cartpole"
GRID = {
    "positions": 9,
    "speeds": 5,
    "top_speed": 1.6,
    "angles": 7,
    "rotations": 7,
    "top_rotation": 1.75,
    "pushes": 3,
    "tolerance": 0.02,
}
BASE: dict[str, Any] = {
    "variant": "improved", "temperature": 0.2, "step_size": 0.01, "first_seed": 0, "num_seeds": 1,
    "num_updates": 3, "winds": (-0.5, 0.0, 0.5), "units": (8,), "evaluation_episodes": 4,
    "reference": {"kind": "grid", **GRID}, "exact_interval": 3,
    "follower": {"kind": "sac", "start": "carry", "first_steps": 96, "steps": 32},
}  # fmt: skip
LEARNING: dict[str, Any] = {
    "max_gradient_norm": 100.0, "env_steps_per_update": 600,
    "critic": {
        "kind": "random_features", "features": 10, "ridge": 1e-3, "forgetting_factor": 0.5,
    },
    "belief": {
        "kind": "random_features", "information": "rewards", "features": 10, "ridge": 1e-3,
        "policy_ridge": 1e-3, "forgetting_factor": 0.5,
    },
}  # fmt: skip


def build(
    estimator: str, settings: Sequence[Any], context: Context[Any, Any, Any]
) -> Training[Any]:
    return cell.build(maker(PROBLEM, estimator, settings[0]), settings, context)


def setting(estimator: str = "naive", **changes: Any) -> GuidedCartPoleSetting:
    if estimator == "random":
        return GuidedCartPoleSetting(**BASE | changes)
    known = CartPoleBcHgSetting if estimator == "bc_hg" else CartPoleLearningSetting
    return known(**BASE | LEARNING | changes)


def run(estimator: str, seeds: list[int], **changes: Any) -> Trained:
    chosen = setting(estimator, **changes)
    built = build(estimator, [chosen] * len(seeds), CONTEXT)
    return train(
        built.game, built.estimator, Streams(seeds), rule=built.rule,
        num_updates=chosen.num_updates, max_rows=chosen.num_updates,
        exact_interval=built.exact_interval,
    )  # fmt: skip


def test_names_stand_for_estimators() -> None:
    made: dict[str, Any] = {
        name: build(name, [setting(name)], CONTEXT).estimator
        for name in ("bc_hg", "naive", "random")
    }
    assert isinstance(made["random"], Idle)
    for name in ("bc_hg", "naive"):
        learner = made[name].learner
        assert isinstance(learner, ScoreFunction)
        assert made[name].belief is not None
        assert (learner.temperature is None) == (name == "naive")
        assert (learner.expectation is None) == (name == "naive")


#: Of leaders that plan.
PLANNED: dict[str, dict[str, Any]] = {
    "naive": {
        "critic": {"kind": "planned", **GRID},
        "belief": {"kind": "identified", "information": "rewards"},
    },
}
PLANNED["bc_hg"] = PLANNED["naive"] | {"belief": {**PLANNED["naive"]["belief"], "most_surprise": 9}}


@pytest.mark.parametrize(
    ("estimator", "changes"),
    [("bc_hg", {}), ("naive", {}), ("random", {}),
     ("bc_hg", PLANNED["bc_hg"]), ("naive", PLANNED["naive"])],
)  # fmt: skip
def test_a_run_is_the_same_alone_and_in_a_batch(estimator: str, changes: dict[str, Any]) -> None:
    together = run(estimator, [3, 4], **changes)
    for row, seed in enumerate((3, 4)):
        alone = run(estimator, [seed], **changes)
        np.testing.assert_array_equal(together.theta[row], alone.theta[0])
        for name, curve in together.curves.items():
            np.testing.assert_array_equal(curve[row], alone.curves[name][0])
    first, _ = build(estimator, [setting(estimator)] * 2, CONTEXT).game.start(Streams([3, 4]))
    assert (together.theta != first).any() == (estimator != "random")


@pytest.mark.parametrize("estimator", ["bc_hg", "naive"])
def test_leaders_that_plan(estimator: str) -> None:
    chosen = setting(estimator, **PLANNED[estimator])
    built: Any = build(estimator, [chosen], CONTEXT).estimator
    assert isinstance(built.belief, IdentifiedBelief)
    assert isinstance(built.learner, PlanningLeader)
    assert built.learner.most_surprise == (9 if estimator == "bc_hg" else None)
    assert chosen.conditions({})["model"] == "identified"
    assert chosen.conditions({})["information"] == "rewards"


def test_what_is_recorded() -> None:
    trained = run("naive", [0])
    curves = trained.curves
    np.testing.assert_array_equal(curves["follower_steps"][0], [96, 128, 160])
    np.testing.assert_array_equal(curves["env_steps"][0], [0, 600, 1200])
    assert np.isfinite(curves["leader_return"]).all()
    assert np.isnan(curves["follower_accuracy"]).all()
    # The ground truth comes with every third update.
    for known in ("cosine", "leader_return_optimal", "follower_kl", "follower_value_gap"):
        assert np.isfinite(curves[known][0]).tolist() == [False, False, True]
    assert set(trained.coordinates) == {"episode_length", "final_position", "share_in_goal"}
    lengths = trained.coordinates["episode_length"]
    assert ((lengths >= 1) & (lengths <= 200)).all()


def test_evaluation_uses_the_same_numbers_again() -> None:
    game = build("naive", [setting()], CONTEXT).game
    assert isinstance(game, CartPoleGame)
    theta, followers = game.start(Streams([0]))
    response = game.respond(theta, followers, Streams([0]))
    first = game.leader_return(theta, response)
    seen = game.coordinates(theta, response)
    np.testing.assert_array_equal(game.leader_return(theta, response), first)
    np.testing.assert_array_equal(
        game.coordinates(theta, response)["final_position"], seen["final_position"]
    )
    assert np.isnan(game.coordinates(theta + 1.0, response)["episode_length"]).all()


def test_followers_learn_against_the_leader_s_newest_policy() -> None:
    game = build("naive", [setting(follower={**BASE["follower"], "first_steps": 16})], CONTEXT).game
    assert isinstance(game, CartPoleGame)
    theta, followers = game.start(Streams([0]))
    theta[:, -3:] = [0.0, 0.0, 50.0]
    game.respond(theta, followers, Streams([0]))
    assert len(followers[0].views) == 8
    for view in followers[0].views:
        assert view.reset(seed=0)[0][4] == np.float32(0.5)


@pytest.mark.parametrize(("network", "message"), [("actor", "SAC after"), ("critics", "loss")])
def test_a_follower_that_diverges_stops_the_run(network: str, message: str) -> None:
    game = build("naive", [setting()], CONTEXT).game
    theta, followers = game.start(Streams([0]))
    game.respond(theta, followers, Streams([0]))
    getattr(followers[0]._learner, network)[:] = np.nan if network == "actor" else 1e3
    with pytest.raises(FollowerDiverged, match=message):
        game.respond(theta, followers, Streams([0]))


def test_only_runs_that_can_share_arrays_do() -> None:
    assert group_key(setting()) == group_key(setting(step_size=0.5, temperature=1.0, study="x"))
    assert group_key(setting()) != group_key(setting(units=(9,)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"winds": (0.0,)}, "winds"),
        ({"winds": (0.0, 1.5)}, "winds"),
        ({"follower": {**BASE["follower"], "start": "reset"}}, "carry"),
        ({"follower": {"kind": "exact"}}, "sac"),
        ({"belief": {**LEARNING["belief"], "information": "actions"}}, "rewards"),
        ({"belief": None}, "belief"),
        ({"critic": PLANNED["naive"]["critic"]}, "plans both or neither"),
        ({"belief": PLANNED["naive"]["belief"]}, "plans both or neither"),
        ({"reference": {"kind": "grid", **GRID, "angles": 4}}, "angles"),
    ],
)
def test_what_is_impossible_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        setting(**changes)


def test_an_answer_is_a_multiple_of_the_follower_s_environments() -> None:
    block = read_params(Path(__file__).parents[3] / "params.yaml").block(PROBLEM)
    with pytest.raises(ConfigError, match=r"here: follower\.steps = 12 .* learner\.n_envs = 8"):
        block.expanded("naive", {"variant": "improved", "follower": {"steps": 12}}, "here")
