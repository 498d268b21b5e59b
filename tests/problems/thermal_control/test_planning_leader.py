"""A leader of building thermal control that plans: what it plays, recommends, and reaches."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bilevelrl.core.cell import Context
from bilevelrl.core.follower import NotConverged
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import Trained, train
from bilevelrl.problems.thermal_control import planning_leader
from bilevelrl.problems.thermal_control.estimator_settings import ThermalImprovedSetting
from bilevelrl.problems.thermal_control.planning_leader import (
    PlanningLeader,
    climb,
    hypergradient,
)
from bilevelrl.runs.chunks import cell_of, maker
from bilevelrl.runs.params import read_params
from tests.buildings import PUBLISHED, designs, follower_of
from tests.problems.thermal_control.test_identified import identified, learned

PARAMS = read_params(Path(__file__).parents[3] / "params.yaml")
BLOCK = PARAMS.block("thermal_control")
#: See docs/results/thermal_control.md.
BEST = -162.503


def setting() -> ThermalImprovedSetting:
    """As shipped."""
    found = [
        each
        for each in PARAMS.settings("thermal_control", "bc_hg")
        if each.study == "identified" and isinstance(each, ThermalImprovedSetting)
    ]
    return found[0]


def built(seeds: list[int]) -> Any:
    context = Context(BLOCK.constants, PARAMS.problem("thermal_control").followers, BLOCK.training)
    make = maker(BLOCK.kind, "bc_hg", setting())
    return cell_of(BLOCK.kind).build(make, [setting()] * len(seeds), context)


def run(seeds: list[int], updates: int) -> Trained:
    made = built(seeds)
    return train(
        made.game, made.estimator, Streams(seeds), rule=made.rule, num_updates=updates,
        max_rows=updates,
    )  # fmt: skip


def test_a_climb_in_a_right_model_finds_the_optimum_from_anywhere() -> None:
    model = identified(PUBLISHED)
    follower = planning_leader.ThermalRegulator(model, np.full(1, 0.1))
    for start in (np.zeros(8), np.full(8, 9.0), np.full(8, -9.0), designs(PUBLISHED, 1)[0]):
        theta, reached = climb(follower, start)
        assert reached == pytest.approx(BEST, abs=0.05)
        truth = hypergradient(follower_of(PUBLISHED, 1), theta[None])
        assert truth.leader_return[0] == pytest.approx(reached, rel=1e-9)


def test_the_estimate_is_the_hypergradient_of_the_best_guess() -> None:
    believed = learned(PUBLISHED, 20, episodes=1)
    leader, streams, theta = (
        PlanningLeader(np.full(1, 0.1), 8, worth=0.5),
        Streams([5]),
        designs(PUBLISHED, 1),
    )
    made = built([5])
    seen = made.estimator.sampler.observe(
        theta, follower_of(PUBLISHED, 1).respond(theta), streams, at_random=False
    )
    memory = leader.start(streams)
    found = leader.learn(theta, believed, seen, memory, streams)
    own = planning_leader.ThermalRegulator(believed.expected(0), np.full(1, 0.1))
    expected = hypergradient(own, theta)
    np.testing.assert_array_equal(found.direct, expected.direct)
    np.testing.assert_array_equal(found.indirect, expected.indirect)
    assert found.env_steps == 100
    assert found.proposal is not None
    assert found.recommended is not None
    # Nothing that is looked at is better than what is recommended.
    best = hypergradient(own, found.recommended).leader_return[0]
    for other in (*designs(PUBLISHED, 10, seed=3), theta[0]):
        assert hypergradient(own, other[None]).leader_return[0] <= best + 1e-4


@pytest.mark.parametrize(("worth", "explores"), [(0.0, True), (np.inf, False)])
def test_what_is_not_worth_exploring_is_not_explored(worth: float, explores: bool) -> None:
    believed = learned(PUBLISHED, 3, episodes=1)
    leader, streams = PlanningLeader(np.full(1, 0.1), 8, worth), Streams([5])
    theta = designs(PUBLISHED, 1)
    seen = built([5]).estimator.sampler.observe(
        theta, follower_of(PUBLISHED, 1).respond(theta), streams, at_random=False
    )
    found = leader.learn(theta, believed, seen, leader.start(streams), streams)
    assert found.proposal is not None
    assert (found.proposal != found.recommended).any() == explores
    if explores:
        # A corner, and nothing is known less.
        np.testing.assert_allclose(np.abs(found.proposal), np.log(0.9999 / 0.0001))
        most = believed.doubt(0, found.proposal)[0]
        assert (believed.doubt(0, designs(PUBLISHED, 50, seed=3)) < most).all()


def test_a_building_without_a_best_response_is_not_planned_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise NotConverged("none")

    believed = learned(PUBLISHED, 2, episodes=1)
    leader, streams, theta = (
        PlanningLeader(np.full(1, 0.1), 8, worth=0.5),
        Streams([5]),
        designs(PUBLISHED, 1),
    )
    seen = built([5]).estimator.sampler.observe(
        theta, follower_of(PUBLISHED, 1).respond(theta), streams, at_random=False
    )
    monkeypatch.setattr(planning_leader, "hypergradient", fail)
    found = leader.learn(theta, believed, seen, leader.start(streams), streams)
    assert (found.gradient == 0.0).all()
    assert found.proposal is not None
    np.testing.assert_allclose(np.abs(found.proposal), np.log(0.9999 / 0.0001))
    np.testing.assert_array_equal(found.recommended, np.zeros((1, 8)))


def test_a_run_is_the_same_again_and_in_a_batch() -> None:
    together = run([3, 4], 3)
    for row, seed in enumerate((3, 4)):
        alone = run([seed], 3)
        np.testing.assert_array_equal(together.theta[row], alone.theta[0])
        for name, curve in together.curves.items():
            np.testing.assert_array_equal(curve[row], alone.curves[name][0])


def test_a_run_ends_near_the_optimum() -> None:
    trained = run([10002], setting().num_updates)
    final = trained.curves["leader_return"][0]
    assert final[-1] > -163.5
    assert (final[15:] > -163.5).all()
    assert trained.curves["env_steps"][0, 15] == 1500


def test_settings_that_contradict_each_other_are_refused() -> None:
    content = setting().model_dump() | {"sensitivity": "sampled"}
    with pytest.raises(ValueError, match=r"sensitivity = sampled .* allowed is 'expected'"):
        ThermalImprovedSetting.model_validate(content)
    assert setting().conditions({})["model"] == "identified"
    assert setting().conditions({})["information"] == "rewards"
