"""params.yaml: what is refused and how it is said."""

import re
from pathlib import Path
from typing import Any

import pytest

from bilevelrl.core.atomic_files import write_atomically
from bilevelrl.core.validation import ConfigError
from bilevelrl.runs.params import read_params
from bilevelrl.runs.tuning_params import read_tuning_params
from bilevelrl.runs.yaml_files import mapping_text
from tests.runs.params_files import Content, Read, changed, load, named, refusal

ENTRY = "problems.four_rooms.cells.bc_hg.published_100"
NAIVE = "problems.four_rooms.cells.naive.published_100"
TRUNCATED = "problems.four_rooms.cells.bc_hg.truncated"
ALL_ESTIMATORS = (
    r"\['bc_hg', 'exact', 'hpgd_mc', 'hpgd_oracle', 'hpgd_sa', 'naive', 'sobirl', 'zero_order'\]"
)
ALL_PROBLEMS = (
    r"\['bilevel_lqr', 'discrete_toy_r1', 'discrete_toy_r2', 'four_rooms', 'guided_cartpole', "
    r"'thermal_control'\]"
)
ALL_KINDS = r"\['bilevel_lqr', 'discrete_toy', 'four_rooms', 'guided_cartpole', 'thermal_control'\]"
THERMAL = "problems.thermal_control.cells.bc_hg"
WATCHED = "problems.discrete_toy_r1.gradients.information"
NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("followrs", "followers"),
        ("problems.four_rooms.constants.discont", "discount"),
        ("problems.four_rooms.search.temperature", "temperatures"),
        ("problems.four_rooms.seeds.num_seed", "num_seeds"),
        ("evaluate.confidense", "confidence"),
        (f"{ENTRY}.stepsize", "step_size"),
        (f"{ENTRY}.critic.stepsize", "step_size"),
        (f"{TRUNCATED}.follower.policy_iteration", "policy_iterations"),
        ("problems.thermal_control.learner.activation", "activation_fn"),
        ("problems.guided_cartpole.training.follower.first_step", "first_steps"),
    ],
)
def test_a_misspelt_key_is_named_with_the_right_one(
    read: Read, shipped: Content, key: str, meant: str
) -> None:
    message = refusal(read, changed(shipped, key, 0.25))
    assert f"{named(key)} = 0.25: unknown key (did you mean {meant}?)" in message
    assert f"'{meant}'" in message.partition("allowed are")[2]


@pytest.mark.parametrize(
    "key",
    [
        "tracker",
        "problems.four_rooms.constants.xyz",
        "problems.discrete_toy_r1.training.critic.xyz",
        f"{ENTRY}.xyz",
        f"{ENTRY}.critic.xyz",
    ],
)
def test_an_unknown_key_is_named_with_those_that_are_allowed(
    read: Read, shipped: Content, key: str
) -> None:
    message = refusal(read, changed(shipped, key, 0.25))
    assert f"{named(key)} = 0.25: unknown key; allowed are ['" in message


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
            f"{ENTRY}.variant",
            "improved",
            r"variant = 'improved': bc_hg comes as \['published', 'corrected'\] here",
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
            "problems.guided_cartpole.gradients",
            {},
            r"problems\.guided_cartpole\.gradients = \{\}: .*None",
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


def test_two_entries_with_the_same_conditions_are_refused(read: Read, shipped: Content) -> None:
    # They would answer to the same `setting` in every table.
    twin = {
        **shipped["problems"]["four_rooms"]["cells"]["naive"]["published_100"],
        "step_size": 0.1,
    }
    message = refusal(read, changed(shipped, "problems.four_rooms.cells.naive.twin", twin))
    assert "problems.four_rooms.cells.naive.twin repeats the conditions of" in message
    assert NAIVE in message
    assert "0.003" in message


def test_a_list_of_step_sizes_is_refused_as_it_repeats_the_conditions(
    read: Read, shipped: Content
) -> None:
    message = refusal(read, changed(shipped, f"{NAIVE}.step_size", [0.1, 0.5]))
    assert f"{NAIVE} repeats the conditions of {NAIVE}" in message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"runtime: [1, 2", "while parsing a flow sequence"),
        (b"runtime: jobs: 2", "mapping values are not allowed in this context"),
        (b"- runtime\n- problems\n", "expected a mapping, got list"),
        (b"", "expected a mapping, got NoneType"),
        (b"\xff\xfe\x00\x01", "can't decode byte 0xff"),
    ],
)
def test_a_file_that_is_no_yaml_mapping_is_refused(
    tmp_path: Path, content: bytes, expected: str
) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=expected) as caught:
        read_params(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"params\.yaml: .*No such file"):
        read_params(tmp_path / "params.yaml")


def test_lists_expand_to_their_product_in_order(read: Read, shipped: Content) -> None:
    follower = {"kind": "truncated", "policy_iterations": [2, 50], "start": ["carry", "reset"]}
    content = changed(shipped, f"{TRUNCATED}.follower", follower)
    settings = read(content).settings("four_rooms", "bc_hg")
    expanded = [s for s in settings if s.follower.kind == "truncated"]
    pairs = [(s.follower.policy_iterations, s.follower.start) for s in expanded]
    assert pairs == [(2, "carry"), (2, "reset"), (50, "carry"), (50, "reset")]
    rest = {s.model_dump_json(exclude={"follower"}) for s in expanded}
    assert len(rest) == 1


def test_an_entry_overrides_the_shared_values_and_inherits_the_rest(
    read: Read, shipped: Content
) -> None:
    content = changed(shipped, f"{NAIVE}.num_updates", 7)
    content = changed(content, f"{NAIVE}.first_seed", 3)
    cells = content["problems"]["four_rooms"]["cells"]
    cells["naive"] = {
        name: entry for name, entry in cells["naive"].items() if name == "published_100"
    }
    (setting,) = read(content).settings("four_rooms", "naive")
    assert setting.num_updates == 7
    own = shipped["problems"]["four_rooms"]
    num_seeds = own["seeds"]["num_seeds"]
    assert setting.seeds == range(3, 3 + num_seeds)
    assert setting.initial_spread == own["training"]["initial_spread"]


def test_conditions_name_what_differs_from_the_paper(read: Read, shipped: Content) -> None:
    settings = read(shipped).settings("four_rooms", "bc_hg")
    main = next(s for s in settings if s.env_steps_per_update == 100)
    assert main.conditions({"initial_spread": main.initial_spread}) == {
        "temperature": 0.003,
        "env_steps_per_update": 100,
        "follower": "exact",
        "information": "full",
    }
    assert main.conditions({"initial_spread": 5.0})["initial_spread"] == main.initial_spread
    truncated = next(s for s in settings if s.follower.kind == "truncated")
    assert truncated.conditions({"initial_spread": truncated.initial_spread}).keys() == {
        "temperature", "env_steps_per_update", "follower", "policy_iterations", "start",
        "information",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("grid.four_rooms-bc_hg.candidates.critic", ..., "four_rooms-bc_hg: critic is missing"),
        ("grid.four_rooms-bc_hg.candidates.critic.kind", ..., "critic.kind is missing"),
        ("grid.four_rooms-bc_hg.candidates.critic.step_size", ..., "critic.step_size is missing"),
        ("grid.four_rooms-bc_hg.candidates.critic.step_size", [], r"critic.step_size = \[\]"),
        ("grid.four_rooms-naive.candidates.critic", {"kind": "sarsa"}, "critic = .*: unknown key"),
        ("grid.four_rooms-naive.estimator", "niave", "niave"),
        ("grid.four_rooms-naive.problem", "maze", "maze"),
        ("grid.four_rooms-naive.candidates.step_size", [], r"step_size = \[\]"),
        ("problems.four_rooms.budgets", {100: 3}, "not divisible by num_envs = 3"),
        ("problems.four_rooms.temperature", [0.1], r"did you mean temperatures\?"),
        (
            "problems.four_rooms.kind",
            "maze",
            r"problems\.four_rooms\.kind = 'maze': .*'four_rooms'",
        ),
        (
            "grid.four_rooms-naive.kind",
            "discrete_toy",
            r"naive\.kind = 'discrete_toy': problems\.four_rooms\.kind is 'four_rooms'",
        ),
    ],
)
def test_tuning_parameters_are_checked_before_the_search_starts(
    tmp_path: Path, key: str, value: Any, expected: str
) -> None:
    path = tmp_path / "params.yaml"
    content = changed(load("tuning/params.yaml"), key, value)
    write_atomically(path, mapping_text(content).encode())
    with pytest.raises(ConfigError, match=expected) as caught:
        read_tuning_params(path)
    assert "\n" not in str(caught.value)
