"""What the names of building thermal control's cells stand for, and where they lead."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.cell import Context, Training
from bilevelrl.core.seeding import Streams
from bilevelrl.core.settings import group_key
from bilevelrl.core.training import Trained, train
from bilevelrl.problems.thermal_control import cell
from bilevelrl.problems.thermal_control.critic import QuadraticActionCritic, QuadraticStateCritic
from bilevelrl.problems.thermal_control.estimator_settings import (
    ReleasedCriticParams,
    ThermalSetting,
)
from bilevelrl.problems.thermal_control.released_critic import (
    NetworkActionCritic,
    NetworkStateCritic,
)
from bilevelrl.problems.thermal_control.transition import TransitionDirect
from bilevelrl.problems.thermal_control.transition_hpgd import TransitionHPGD
from bilevelrl.problems.thermal_control.transition_score import TransitionScore
from bilevelrl.runs.chunks import maker
from bilevelrl.runs.params import read_params

Floats = NDArray[np.float64]
PARAMS = read_params(Path(__file__).parents[3] / "params.yaml")
PROBLEM = "thermal_control"
CONTEXT = Context(
    PARAMS.block(PROBLEM).constants,
    PARAMS.problem(PROBLEM).followers,
    PARAMS.block(PROBLEM).training,
)


def build(
    estimator: str, settings: Sequence[Any], context: Context[Any, Any, Any]
) -> Training[Any]:
    return cell.build(maker(PROBLEM, estimator, settings[0]), settings, context)


def setting(estimator: str, variant: str = "published", **changes: Any) -> ThermalSetting:
    found = next(s for s in PARAMS.settings(PROBLEM, estimator) if s.variant == variant)
    assert isinstance(found, ThermalSetting)
    return found.model_copy(update=changes)


def run(estimator: str, chosen: ThermalSetting, seeds: range, num_updates: int) -> Trained:
    built = build(estimator, [chosen] * len(seeds), CONTEXT)
    return train(
        built.game, built.estimator, Streams(list(seeds)), rule=built.rule,
        num_updates=num_updates, max_rows=num_updates,
    )  # fmt: skip


#: J at the n-th update from θ = 0, and its tolerance, by estimator.
LANDMARKS = {
    "exact": {50: (-174.3, 0.3), 100: (-163.8, 0.1), 500: (-162.65, 0.01)},
    "exact_naive": {50: (-205.3, 0.3), 100: (-200.0, 0.1), 200: (-198.5, 0.1)},
}


@pytest.mark.parametrize("estimator", LANDMARKS)
def test_exact_ascent_passes_known_landmarks(estimator: str) -> None:
    chosen = setting(estimator, initial_spread=1e-12, step_size=0.1)
    returns = run(estimator, chosen, range(1), 501).curves["leader_return"][0]
    for update, (expected, tolerance) in LANDMARKS[estimator].items():
        assert returns[update - 1] == pytest.approx(expected, abs=tolerance)


def test_slow_exact_ascent_does_too() -> None:
    chosen = setting("exact", initial_spread=1e-12, step_size=0.01)
    returns = run("exact", chosen, range(1), 501).curves["leader_return"][0]
    for update, expected in {100: -231.1, 200: -211.9, 500: -173.4}.items():
        assert returns[update - 1] == pytest.approx(expected, abs=0.15)


def test_improved_bc_hg_gets_there_from_one_episode_per_update() -> None:
    # Both seeds pass all ones (-197.25), where a naive leader ends, and come close to the optimum.
    chosen = setting("bc_hg", "improved")
    assert chosen.env_steps_per_update == 100
    trained = run("bc_hg", chosen, range(50, 52), 900)
    assert (trained.curves["leader_return"][:, -1] > -163.5).all()
    assert (trained.curves["env_steps"][:, -1] == 89_900).all()
    names = [f"{level}{zone}" for level in ("alpha", "beta") for zone in range(1, 5)]
    end = np.array([trained.coordinates[name][:, -1] for name in names])
    assert (end[[0, 2, 3, 6, 7]] > 0.9).all()  # full insulation but for zone 2, ...
    assert (end[[1, 4]] < 0.1).all()  # ... and no airflow between zones 1 and 2


def test_published_estimators_have_the_released_quirks() -> None:
    made: list[Any] = [
        build(name, [setting(name)], CONTEXT).estimator
        for name in ("bc_hg", "naive", "hpgd_td", "hpgd_mc")
    ]
    covariance, direct, td, mc = (each.learner for each in made)
    assert isinstance(covariance, TransitionScore)
    assert type(direct) is TransitionDirect
    assert isinstance(td, TransitionHPGD)
    assert isinstance(mc, TransitionHPGD)
    for estimator in (covariance, direct, td, mc):
        assert (estimator.form, estimator.max_score_norm) == ("score", 1.0)
        assert estimator.noise == made[0].sampler.problem.noise
    for each in made:
        assert each.sampler.num_episodes == 100
        assert each.belief is None
    for estimator in (covariance, td):
        assert isinstance(estimator.critic, QuadraticActionCritic)
        assert (estimator.critic.expected, estimator.critic.samples) == (False, 256)
    for estimator in (direct, mc):
        assert isinstance(estimator.critic, QuadraticStateCritic)
    assert covariance.control is None
    assert covariance.expectation is None
    assert (td.benefit, mc.benefit) == ("action_value", "return")


def test_corrected_and_improved_have_none() -> None:
    made: list[Any] = [
        build("bc_hg", [chosen], CONTEXT).estimator
        for chosen in (
            setting("bc_hg", "corrected"),
            setting("bc_hg", "improved"),
            setting("bc_hg", "improved", sensitivity="sampled"),
        )
    ]
    corrected, improved, sampled = (each.learner for each in made)
    for estimator in (corrected, improved, sampled):
        assert isinstance(estimator, TransitionScore)
        assert estimator.max_score_norm is None
        assert isinstance(estimator.critic, QuadraticActionCritic)
        assert (estimator.critic.expected, estimator.critic.samples) == (True, None)
    assert corrected.form == "score"
    assert improved.expectation is not None
    assert improved.control is None
    assert sampled.expectation is None
    assert sampled.control is not None  # type: ignore[attr-defined]
    assert (improved.form, sampled.form) == ("pathwise", "pathwise")  # type: ignore[attr-defined]


NETWORK: dict[str, Any] = {
    "critic": ReleasedCriticParams(kind="network", steps=2, step_size=1e-4),
    "env_steps_per_update": 200,
}  # fmt: skip


@pytest.mark.parametrize("estimator", ["bc_hg", "hpgd_mc", "hpgd_td", "naive"])
def test_network_critics_are_built_by_name_and_run(estimator: str) -> None:
    chosen = setting(estimator, **NETWORK)
    critic = build(estimator, [chosen], CONTEXT).estimator.learner.critic  # type: ignore[attr-defined]
    assert isinstance(critic, NetworkActionCritic | NetworkStateCritic)
    assert (critic.steps, critic.step_size) == (2, 1e-4)
    trained = run(estimator, chosen, range(1), 2)
    assert np.isfinite(trained.curves["gradient_norm"]).all()
    quadratic = run(estimator, setting(estimator, env_steps_per_update=200), range(1), 2)
    assert (trained.curves["gradient_norm"] != quadratic.curves["gradient_norm"]).all()


def test_runs_that_differ_in_step_rule_and_temperature_train_together() -> None:
    first = setting("bc_hg", "improved")
    other = first.model_copy(update={"step_size": 0.05, "momentum": 0.5, "temperature": 0.2})
    assert group_key(first) == group_key(other)
    assert group_key(first) != group_key(first.model_copy(update={"env_steps_per_update": 300}))

    def last(settings: list[ThermalSetting], seeds: list[int]) -> Floats:
        built = build("bc_hg", settings, CONTEXT)
        return train(
            built.game, built.estimator, Streams(seeds), rule=built.rule, num_updates=5, max_rows=5
        ).theta

    together = last([first, other], [1, 2])
    np.testing.assert_array_equal(together[:1], last([first], [1]))
    np.testing.assert_array_equal(together[1:], last([other], [2]))


def test_each_run_starts_with_its_own_spread() -> None:
    settings = [setting("exact", initial_spread=spread) for spread in (1.0, 3.0)]
    start, _ = build("exact", settings, CONTEXT).game.start(Streams([4, 4]))
    np.testing.assert_array_equal(start[1], 3.0 * start[0])


def test_coordinates_are_the_design_and_its_costs() -> None:
    theta = np.array([[-40.0] * 8, [40.0] * 8])
    follower = build("exact", [setting("exact")] * 2, CONTEXT).game
    response: Any = follower.respond(theta, np.empty((2, 0)), Streams([0, 1]))
    found = follower.coordinates(theta, response)
    assert len(found) == 12
    np.testing.assert_allclose(found["alpha1"], [0.0, 1.0], atol=1e-12)
    parts = [found[name] for name in ("stability", "energy", "insulation", "airflow")]
    expected = parts[0] - 0.5 * parts[1] - 0.1 * parts[2] - 0.1 * parts[3]
    np.testing.assert_allclose(follower.leader_return(theta, response), expected, rtol=1e-12)


def test_a_row_has_the_largest_spectral_radius_of_all_updates_in_its_window() -> None:
    # Every row's θ is stable, and two updates between rows are not.
    built = build("exact", [setting("exact")] * 2, CONTEXT)
    unstable = {2: 0, 6: 1}  # update to run; rows close at updates 1, 3, 5 and 7
    asked: list[float] = []

    class Wandering:
        def start(self, shape: tuple[int, ...]) -> int:
            del shape
            return 0

        def step(self, theta: Any, gradient: Any, memory: Any) -> Any:
            del gradient, memory
            asked.append(0.0)
            after = np.full_like(theta, 40.0)
            if len(asked) in unstable:
                after[unstable[len(asked)]] = -40.0
            return after

    trained = train(
        built.game, built.estimator, Streams([0, 1]),
        rule=cast(Any, Wandering()), num_updates=8, max_rows=4,
    )  # fmt: skip
    radius = trained.coordinates["spectral_radius"]
    assert radius.shape == (2, 4)
    np.testing.assert_allclose(radius[[0, 1], [1, 3]], 1.049, atol=1e-3)
    assert (radius > 1.0).sum() == 2
