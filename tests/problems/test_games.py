"""Cells of the games in which the leader acts: every variant trains, with its own quirks."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.games import ReleasedGameSetting
from bilevelrl.core.settings import group_key
from tests.problems.game_cells import (
    CASES,
    GAMES,
    build,
    env_steps,
    learner_of,
    make_setting,
    train_runs,
)

Floats = NDArray[np.float64]


@contextmanager
def threads(number: int) -> Iterator[None]:
    before = numba.get_num_threads()
    numba.set_num_threads(min(number, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    try:
        yield
    finally:
        numba.set_num_threads(before)


@pytest.mark.parametrize(("problem", "estimator", "variant"), CASES)
def test_every_estimator_trains(problem: str, estimator: str, variant: str) -> None:
    setting = make_setting(problem, estimator, variant)
    (found,) = train_runs(problem, estimator, [setting], [3])
    sampled = estimator not in ("exact", "zero_order", "unrolled")
    for name, values in found.items():
        unmeasured = name == "leader_return_sampled" and not sampled
        assert np.isnan(values).all() if unmeasured else np.isfinite(values).all(), name
    assert (found["gradient_norm"][1:] > 0.0).all()
    steps = setting.env_steps_per_update if sampled else 0  # type: ignore[attr-defined]
    np.testing.assert_array_equal(found["env_steps"], np.arange(3.0) * steps)
    coordinates = {name for name in found if name.startswith("coordinate ")}
    toy = problem != "bilevel_lqr"
    names = ["f(1|A)"] if toy else ["K1", "K2"]
    assert coordinates == {f"coordinate {name}" for name in names}


@pytest.mark.parametrize(
    ("problem", "estimator", "variant"),
    [case for case in CASES if case[0] != "discrete_toy_r2"],  # the same code as discrete_toy_r1
)
def test_bits_depend_on_neither_the_batch_nor_the_threads(
    problem: str, estimator: str, variant: str
) -> None:
    settings = []
    for i in range(10):
        setting = make_setting(problem, estimator, variant)
        update: dict[str, Any] = {"step_size": setting.step_size * (1.0, 3.0)[i % 2]}
        if isinstance(setting, ReleasedGameSetting):
            own = {"step_size": (1e-3, 1e-2, 0.1)[i % 3]}
            update["critic"] = setting.critic.model_copy(update=own)
        update["temperature"] = setting.temperature * (1.0 + 0.1 * i)
        settings.append(setting.model_copy(update=update))
    assert len({group_key(setting) for setting in settings}) == 1
    seeds = [0, 1, 2, 3, 4, 5, 6, 7, 1, 1]
    together = train_runs(problem, estimator, settings, seeds)
    with threads(2):
        on_two = train_runs(problem, estimator, settings, seeds)
    alone = [(i, train_runs(problem, estimator, [settings[i]], [seeds[i]])[0]) for i in (0, 5, 9)]
    for i, found in [*enumerate(on_two), *alone]:
        assert found.keys() == together[i].keys()
        for name, values in found.items():
            np.testing.assert_array_equal(values, together[i][name], err_msg=f"run {i}, {name}")
    assert len({result["theta"].tobytes() for result in together}) == 10


@pytest.mark.parametrize("problem", ["discrete_toy_r1", "bilevel_lqr"])
def test_same_seed_same_bits(problem: str) -> None:
    setting = make_setting(problem, "bc_hg", "published")
    first, again = (train_runs(problem, "bc_hg", [setting] * 2, [5, 6]) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        for name, values in one.items():
            np.testing.assert_array_equal(values, other[name], err_msg=name)
    assert (first[0]["theta"] != first[1]["theta"]).any()


#: Of the paper's plotted curves: actor and critic steps.
STEPS = {
    ("discrete_toy_r1", "bc_hg"): (10, 1),
    ("discrete_toy_r1", "naive_on"): (2, 20),
    ("discrete_toy_r1", "bi_ac_off"): (5, 1),
    ("discrete_toy_r2", "bc_hg"): (1, 1),
    ("discrete_toy_r2", "naive_on"): (1, 20),
    ("discrete_toy_r2", "bi_ac_off"): (1, 5),
    ("bilevel_lqr", "bc_hg"): (10, 5),
    ("bilevel_lqr", "naive_on"): (10, 5),
    ("bilevel_lqr", "naive_off"): (2, 5),
}


@pytest.mark.parametrize(("problem", "estimator"), STEPS)
def test_plotted_curves_have_the_steps_of_the_figures(problem: str, estimator: str) -> None:
    built = build(problem, estimator, "published", num_updates=500)
    score = learner_of(built)
    leader: Any = score.leader
    assert (built.actor_steps, leader.critic.steps) == STEPS[problem, estimator]
    if estimator.endswith("_off"):  # nothing is ever thrown away
        assert score.replay is not None
        assert score.replay.capacity * score.horizon >= 500 * env_steps(built)


@pytest.mark.parametrize("problem", GAMES)
def test_exact_ascent_climbs(problem: str) -> None:
    setting = make_setting(problem, "exact", "published", num_updates=25)
    found = train_runs(problem, "exact", [setting] * 2, [0, 1])
    for run in found:
        np.testing.assert_allclose(run["cosine"], 1.0, rtol=1e-9)
        assert run["leader_return"][-1] > run["leader_return"][0]
