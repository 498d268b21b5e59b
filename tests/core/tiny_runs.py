"""Short runs of FourRooms."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numba

from bilevelrl.core.estimator import Estimator
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import Trained, train
from bilevelrl.problems.four_rooms.cell import ascent_rule, make_group
from bilevelrl.problems.four_rooms.settings import (
    ESTIMATORS,
    FourRoomsParams,
    FourRoomsSetting,
)
from bilevelrl.runs.chunks import maker
from tests.follower_params import FOLLOWERS

CONSTANTS = FourRoomsParams(
    discount=0.99,
    fail_probability=0.33,
    incentive_scale=0.2,
    incentive_cost=5.0,
    max_episode_steps=200,
)


#: What each estimator needs, as small as possible.
TINY: dict[str, Any] = {
    "step_size": 0.5,
    "env_steps_per_update": 100,
    "num_envs": 2,
    "critic": {"kind": "sarsa", "step_size": 0.5},
    "oracle_steps_per_update": 300,
    "radius": 0.5,
    "sweeps": 3,
    "spread": 0.5,
    "population_size": 4,
    "epsilon": 0.003,
    "two_sided": True,
    "start": "answer",
}


def truncated(start: str, policy_iterations: int) -> dict[str, Any]:
    return {"kind": "truncated", "policy_iterations": policy_iterations, "start": start}


@contextmanager
def threads(number: int) -> Iterator[None]:
    before = numba.get_num_threads()
    numba.set_num_threads(min(number, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    try:
        yield
    finally:
        numba.set_num_threads(before)


def make_setting(estimator: str, variant: str = "published", **changes: Any) -> FourRoomsSetting:
    if (estimator, variant) not in ESTIMATORS:
        variant = "corrected"  # all have one of the two
    known = ESTIMATORS[estimator, variant]
    content: dict[str, Any] = {
        "variant": variant,
        "temperature": 0.003,
        "first_seed": 0,
        "num_seeds": 1,
        "num_updates": 6,
        "initial_spread": 1.0,
    }
    own = {key: value for key, value in TINY.items() if known.has(key)}
    setting = known.setting(**(content | own | changes))
    assert isinstance(setting, FourRoomsSetting)
    return setting


def make_estimator(estimator: str, group: Any) -> Estimator[Any]:
    built: Estimator[Any] = maker("four_rooms", estimator, group.settings[0])(group)
    return built


def trained(
    estimator: str, num_updates: int, max_rows: int, seeds: tuple[int, ...] = (3, 4), **changes: Any
) -> Trained:
    settings = [make_setting(estimator, num_updates=num_updates, **changes) for _ in seeds]
    group = make_group(settings, CONSTANTS, FOLLOWERS)
    return train(
        group.game,
        make_estimator(estimator, group),
        Streams(seeds),
        rule=ascent_rule(settings, 1.0),
        num_updates=num_updates,
        max_rows=max_rows,
    )
