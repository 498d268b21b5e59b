"""Cells whose leader only watches its follower."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.cell import Context
from bilevelrl.core.families import expand
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.settings import Setting
from bilevelrl.core.validation import ConfigError
from bilevelrl.runs.chunks import Chunk, Run, cell_of, train_chunk
from bilevelrl.runs.params import Params, read_params

Floats = NDArray[np.float64]
PARAMS: Params = read_params(Path(__file__).parents[2] / "params.yaml")
#: How BC-HG without quirks is set on each problem.
ENTRIES: dict[str, dict[str, Any]] = {
    "four_rooms": {
        "variant": "corrected", "temperature": 0.003, "env_steps_per_update": 100, "num_envs": 1,
        "step_size": 0.1, "critic_step_size": 0.3,
    },
    "discrete_toy_r1": {
        "variant": "corrected", "actor_steps": 1, "random_updates": 0, "step_size": 5e-4,
        "step_size_ratio": 0.1, "control_variate": True,
    },
    "bilevel_lqr": {
        "variant": "improved", "actor_steps": 1, "random_updates": 0, "step_size_ratio": 0.1,
    },
    "thermal_control": {
        "variant": "improved", "env_steps_per_update": 300, "step_size": 0.1,
        "sensitivity": "sampled",
    },
}  # fmt: skip
WATCHED = [(problem, "rewards") for problem in ENTRIES] + [("four_rooms", "actions")]


def setting_of(problem: str, estimator: str = "bc_hg", **changes: Any) -> Setting:
    entry = {**ENTRIES[problem], "num_seeds": 1, **changes}
    block = PARAMS.block(problem)
    (setting,) = expand(block.family, estimator, entry, block.shared(), "cells")
    return setting


def train_runs(problem: str, setting: Setting, seeds: list[int]) -> list[dict[str, Floats]]:
    context = Context(
        PARAMS.block(problem).constants,
        PARAMS.problem(problem).followers,
        PARAMS.block(problem).training,
    )
    runs = tuple(Run(setting, seed, str(seed)) for seed in seeds)
    return train_chunk(Chunk(problem, PARAMS.block(problem).kind, "bc_hg", runs, context, 500))


@pytest.mark.parametrize(("problem", "information"), WATCHED)
def test_every_problem_trains_a_leader_that_watches(problem: str, information: str) -> None:
    setting = setting_of(problem, information=information, num_updates=3)
    context = Context(
        PARAMS.block(problem).constants,
        PARAMS.problem(problem).followers,
        PARAMS.block(problem).training,
    )
    built = cell_of(PARAMS.block(problem).kind).build("bc_hg", [setting], context)
    assert isinstance(built.estimator, Sampled)
    assert built.estimator.belief is not None
    (found,) = train_runs(problem, setting, [3])
    for name, values in found.items():
        assert np.isfinite(values).all(), name
    steps = setting.env_steps_per_update  # type: ignore[attr-defined]
    np.testing.assert_array_equal(found["env_steps"], np.arange(3.0) * steps)
    assert setting.conditions(PARAMS.block(problem).shared())["information"] == information


@pytest.mark.parametrize(("problem", "information"), WATCHED)
def test_bits_do_not_depend_on_the_other_runs(problem: str, information: str) -> None:
    setting = setting_of(problem, information=information, num_updates=3)
    together = train_runs(problem, setting, [3, 4, 5])
    (alone,) = train_runs(problem, setting, [4])
    for name, values in alone.items():
        np.testing.assert_array_equal(values, together[1][name], err_msg=name)


@pytest.mark.parametrize(
    "problem",
    [
        problem
        for problem in ENTRIES
        if "smoothing" in PARAMS.block(problem).family.estimators["bc_hg", "corrected"].optional
    ],
)
def test_beliefs_forget_and_smooth_as_they_are_told(problem: str) -> None:
    context = Context(
        PARAMS.block(problem).constants,
        PARAMS.problem(problem).followers,
        PARAMS.block(problem).training,
    )
    for told in ({}, {"forgetting": 0.75}, {"smoothing": 0.1}):
        setting = setting_of(problem, information="rewards", **told)
        belief: Any = (
            cell_of(PARAMS.block(problem).kind).build("bc_hg", [setting], context).estimator.belief
        )  # type: ignore[attr-defined]
        found = {"forgetting": belief.forgetting, "smoothing": belief.smoothing}
        assert found == {"forgetting": 0.0, "smoothing": 0.0} | told


def test_watching_costs_the_leader_of_the_toy_next_to_nothing() -> None:
    final = {
        information: np.median(
            [
                run["leader_return"][-1]
                for run in train_runs(
                    "discrete_toy_r1",
                    setting_of("discrete_toy_r1", information=information),
                    list(range(6)),
                )
            ]
        )
        for information in ("full", "rewards")
    }
    assert final["rewards"] > 0.95 * final["full"]
    assert final["full"] > 27.0


@pytest.mark.parametrize(
    ("problem", "changes", "message"),
    [
        ("discrete_toy_r1", {"information": "actions"}, "allowed are 'full' and 'rewards'"),
        ("bilevel_lqr", {"information": "actions"}, "allowed are 'full' and 'rewards'"),
        ("thermal_control", {"information": "actions"}, "allowed are 'full' and 'rewards'"),
        (
            "thermal_control",
            {"information": "rewards", "sensitivity": "expected"},
            "sensitivity = expected does not go with information = rewards",
        ),
        ("four_rooms", {"forgetting": 0.5}, "forgetting = 0.5 does not go with information = full"),
        ("four_rooms", {"smoothing": 0.5}, "smoothing = 0.5 does not go with information = full"),
        ("four_rooms", {"information": "gossip"}, "gossip"),
        ("four_rooms", {"variant": "published", "information": "rewards"}, "information"),
    ],
)
def test_what_cannot_be_watched_is_refused(
    problem: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        setting_of(problem, **changes)
