"""Cells whose leader only watches its follower."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.cell import Context, Training
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.settings import Setting
from bilevelrl.core.validation import ConfigError
from bilevelrl.runs.chunks import Chunk, Run, cell_of, maker, train_chunk
from bilevelrl.runs.params import Params, read_params

Floats = NDArray[np.float64]
PARAMS: Params = read_params(Path(__file__).parents[2] / "params.yaml")
#: How BC-HG without quirks is set on each problem.
ENTRIES: dict[str, dict[str, Any]] = {
    "four_rooms": {
        "variant": "corrected", "temperature": 0.003, "env_steps_per_update": 100, "num_envs": 1,
        "step_size": 0.1, "critic": {"kind": "sarsa", "step_size": 0.3},
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
#: How its leader learns about the follower.
BELIEFS = {
    "four_rooms": "frequencies",
    "discrete_toy_r1": "frequencies",
    "bilevel_lqr": "evaluated",
    "thermal_control": "linear",
}
WATCHED = [(problem, "rewards") for problem in ENTRIES] + [("four_rooms", "actions")]


def setting_of(problem: str, estimator: str = "bc_hg", **changes: Any) -> Setting:
    entry = {**ENTRIES[problem], "num_seeds": 1, **changes}
    (setting,) = PARAMS.block(problem).expanded(estimator, entry, "cells")
    return setting


def watching(problem: str, information: str = "rewards", **told: Any) -> dict[str, Any]:
    """The belief of a leader that sees this."""
    return {"belief": {"kind": BELIEFS[problem], "information": information, **told}}


def context_of(problem: str) -> Context[Any, Any, Any]:
    block = PARAMS.block(problem)
    return Context(block.constants, PARAMS.problem(problem).followers, block.training)


def built_of(problem: str, setting: Setting) -> Training[Any]:
    kind = PARAMS.block(problem).kind
    make = maker(kind, "bc_hg", setting)
    return cell_of(kind).build(make, [setting], context_of(problem))


def train_runs(problem: str, setting: Setting, seeds: list[int]) -> list[dict[str, Floats]]:
    runs, kind = tuple(Run(setting, seed, str(seed)) for seed in seeds), PARAMS.block(problem).kind
    return train_chunk(Chunk(problem, kind, "bc_hg", runs, context_of(problem), 500))


@pytest.mark.parametrize(("problem", "information"), WATCHED)
def test_every_problem_trains_a_leader_that_watches(problem: str, information: str) -> None:
    setting = setting_of(problem, **watching(problem, information), num_updates=3)
    built = built_of(problem, setting)
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
    setting = setting_of(problem, **watching(problem, information), num_updates=3)
    together = train_runs(problem, setting, [3, 4, 5])
    (alone,) = train_runs(problem, setting, [4])
    for name, values in alone.items():
        np.testing.assert_array_equal(values, together[1][name], err_msg=name)


@pytest.mark.parametrize(
    "problem", [problem for problem in ENTRIES if BELIEFS[problem] == "frequencies"]
)
def test_beliefs_forget_and_smooth_as_they_are_told(problem: str) -> None:
    for told in ({}, {"forgetting_factor": 0.75}, {"smoothing": 0.1}):
        setting = setting_of(problem, **watching(problem, **told))
        belief: Any = built_of(problem, setting).estimator.belief  # type: ignore[attr-defined]
        found = {
            "forgetting_factor": belief.forgetting_factor,
            "smoothing": belief.smoothing,
        }
        assert found == {"forgetting_factor": 0.0, "smoothing": 0.0} | told


def test_watching_costs_the_leader_of_the_toy_next_to_nothing() -> None:
    final = {
        information: np.median(
            [
                run["leader_return"][-1]
                for run in train_runs(
                    "discrete_toy_r1",
                    setting_of("discrete_toy_r1", **belief),
                    list(range(6)),
                )
            ]
        )
        for information, belief in (("full", {}), ("rewards", watching("discrete_toy_r1")))
    }
    assert final["rewards"] > 0.95 * final["full"]
    assert final["full"] > 27.0


SEEN = "cells: belief.information"


@pytest.mark.parametrize(
    ("problem", "changes", "message"),
    [
        *(
            (
                problem,
                watching(problem, "actions"),
                f"{SEEN} = 'actions': Input should be 'rewards'",
            )
            for problem in ("discrete_toy_r1", "bilevel_lqr", "thermal_control")
        ),
        (
            "thermal_control",
            {**watching("thermal_control"), "sensitivity": "expected"},
            "sensitivity = expected does not go with a belief",
        ),
        ("four_rooms", {"forgetting_factor": 0.5}, "forgetting_factor = 0.5: unknown key"),
        ("four_rooms", {"smoothing": 0.5}, "smoothing = 0.5: unknown key"),
        ("four_rooms", {"belief": {"smoothing": 0.5}}, "belief.kind is missing"),
        ("four_rooms", {"belief": {"kind": "frequencies"}}, f"{SEEN} is missing"),
        ("four_rooms", watching("four_rooms", "full"), f"{SEEN} = 'full'"),
        ("four_rooms", watching("four_rooms", "gossip"), f"{SEEN} = 'gossip'"),
        (
            "four_rooms",
            {"variant": "published", **watching("four_rooms")},
            "belief = .* unknown key",
        ),
    ],
)
def test_what_cannot_be_watched_is_refused(
    problem: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        setting_of(problem, **changes)
