"""The training loop: it climbs, repeats bit for bit, and recording it changes nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bilevelrl.core.arrays import Floats
from bilevelrl.core.ascent import Chosen, GradientAscent, clipped
from bilevelrl.core.cell import per_run
from bilevelrl.core.entries import names_of
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.exact import Exact
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.seeding import Streams, stream
from bilevelrl.core.training import Step, ascend, recorded_updates, train
from bilevelrl.problems.four_rooms.cell import ascent_rule, make_group
from bilevelrl.problems.four_rooms.settings import (
    ESTIMATORS,
)
from bilevelrl.runs.records import CURVE_COLUMNS
from tests.core.tiny_runs import (
    CONSTANTS,
    make_estimator,
    make_setting,
    threads,
    trained,
    truncated,
)
from tests.follower_params import FOLLOWERS


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two would wait for each other a hundred times an update, for two runs."""
    with threads(1):
        yield


def steps(estimator: str, seeds: list[int], num_updates: int, **changes: Any) -> list[Step]:
    settings = [make_setting(estimator, num_updates=num_updates, **changes) for _ in seeds]
    group = make_group(settings, CONSTANTS, FOLLOWERS)
    return list(
        ascend(
            group.game,
            make_estimator(estimator, group),
            Streams(seeds),
            rule=ascent_rule(settings, 1.0),
            num_updates=num_updates,
        )
    )


@pytest.mark.parametrize("variant", ["published", "corrected"])
def test_exact_ascent_climbs_at_every_update(variant: str) -> None:
    curves = trained("exact", 60, 60, variant=variant, initial_spread=0.01).curves
    gain = np.diff(curves["leader_return"], axis=1)
    assert (gain > 0.0).all()
    # To first order an update gains η |g|².
    predicted = 0.5 * curves["gradient_norm"][:, :-1] ** 2
    np.testing.assert_allclose(gain, predicted, rtol=0.05)


def test_gradients_are_clipped_run_by_run() -> None:
    gradient = np.array([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0], [-6.0, 0.0]])
    expected = [[0.6, 0.8], [0.3, 0.4], [0.0, 0.0], [-1.0, 0.0]]
    np.testing.assert_allclose(clipped(gradient, 1.0), expected, rtol=1e-15)
    np.testing.assert_array_equal(clipped(gradient[1:3], 1.0), gradient[1:3])


def test_a_step_is_the_clipped_gradient_times_the_step_size_of_its_run() -> None:
    settings = [make_setting("bc_hg", step_size=size) for size in (0.05, 0.5)]
    group = make_group(settings, CONSTANTS, FOLLOWERS)
    size = per_run(settings, "step_size")
    loop = ascend(
        group.game,
        make_estimator("bc_hg", group),
        Streams([7, 7]),
        rule=GradientAscent(size, 0.02),
        num_updates=4,
    )
    was_clipped = []
    for step in loop:
        gradient = step.estimate.gradient
        norm = np.linalg.norm(gradient, axis=1)
        expected = size[:, None] * gradient * np.minimum(1.0, 0.02 / norm)[:, None]
        np.testing.assert_allclose(step.next_theta - step.theta, expected, rtol=1e-9, atol=1e-15)
        was_clipped += list(norm > 0.02)
    assert any(was_clipped)


@dataclass(frozen=True, eq=False)
class Wilful(Exact[BestResponse]):
    """Plays one θ after the other, and recommends the one before the last."""

    thetas: Sequence[Floats]

    def start(self, streams: Streams) -> Memory:
        """How often it was asked."""
        return {"asked": np.zeros(len(streams.seeds))}

    def estimate(
        self, theta: Floats, response: BestResponse, memory: Memory, streams: Streams
    ) -> Estimate:
        """The exact gradient, which it does not follow."""
        found = super().estimate(theta, response, memory, streams)
        asked = int(memory["asked"][0])
        memory["asked"] += 1.0
        return replace(found, proposal=self.thetas[asked], recommended=self.thetas[asked - 1])


def test_a_leader_may_play_what_it_proposes_and_be_judged_by_what_it_recommends() -> None:
    settings = [make_setting("exact", num_updates=4, initial_spread=0.01)] * 2
    game = make_group(settings, CONSTANTS, FOLLOWERS).game
    generator = np.random.default_rng(3)
    thetas = [3.0 * generator.standard_normal((2, 105)) for _ in range(4)]
    found = train(
        game, Wilful(game, thetas), Streams([5, 6]), rule=Chosen(),
        num_updates=4, max_rows=4,
    )  # fmt: skip
    returns = np.stack([game.optimal_return(theta) for theta in thetas], axis=1)
    first, _ = game.start(Streams([5, 6]))
    np.testing.assert_array_equal(found.curves["leader_return"][:, 0], game.optimal_return(first))
    # Played is what the estimate before proposed; known after it is what that one recommended.
    np.testing.assert_allclose(found.curves["played_return"][:, 1:], returns[:, :3], atol=1e-9)
    recommended = returns[:, [-1, 0, 1]]
    np.testing.assert_allclose(found.curves["leader_return"][:, 1:], recommended, atol=1e-9)
    np.testing.assert_array_equal(
        found.curves["leader_return_optimal"][:, 1:], found.curves["leader_return"][:, 1:]
    )
    np.testing.assert_array_equal(found.theta, thetas[2])


def test_a_leader_without_a_step_size_must_propose() -> None:
    game = make_group([make_setting("exact")], CONSTANTS, FOLLOWERS).game
    with pytest.raises(ValueError, match="without a step size must propose"):
        train(game, Exact(game), Streams([5]), rule=Chosen(), num_updates=1, max_rows=1)


def test_the_ground_truth_may_be_left_out_of_rows() -> None:
    game = make_group([make_setting("exact", num_updates=6)], CONSTANTS, FOLLOWERS).game
    every, some = (
        train(
            game, Exact(game), Streams([5]), rule=GradientAscent(np.ones(1), 1.0),
            num_updates=6, max_rows=6, exact_interval=interval,
        )
        for interval in (1, 3)
    )  # fmt: skip
    np.testing.assert_array_equal(some.theta, every.theta)
    for name in ("cosine", "leader_return_optimal", "follower_kl", "follower_value_gap"):
        found = some.curves[name][0]
        assert np.isfinite(found).tolist() == [False, False, True, False, False, True]
        np.testing.assert_array_equal(found[2::3], every.curves[name][0, 2::3])
    np.testing.assert_array_equal(some.curves["leader_return"], every.curves["leader_return"])


def test_runs_start_from_their_own_draw_times_their_spread() -> None:
    (first,) = steps("exact", [5, 6], 1, initial_spread=2.5)
    for seed, theta in zip((5, 6), first.theta, strict=True):
        normals = stream(seed, "initial_parameters").standard_normal(105)
        np.testing.assert_array_equal(theta, 2.5 * normals)


@pytest.mark.parametrize("estimator", ["bc_hg", "zero_order", "amd", "cma_es"])
def test_a_longer_run_extends_a_shorter_one(estimator: str) -> None:
    short, long = steps(estimator, [0, 1], 3), steps(estimator, [0, 1], 6)
    for a, b in zip(short, long, strict=False):
        np.testing.assert_array_equal(a.theta, b.theta)
        np.testing.assert_array_equal(a.next_theta, b.next_theta)
    assert (long[3].next_theta != long[2].next_theta).any()


@pytest.mark.parametrize("estimator", ["bc_hg", "hpgd_oracle", "zero_order", "amd", "cma_es"])
@pytest.mark.parametrize("start", [None, "reset"])
def test_recording_more_or_less_changes_nothing(estimator: str, start: str | None) -> None:
    changes: dict[str, Any] = {} if start is None else {"follower": truncated(start, 2)}
    every, some, one = (trained(estimator, 12, rows, **changes) for rows in (12, 4, 1))
    np.testing.assert_array_equal(every.theta, some.theta)
    np.testing.assert_array_equal(every.theta, one.theta)
    for name in set(every.curves) - {"leader_return_mean", "played_return_mean"}:
        np.testing.assert_array_equal(every.curves[name][:, 2::3], some.curves[name], err_msg=name)
        np.testing.assert_array_equal(every.curves[name][:, 11:], one.curves[name], err_msg=name)


def test_windows_tile_all_updates() -> None:
    every, some, one = (trained("bc_hg", 12, rows) for rows in (12, 4, 1))
    np.testing.assert_array_equal(every.curves["leader_return_mean"], every.curves["leader_return"])
    windows = every.curves["leader_return"].reshape(2, 4, 3).mean(axis=2)
    np.testing.assert_allclose(some.curves["leader_return_mean"], windows, rtol=1e-14)
    mean = every.curves["leader_return"].mean(axis=1)
    np.testing.assert_allclose(one.curves["leader_return_mean"][:, 0], mean, rtol=1e-14)
    assert (np.abs(some.curves["leader_return"] - windows) > 1e-9).any()  # J does move within them


@given(num_updates=st.integers(1, 10_000), max_rows=st.integers(1, 500))
def test_rows_are_few_even_and_cover_what_fits(num_updates: int, max_rows: int) -> None:
    closing = recorded_updates(num_updates, max_rows)
    assert 1 <= len(closing) <= max_rows
    interval = closing.step
    assert closing[0] == interval - 1
    assert num_updates - interval <= closing[-1] < num_updates
    if num_updates % max_rows == 0:
        assert len(closing) == max_rows
        assert closing[-1] == num_updates - 1


@pytest.mark.parametrize("estimator", names_of(ESTIMATORS))
def test_samples_are_counted_before_each_update(estimator: str) -> None:
    curves = trained(estimator, 6, 3).curves
    np.testing.assert_array_equal(curves["update"], [[1, 3, 5]] * 2)
    per_update = 0 if estimator in ("exact", "zero_order", "amd", "cma_es", "unrolled") else 100
    np.testing.assert_array_equal(curves["env_steps"], per_update * curves["update"])
    oracle = 300 if estimator == "hpgd_oracle" else 0
    np.testing.assert_array_equal(curves["oracle_steps"], oracle * curves["update"])
    assert np.isnan(curves["leader_return_sampled"]).all() == (per_update == 0)


def test_curves_have_the_columns_that_the_records_promise() -> None:
    names = {"problem", "estimator", "variant", "setting", "seed"}
    assert set(trained("naive", 2, 2).curves) == set(CURVE_COLUMNS) - names


def test_the_exact_estimator_points_along_the_hypergradient_others_do_not() -> None:
    exact, sampled = trained("exact", 3, 3).curves, trained("bc_hg", 3, 3).curves
    np.testing.assert_allclose(exact["cosine"], 1.0, rtol=1e-12)
    assert (np.abs(sampled["cosine"]) < 0.99).all()
    for curves in (exact, sampled):
        parts = curves["direct_norm"] + curves["indirect_norm"]
        assert (curves["gradient_norm"] <= parts * (1.0 + 1e-12)).all()
        np.testing.assert_array_equal(curves["follower_kl"], 0.0)
        assert (curves["follower_accuracy"] <= FOLLOWERS.tolerance).all()
        np.testing.assert_allclose(
            curves["leader_return_optimal"], curves["leader_return"], rtol=1e-12
        )


def test_a_truncated_follower_is_measured_against_the_exact_one() -> None:
    curves = trained("naive", 3, 3, follower=truncated("reset", 1)).curves
    assert (curves["follower_kl"] > 0.1).all()
    assert (curves["follower_accuracy"] > 0.01).all()
    gap = curves["leader_return_optimal"] - curves["leader_return"]
    assert (np.abs(gap) > 1e-3).all()
    # θ hardly moves in three updates, so that J under the best response hardly does.
    exact = trained("naive", 3, 3).curves["leader_return"]
    np.testing.assert_allclose(curves["leader_return_optimal"], exact, atol=1e-3)
