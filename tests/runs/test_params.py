"""params.yaml: what is refused and how it is said."""

import re
from typing import Any

import pytest

from tests.runs.params_files import Content, Read, changed, refusal

ENTRY = "problems.four_rooms.cells.bc_hg.published_100"


NAIVE = "problems.four_rooms.cells.naive.published_100"


TRUNCATED = "problems.four_rooms.cells.bc_hg.truncated"


ALL_ESTIMATORS = (
    r"\['amd', 'bc_hg', 'cma_es', 'exact', 'hpgd_mc', 'hpgd_oracle', 'hpgd_sa', 'naive', "
    r"'perturbed', 'sobirl', 'unrolled', 'zero_order'\]"
)


ALL_PROBLEMS = (
    r"\['bilevel_lqr', 'discrete_toy_r1', 'discrete_toy_r2', 'escape_room', 'four_rooms', "
    r"'guided_cartpole', 'home_battery', 'thermal_control', 'tolls'\]"
)


ALL_KINDS = (
    r"\['bilevel_lqr', 'discrete_toy', 'escape_room', 'four_rooms', 'guided_cartpole', "
    r"'home_battery', 'thermal_control', 'tolls'\]"
)


THERMAL = "problems.thermal_control.cells.bc_hg"


WATCHED = "problems.discrete_toy_r1.gradients.information"


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        # types
        (f"{ENTRY}.temperature", "warm", r"temperature = 'warm': .*valid number"),
        (f"{ENTRY}.temperature", True, r"temperature = True: .*valid number"),
        (f"{ENTRY}.env_steps_per_update", True, r"env_steps_per_update = True: .*valid integer"),
        (f"{ENTRY}.num_envs", 1.0, r"num_envs = 1.0: .*valid integer"),
        (
            "problems.four_rooms.training.num_updates",
            True,
            r"problems.four_rooms.training.num_updates = True: .*valid integer",
        ),
        (
            "problems.four_rooms.training.num_updates",
            "many",
            r"problems.four_rooms.training.num_updates = 'many': .*valid integer",
        ),
        ("followers.tolerance", "1e-10", r"followers.tolerance = '1e-10': .*valid number"),
        (NAIVE, [0.5], r"naive.published_100 = \[0.5\]: .*valid dictionary"),
        # ranges
        (f"{ENTRY}.temperature", -0.003, r"temperature = -0.003: .*greater than 0"),
        (f"{ENTRY}.temperature", 0, r"temperature = 0: .*greater than 0"),
        (f"{ENTRY}.temperature", NAN, r"temperature = nan: .*finite"),
        (f"{ENTRY}.temperature", INFINITY, r"temperature = inf: .*finite"),
        (f"{ENTRY}.temperature", [0.003, -1.0], r"temperature = -1.0: .*greater than 0"),
        (f"{ENTRY}.critic.step_size", 1.5, r"critic.step_size = 1.5: .*less than or equal to 1"),
        (f"{ENTRY}.first_seed", -1, r"first_seed = -1: .*greater than or equal to 0"),
        (
            f"{TRUNCATED}.follower.policy_iterations",
            [1, 0],
            r"follower.policy_iterations = 0: .*or equal to 1",
        ),
        ("problems.four_rooms.search.temperatures", [], r"temperatures = \[\]: .*at least 1 item"),
        (
            "problems.four_rooms.gradients.temperature",
            -1.0,
            r"temperature = -1.0: .*greater than 0",
        ),
        ("problems.four_rooms.constants.discount", 1.0, r"discount = 1.0: .*less than 1"),
        (
            "problems.four_rooms.constants.fail_probability",
            0.75,
            r"fail_probability = 0.75: .*than 0.75",
        ),
        (
            "problems.four_rooms.constants.incentive_cost",
            INFINITY,
            r"incentive_cost = inf: .*finite",
        ),
        ("evaluate.thresholds", [0.5, 1.5], r"thresholds.1 = 1.5: .*less than or equal to 1"),
        (
            "problems.four_rooms.training.max_rows",
            501,
            r"max_rows = 501: .*less than or equal to 500",
        ),
        ("runtime.jobs", 0, r"runtime.jobs = 0: .*greater than or equal to 1"),
        (f"{ENTRY}.step_size", [], r"published_100.*step_size = \[\]"),
        # choices
        (
            "problems.four_rooms.cells.naive.published_100.variant",
            "improved",
            r"variant = 'improved': naive comes as \['published', 'corrected'\] here",
        ),
        (
            f"{ENTRY}.follower",
            {"kind": "best"},
            r"follower.kind = 'best': allowed are 'exact', 'truncated', 'soft_q'$",
        ),
        (f"{ENTRY}.follower", "exact", r"follower = 'exact': .*a mapping of keys is needed"),
        (f"{ENTRY}.follower", None, r"follower = None: .*a mapping of keys is needed"),
        (f"{ENTRY}.critic", "sarsa", r"critic = 'sarsa': .*a mapping of keys is needed"),
        (f"{ENTRY}.critic.kind", "network", r"critic.kind = 'network': .*'sarsa'"),
        (f"{TRUNCATED}.follower.start", "warm", r"follower.start = 'warm': .*'carry' or 'reset'"),
        ("runtime.backend", "ray", r"runtime.backend = 'ray': .*'loky' or 'dask'"),
        # combinations
        (f"{ENTRY}.num_envs", 3, r"env_steps_per_update = 100 is not divisible by num_envs = 3"),
        (f"{WATCHED}.sizes", [900, 900, 1800], r"information.*: sizes = \[900, 900.*must increase"),
        (f"{WATCHED}.sizes", [300, 900], r"information.sizes = .*at least 3 items"),
        (
            f"{WATCHED}.sizes",
            [900, 1800, 2850],
            r"problems.discrete_toy_r1.gradients.information: size 2850 must be a multiple of "
            r"batches \* problems.discrete_toy_r1.constants.max_episode_steps = 300",
        ),
        (f"{WATCHED}.point", 1.0, r"information.point = 1.0: .*less than 1"),
        (f"{WATCHED}.replicates", 1, r"information.replicates = 1: .*or equal to 2"),
        (f"{WATCHED}.batches", 0, r"information.batches = 0: .*or equal to 1"),
        (f"{WATCHED}.replicate", 9, r"replicate = 9: unknown key .*did you mean replicates"),
        (f"{WATCHED}", ..., r"problems.discrete_toy_r1.gradients.information is missing"),
        (
            "problems.four_rooms.gradients.budgets",
            {100: 7},
            r"100 .*not divisible by .*7 .*budget 100",
        ),
        ("runtime.backend", "dask", r"backend 'dask' needs dask_scheduler, e\.g\. tcp://"),
        (f"{TRUNCATED}.follower.start", ..., r"truncated: follower.start is missing"),
        (f"{ENTRY}.start", "carry", r"start = 'carry': unknown key"),
        (
            f"{ENTRY}.follower",
            {"kind": "exact", "start": "carry"},
            r"follower.start = 'carry': unknown key; allowed are \['kind'\]",
        ),
        (
            f"{ENTRY}.follower",
            {"kind": "truncated", "start": "carry"},
            r"follower.policy_iterations is missing",
        ),
        (
            "problems.bilevel_lqr.cells.bc_hg.improved.env_steps_per_update",
            450,
            r"steps_per_update = 450 must be a multiple of constants.max_episode_steps = 100",
        ),
        (f"{THERMAL}.published.critic", {"kind": "network"}, r"critic.steps is missing"),
        (
            f"{THERMAL}.published.critic",
            {"kind": "linear"},
            r"critic.kind = 'linear': allowed are 'quadratic', 'network'$",
        ),
        (f"{THERMAL}.improved_1000.momentum", 1.0, r"momentum = 1.0: .*less than 1"),
        (f"{THERMAL}.improved_1000.momentum", {}, r"momentum = \{\}: .*valid number"),
        (f"{THERMAL}.improved_1000.sensitivity", ..., r"improved_1000: sensitivity is missing"),
        (f"{THERMAL}.published.sensitivity", "expected", r"sensitivity = 'expected': unknown key"),
        # keys that an estimator needs or does not have
        (f"{ENTRY}.critic", ..., r"bc_hg.published_100: critic is missing"),
        (f"{ENTRY}.critic.step_size", ..., r"bc_hg.published_100: critic.step_size is missing"),
        (f"{ENTRY}.temperature", ..., r"bc_hg.published_100: temperature is missing"),
        (
            f"{NAIVE}.critic",
            {"kind": "sarsa", "step_size": 0.1},
            r"critic = \{'kind': 'sarsa', 'step_size': 0.1\}: unknown key",
        ),
        ("problems", ..., r"problems is missing"),
        ("problems.four_rooms.training", ..., r"problems.four_rooms.training is missing"),
        (
            "problems.four_rooms.seeds.num_seeds",
            ...,
            r"problems.four_rooms.seeds.num_seeds is missing",
        ),
    ],
)
def test_an_impossible_value_is_named_with_what_is_allowed(
    read: Read, shipped: Content, key: str, value: Any, expected: str
) -> None:
    message = refusal(read, changed(shipped, key, value))
    assert re.search(expected, message), message
    if ".cells." in key:  # the entry is named in full
        entry = ".".join(key.split(".")[:5])
        assert entry in message


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        (
            "grid.four_rooms-bi_ac",
            {"problem": "four_rooms", "kind": "four_rooms", "estimator": "bi_ac"},
            rf"grid.four_rooms-bi_ac.estimator = 'bi_ac': four_rooms supports {ALL_ESTIMATORS}",
        ),
        (
            "grid.maze-naive",
            {"problem": "maze", "kind": "four_rooms", "estimator": "naive"},
            rf"grid.maze-naive.problem = 'maze': allowed are {ALL_PROBLEMS}",
        ),
        (
            "grid.mine",
            {"problem": "four_rooms", "kind": "four_rooms", "estimator": "naive"},
            r"grid.mine must be named four_rooms-naive",
        ),
        (
            "problems.four_rooms.cells.bi_ac",
            {},
            rf"problems.four_rooms.cells.bi_ac: .* {ALL_ESTIMATORS}",
        ),
        ("problems.maze", {}, rf"problems.maze.kind = None: allowed are {ALL_KINDS}"),
        ("problems.four_rooms", [1], r"problems.four_rooms = \[1\]: a block of keys is needed"),
        (
            "problems.four_rooms.kind",
            "maze",
            rf"problems.four_rooms.kind = 'maze': allowed are {ALL_KINDS}",
        ),
        (
            "problems.four_rooms",
            ...,
            r"grid.four_rooms-bc_hg.problem = 'four_rooms': allowed are \['bilevel_lqr', 'disc",
        ),
        (
            "grid.four_rooms-naive.kind",
            "discrete_toy",
            r"grid.four_rooms-naive.kind = 'discrete_toy': problems.four_rooms.kind is 'four_room",
        ),
        (
            "grid_problems.four_rooms.kind",
            "discrete_toy",
            r"grid_problems.four_rooms.kind = 'discrete_toy': problems.four_rooms.kind is 'four",
        ),
        (
            "grid_problems.four_rooms",
            ...,
            rf"grid_problems = .*: it must name each problem of grid, which are {ALL_PROBLEMS}",
        ),
        (
            "problems.four_rooms.cells.exact",
            ...,
            r"problems.four_rooms.cells.exact is missing or empty",
        ),
        (
            "problems.four_rooms.cells.exact",
            {},
            r"problems.four_rooms.cells.exact is missing or empty",
        ),
        ("problems.four_rooms.search", ..., r"problems\.four_rooms\.search is missing"),
        ("problems.four_rooms.gradients", ..., r"problems\.four_rooms\.gradients is missing"),
        ("problems.four_rooms.gradients", None, r"problems\.four_rooms\.gradients = None: "),
        (
            "problems.guided_cartpole.learning",
            {},
            r"problems\.guided_cartpole\.learning = \{\}: .*None",
        ),
        (
            "problems.four_rooms.gradients.temperature",
            0.007,
            r"0\.007.*problems.four_rooms.search.temperatures",
        ),
        # no baseline would exist at this temperature, which evaluate would find out in the end
        (f"{ENTRY}.temperature", 0.007, r"0\.007.*problems.four_rooms.search.temperatures"),
        (
            "problems.guided_cartpole.training.temperature",
            0.3,
            r"0\.3 .*problems\.guided_cartpole\.search\.temperatures",
        ),
    ],
)
def test_blocks_that_do_not_fit_together_are_named(
    read: Read, shipped: Content, key: str, value: Any, expected: str
) -> None:
    message = refusal(read, changed(shipped, key, value))
    assert re.search(expected, message), message
