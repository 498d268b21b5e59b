"""params.yaml: what is refused and how it is said."""

import copy
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bilevelrl.core.atomic_files import write_atomically
from bilevelrl.core.validation import ConfigError
from bilevelrl.runs.chunks import cell_of, maker
from bilevelrl.runs.leaders import list_runs, make_chunks
from bilevelrl.runs.params import Params, read_params
from bilevelrl.runs.tuning_params import read_tuning_params
from bilevelrl.runs.yaml_files import mapping_text, read_mapping

ROOT = Path(__file__).parents[2]
Content = dict[str, Any]
Read = Callable[[Content], Params]

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


def load(name: str) -> Content:
    return read_mapping(ROOT / name)


@pytest.fixture(scope="module")
def shipped() -> Content:
    return load("params.yaml")


@pytest.fixture(scope="module")
def shipped_params() -> Params:
    return read_params(ROOT / "params.yaml")


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def write_and_read(content: Content) -> Params:
        path = tmp_path / "params.yaml"
        write_atomically(path, mapping_text(content).encode())
        return read_params(path)

    return write_and_read


def changed(content: Content, key: str, value: Any) -> Content:
    """A copy with one dotted key set, or removed where the value is `...`."""
    content = copy.deepcopy(content)
    *path, last = key.split(".")
    block = content
    for part in path:
        block = block[part]
    if value is ...:
        del block[last]
    else:
        block[last] = value
    return content


def refusal(read: Read, content: Content) -> str:
    """The message with which the content is refused; always one line."""
    with pytest.raises(ConfigError) as caught:
        read(content)
    message = str(caught.value)
    assert "\n" not in message
    assert "params.yaml" in message
    return message


def named(key: str) -> str:
    """A dotted key as messages have it: an entry of `cells`, then the key in it."""
    parts = key.split(".")
    if ".cells." not in key:
        return key
    return f"{'.'.join(parts[:5])}: {'.'.join(parts[5:])}"


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


CORRECTED = "problems.four_rooms.cells.bc_hg.corrected_100"
SOFT_Q = "problems.four_rooms.cells.bc_hg.soft_q"
CARTPOLE = "problems.guided_cartpole.cells"
TOY = "problems.discrete_toy_r1.cells.bc_hg"
LQR = "problems.bilevel_lqr.cells.bc_hg"
FOLLOWER_STEPS = r"follower.steps = 10: unknown key.* allowed are"


@pytest.mark.parametrize(
    ("entry", "changes", "expected"),
    [
        # what a follower that learns needs, and no other has
        (CORRECTED, {"follower": {"kind": "exact", "steps": 10}}, rf"{FOLLOWER_STEPS} \['kind'\]"),
        (TRUNCATED, {"follower.steps": 10}, rf"{FOLLOWER_STEPS} \['kind', 'policy_iterations', 's"),
        (SOFT_Q, {"follower.steps": ...}, r"follower.steps is missing"),
        (SOFT_Q, {"follower.steps": 0}, r"follower.steps = 0: .*greater than or equal to 1"),
        (SOFT_Q, {"follower.start": ...}, r"follower.start is missing"),
        (
            SOFT_Q,
            {"follower.policy_iterations": 3},
            r"follower.policy_iterations = 3: unknown key; .*\['first_steps', 'kind', 'start', 's",
        ),
        (
            CORRECTED,
            {"follower": {"kind": "exact", "first_steps": 10}},
            r"follower.first_steps = 10: unknown key; allowed are \['kind'\]",
        ),
        (
            TRUNCATED,
            {"follower.first_steps": 10},
            r"follower.first_steps = 10: unknown key; allowed are \['kind', 'policy_iterations', ",
        ),
        (
            SOFT_Q,
            {"follower.start": "reset"},
            r"follower: first_steps = 200000 does not go with start = reset: .* carries on",
        ),
        # followers that a problem does not have
        (SOFT_Q, {"follower.kind": "sac"}, r"kind = 'sac': allowed are 'exact', 'trunc.*'soft_q'$"),
        (f"{TOY}.soft_q", {"follower.kind": "sac"}, r"follower.kind = 'sac': allowed .*'soft_q'$"),
        (
            f"{LQR}.corrected",
            {"follower": {"kind": "sac"}},
            r"follower = \{'kind': 'sac'\}: unknown key; allowed",
        ),
        (
            f"{LQR}.sac",
            {"follower.kind": "soft_q"},
            r"kind = 'soft_q': allowed are 'exact', 'sac'$",
        ),
        (f"{LQR}.sac", {"follower.start": "reset"}, r"follower.start = 'reset': .*'carry'"),
        (
            f"{LQR}.sac",
            {"random_updates": 11},
            r"random_updates = 11 .* follower.kind = sac: allowed is 0",
        ),
        (
            f"{LQR}.sac",
            {"belief": ...},
            r"follower.kind = sac needs a belief: .*information = rewards",
        ),
        (
            f"{THERMAL}.watching",
            {"follower": {"kind": "soft_q", "steps": 10, "start": "carry"}},
            r"follower.kind = 'soft_q': allowed are 'exact', 'sac'$",
        ),
        (
            f"{THERMAL}.watching",
            {"follower": {"kind": "sac", "steps": 10, "start": "carry"}, "belief": None},
            r"follower.kind = sac needs a belief: .*information = rewards",
        ),
        (f"{THERMAL}.sac", {"belief.features": ...}, r"belief.features is missing"),
        (f"{THERMAL}.sac", {"belief.ridge": 0.0}, r"belief.ridge = 0.0: .*greater than 0"),
        (
            f"{THERMAL}.watching",
            {"belief.ridge": 0.1},
            r"belief.ridge = 0.1: unknown key.* \['information', 'kind', 'temperature'\]",
        ),
        (f"{THERMAL}.watching", {"belief.information": ...}, r"belief.information is missing"),
        (
            f"{THERMAL}.improved_1000",
            {"belief": {"kind": "linear", "information": "rewards"}},
            r"sensitivity = expected does not go with a belief: .*allowed is 'sampled'",
        ),
        (
            f"{THERMAL}.sac",
            {"belief.kind": "planned"},
            r"belief.kind = 'planned': allowed are 'linear', 'random_features'$",
        ),
        (f"{THERMAL}.published", {"follower": {"kind": "sac"}}, r"follower = \{.*: unknown key"),
        # the guided cart-pole
        (
            f"{CARTPOLE}.random.improved",
            {"critic": {"forgetting_factor": 0.5}},
            r"critic = \{'forgetting_factor': 0.5\}: unknown key",
        ),
        (f"{CARTPOLE}.naive.improved", {"variant": "published"}, r"comes as \['improved'\]"),
        (
            f"{CARTPOLE}.naive.improved",
            {"follower": {"kind": "soft_q"}},
            r"follower.kind = 'soft_q': .*'sac'",
        ),
        (
            f"{CARTPOLE}.naive.improved",
            {"follower": {"steps": 12}},
            r"follower.steps = 12 must be a multiple of learner.n_envs = 8",
        ),
        (
            f"{CARTPOLE}.naive.improved",
            {"follower": {"first_steps": 12}},
            r"follower.first_steps = 12 must be a multiple of learner.n_envs = 8",
        ),
        (
            f"{CARTPOLE}.naive.improved",
            {"follower": {"start": "reset"}},
            r"follower.start = 'reset': .*'carry'",
        ),
        (
            f"{CARTPOLE}.naive.improved",
            {"env_steps_per_update": 300},
            r"env_steps_per_update = 300 must be a multiple of constants.max_episode_steps = 200",
        ),
        # what a leader that reads its follower has nothing to do with
        (CORRECTED, {"believed_temperature": 0.1}, r"believed_temperature = 0.1: unknown key"),
        (CORRECTED, {"belief": {"temperature": 0.1}}, r"belief.kind is missing"),
        (f"{TOY}.corrected", {"belief": {"temperature": 0.1}}, r"belief.kind is missing"),
        (f"{THERMAL}.improved_1000", {"belief": {"temperature": 0.2}}, r"belief.kind is missing"),
        (f"{LQR}.improved", {"belief": {"kind": "planned"}}, r"belief.information is missing"),
        (f"{LQR}.watching", {"belief.information": "full"}, r"information = 'full': .*'rewards'"),
        (f"{LQR}.watching", {"belief.kind": "guessed"}, r"'guessed': .*'evaluated' or 'planned'"),
        (
            f"{LQR}.corrected",
            {"belief": {"kind": "planned", "information": "rewards"}},
            r"belief = \{'kind': 'planned', 'information': 'rewards'\}: unknown key",
        ),
        (f"{TOY}.watching", {"belief.kind": "planned"}, r"kind = 'planned': .*'frequencies'"),
        (f"{LQR}.watching", {"belief.temperature": -0.1}, r"temperature = -0.1: .*greater than 0"),
        (
            ENTRY,
            {"belief": {"kind": "frequencies", "information": "rewards", "temperature": 0.1}},
            r"belief = \{'kind': 'frequencies', .*: unknown key",
        ),
        # what a leader would have to know of the rewards
        (f"{TOY}.watching", {"belief.information": "actions"}, r"= 'actions': .*'rewards'"),
        (f"{LQR}.watching", {"belief.information": "actions"}, r"= 'actions': .*'rewards'"),
        (f"{THERMAL}.watching", {"belief.information": "actions"}, r"= 'actions': .*'rewards'"),
    ],
)
def test_what_does_not_go_with_a_follower_is_named(
    read: Read, shipped: Content, entry: str, changes: Content, expected: str
) -> None:
    content = shipped
    for key, value in changes.items():
        content = changed(content, f"{entry}.{key}", value)
    message = refusal(read, content)
    assert re.search(expected, message), message
    assert entry in message


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("problems.four_rooms.learning.steps", [100, 100], r"steps = \[100, 100\] must increase"),
        (
            "problems.four_rooms.learning.steps",
            [100, 300, 200],
            r"steps = \[100, 300, 200\] must increase",
        ),
        ("problems.four_rooms.learning.steps", [], r"steps = \[\]: .*at least 1 item"),
        (
            "problems.four_rooms.learning.steps",
            [0, 10],
            r"steps.0 = 0: .*greater than or equal to 1",
        ),
        (
            "problems.thermal_control.learning.num_seeds",
            0,
            r"num_seeds = 0: .*greater than or equal to 1",
        ),
        ("problems.four_rooms.learning", ..., r"problems.four_rooms.learning"),
        ("problems.four_rooms.learner.exponent", 0.5, r"exponent = 0.5: .*greater than 0.5"),
        (
            "problems.discrete_toy_r1.learner.smallest_step",
            1.0,
            r"smallest_step = 1.0: .*less than 1",
        ),
        (
            "problems.discrete_toy_r1.learner.exploration",
            1.5,
            r"exploration = 1.5: .*or equal to 1",
        ),
        ("problems.four_rooms.learner.settle", 0.0, r"settle = 0.0: .*greater than 0"),
        (
            "problems.thermal_control.learner.activation_fn",
            "sin",
            r"activation_fn = 'sin': .*'relu' or 't",
        ),
        ("problems.thermal_control.learner.tau", 0.0, r"tau = 0.0: .*greater than 0"),
        ("problems.guided_cartpole.learner.net_arch", [], r"net_arch = \[\]: .*at least 1 item"),
        (
            "problems.guided_cartpole.learner.net_arch",
            [64, 0],
            r"net_arch.1 = 0: .*greater than or equal to 1",
        ),
        ("problems.guided_cartpole.learner.action_bound", 4.0, r"action_bound = 4.0: unknown key"),
        ("problems.four_rooms.learner", ..., r"problems.four_rooms.learner is missing"),
        ("problems.four_rooms.learner", None, r"problems.four_rooms.learner = None: "),
        ("followers.learners", {}, r"followers.learners = \{\}: unknown key"),
    ],
)
def test_an_impossible_learning_rule_is_named(
    read: Read, shipped: Content, key: str, value: Any, expected: str
) -> None:
    message = refusal(read, changed(shipped, key, value))
    assert re.search(expected, message), message
    assert key.rpartition(".")[0] in message


def test_a_single_checkpoint_is_enough(read: Read, shipped: Content) -> None:
    params = read(changed(shipped, "problems.four_rooms.learning.steps", [7]))
    assert params.block("four_rooms").learning.steps == (7,)
    learning = shipped["problems"]["four_rooms"]["learning"]
    first, number = (learning[key] for key in ("first_seed", "num_seeds"))
    assert params.block("four_rooms").learning.seeds == range(first, first + number)


def test_followers_that_learn_are_among_the_conditions(read: Read, shipped: Content) -> None:
    params = read(shipped)
    found = [
        setting.conditions(params.block("four_rooms").shared())
        for setting in params.settings("four_rooms", "bc_hg")
        if setting.follower.kind == "soft_q" and setting.belief is not None
    ]
    assert found == [
        {
            "temperature": 0.003, "env_steps_per_update": 100, "follower": "soft_q",
            "information": "rewards", "follower_steps": 1000, "start": "carry",
            "first_follower_steps": 200000,
        }
    ]  # fmt: skip
    believed = [
        setting.conditions(params.block("four_rooms").shared())
        for setting in params.settings("four_rooms", "bc_hg")
        if getattr(setting, "belief", None) is not None and setting.belief.temperature is not None
    ]
    assert [each["believed_temperature"] for each in believed] == [0.0015, 0.006]


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


CELL = "problems.four_rooms.cells.bc_hg"
PARENT: Content = {
    "variant": "corrected", "temperature": 0.003, "env_steps_per_update": 100, "num_envs": 1,
    "step_size": 0.1, "critic": {"kind": "sarsa", "step_size": 0.3},
    "follower": {"kind": "soft_q", "start": "carry", "first_steps": 200, "steps": 100},
    "belief": {"kind": "frequencies", "information": "rewards", "smoothing": 0.006},
}  # fmt: skip


def family(content: Content, **entries: Content) -> Content:
    """params.yaml in which the entries of BC-HG in FourRooms are `parent` and others."""
    return changed(content, CELL, {"parent": PARENT, **entries})


@pytest.mark.parametrize(
    ("own", "follower"),
    [
        ({"steps": 300}, {**PARENT["follower"], "steps": 300}),
        ({"kind": "soft_q", "steps": 300}, {**PARENT["follower"], "steps": 300}),
        ({"first_steps": None}, {**PARENT["follower"], "first_steps": None}),
        ({"kind": "exact"}, {"kind": "exact"}),
        (
            {"kind": "truncated", "policy_iterations": 2, "start": "reset"},
            {"kind": "truncated", "policy_iterations": 2, "start": "reset"},
        ),
    ],
)
def test_an_entry_overrides_a_component_key_by_key_and_another_kind_replaces_it(
    read: Read, shipped: Content, own: Content, follower: Content
) -> None:
    content = family(shipped, child={"extends": "parent", "step_size": 0.7, "follower": own})
    parent, child = read(content).settings("four_rooms", "bc_hg")
    expected = {**parent.model_dump(), "step_size": 0.7, "follower": follower}
    assert child.model_dump() == expected
    assert child.critic.step_size == 0.3


def test_another_kind_takes_over_nothing(read: Read, shipped: Content) -> None:
    # Both kinds have a `start`.
    own = {"kind": "truncated", "policy_iterations": 2}
    content = family(shipped, child={"extends": "parent", "follower": own})
    assert f"{CELL}.child: follower.start is missing" in refusal(read, content)


def test_an_entry_may_leave_out_what_it_extends(read: Read, shipped: Content) -> None:
    content = family(shipped, child={"extends": "parent", "belief": None})
    parent, child = read(content).settings("four_rooms", "bc_hg")
    assert parent.belief.smoothing == 0.006
    assert child.model_dump() == {**parent.model_dump(), "belief": None}


def test_entries_extend_others_that_extend_others_in_any_order(
    read: Read, shipped: Content
) -> None:
    content = changed(
        shipped,
        CELL,
        {
            "grandchild": {"extends": "child", "follower": {"steps": 900}},
            "child": {"extends": "parent", "follower": {"first_steps": 700, "steps": 800}},
            "parent": PARENT,
        },
    )
    settings = read(content).settings("four_rooms", "bc_hg")
    steps = [(s.follower.first_steps, s.follower.steps) for s in settings]
    assert steps == [(700, 900), (700, 800), (200, 100)]
    assert len({s.model_dump_json(exclude={"follower"}) for s in settings}) == 1


def test_an_entry_sweeps_where_the_one_that_it_extends_does_not_and_the_other_way_round(
    read: Read, shipped: Content
) -> None:
    content = family(
        shipped,
        child={"extends": "parent", "follower": {"steps": [300, 400]}},
        grandchild={"extends": "child", "follower": {"steps": 500}},
    )
    settings = read(content).settings("four_rooms", "bc_hg")
    assert [s.follower.steps for s in settings] == [100, 300, 400, 500]


@pytest.mark.parametrize("parent", ["nobody", "", 3, ["parent"], {}])
def test_an_entry_that_extends_none_is_named_with_those_that_it_may_extend(
    read: Read, shipped: Content, parent: Any
) -> None:
    content = family(shipped, child={"extends": parent, "step_size": 0.7})
    expected = f"{CELL}.child: extends = {parent!r}: allowed are ['parent']"
    assert refusal(read, content).endswith(expected)


def test_an_entry_extends_none_of_another_estimator(read: Read, shipped: Content) -> None:
    content = changed(shipped, f"{NAIVE}.extends", "corrected_100")
    others = ["published_1000", "published_200", "published_400"]
    expected = f"{NAIVE}: extends = 'corrected_100': allowed are {others}"
    assert refusal(read, content).endswith(expected)


def test_it_is_the_entry_whose_parent_is_missing_that_is_named(
    read: Read, shipped: Content
) -> None:
    entries = {"child": {"extends": "middle"}, "middle": {"extends": "nobody"}, "parent": PARENT}
    expected = f"{CELL}.middle: extends = 'nobody': allowed are ['parent']"
    assert refusal(read, changed(shipped, CELL, entries)).endswith(expected)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (
            {"child": {"extends": "child"}},
            "child: extends = 'child': child extends child, which never ends",
        ),
        (
            {"child": {"extends": "twin"}, "twin": {"extends": "child"}},
            "twin: extends = 'child': child extends twin extends child, which never ends",
        ),
        (
            {"child": {"extends": "twin"}, "twin": {"extends": "twin"}},
            "twin: extends = 'twin': child extends twin extends twin, which never ends",
        ),
    ],
)
def test_an_entry_that_extends_itself_is_named_with_its_circle(
    read: Read, shipped: Content, entries: Content, expected: str
) -> None:
    assert f"{CELL}.{expected}" in refusal(read, family(shipped, **entries))


def test_an_impossible_value_is_named_with_the_entry_that_sets_it(
    read: Read, shipped: Content
) -> None:
    content = family(shipped, child={"extends": "parent", "critic": {"step_size": 1.5}})
    message = refusal(read, content)
    assert f"{CELL}.child: critic.step_size = 1.5: " in message
    assert "less than or equal to 1" in message


TRUNCATED_FOLLOWER = {"kind": "truncated", "policy_iterations": 2, "start": "carry"}
SOFT_Q_FOLLOWER = {"kind": "soft_q", "start": "carry", "steps": 100}
WATCHING = {"information": "rewards"}


@pytest.mark.parametrize(
    ("entry", "name", "component", "key", "allowed"),
    [
        (CORRECTED, "follower", {"kind": "exact"}, "start", ["kind"]),
        (CORRECTED, "follower", {"kind": "exact"}, "policy_iterations", ["kind"]),
        (
            CORRECTED,
            "follower",
            TRUNCATED_FOLLOWER,
            "first_steps",
            ["kind", "policy_iterations", "start"],
        ),
        (
            CORRECTED,
            "follower",
            SOFT_Q_FOLLOWER,
            "policy_iterations",
            ["first_steps", "kind", "start", "steps"],
        ),
        (CORRECTED, "critic", {"kind": "sarsa", "step_size": 0.3}, "steps", ["kind", "step_size"]),
        (
            CORRECTED,
            "belief",
            {"kind": "frequencies", **WATCHING},
            "ridge",
            ["forgetting_factor", "information", "kind", "smoothing", "temperature"],
        ),
        (f"{TOY}.published", "critic", {"steps": 1}, "features", ["kind", "step_size", "steps"]),
        (
            f"{TOY}.soft_q",
            "follower",
            SOFT_Q_FOLLOWER,
            "policy_iterations",
            ["first_steps", "kind", "start", "steps"],
        ),
        (
            f"{LQR}.watching",
            "belief",
            {"kind": "planned", **WATCHING},
            "smoothing",
            ["information", "kind", "temperature"],
        ),
        (
            f"{LQR}.sac",
            "follower",
            {"kind": "sac", "start": "carry", "steps": 300},
            "policy_iterations",
            ["first_steps", "kind", "start", "steps"],
        ),
        (f"{THERMAL}.published", "critic", {"kind": "quadratic"}, "steps", ["kind"]),
        (
            f"{THERMAL}.published",
            "critic",
            {"kind": "network", "steps": 5, "step_size": 0.1},
            "ridge",
            ["kind", "step_size", "steps"],
        ),
        (
            f"{THERMAL}.watching",
            "belief",
            {"kind": "linear", **WATCHING},
            "features",
            ["information", "kind", "temperature"],
        ),
        (
            f"{THERMAL}.sac",
            "belief",
            {"kind": "random_features", **WATCHING, "features": 9, "ridge": 0.1},
            "forgetting_factor",
            ["features", "information", "kind", "ridge", "temperature"],
        ),
        (
            f"{CARTPOLE}.bc_hg.improved",
            "critic",
            {"kind": "random_features"},
            "policy_ridge",
            ["features", "forgetting_factor", "kind", "ridge"],
        ),
    ],
)
def test_a_key_of_one_kind_is_unknown_to_another(
    read: Read,
    shipped: Content,
    entry: str,
    name: str,
    component: Content,
    key: str,
    allowed: list[str],
) -> None:
    content = changed(shipped, f"{entry}.{name}", {**component, key: 2})
    message = refusal(read, content)
    assert f"{entry}: {name}.{key} = 2: unknown key" in message
    assert message.endswith(f"allowed are {allowed}")


def test_an_unknown_key_of_a_component_is_named_if_nothing_is_in_it(
    read: Read, shipped: Content
) -> None:
    content = changed(shipped, f"{ENTRY}.follower", {"kind": "exact", "start": {}})
    assert f"{ENTRY}: follower.start = {{}}: unknown key" in refusal(read, content)


@pytest.mark.parametrize(
    ("entry", "name", "component"),
    [
        (ENTRY, "follower", {"start": "carry"}),
        (ENTRY, "follower", {}),
        (ENTRY, "critic", {"step_size": 0.5}),
        (ENTRY, "critic", {}),
        (CORRECTED, "belief", {"information": "rewards"}),
        (CORRECTED, "belief", {}),
        (f"{LQR}.improved", "follower", {"steps": 10}),
        (f"{LQR}.improved", "belief", {"information": "rewards"}),
        (f"{THERMAL}.published", "critic", {"steps": 5}),
        (f"{THERMAL}.published", "critic", {}),
        (f"{THERMAL}.improved_1000", "belief", {"features": 9}),
        (f"{THERMAL}.improved_1000", "belief", {}),
    ],
)
def test_a_component_without_a_kind_is_named(
    read: Read, shipped: Content, entry: str, name: str, component: Content
) -> None:
    message = refusal(read, changed(shipped, f"{entry}.{name}", component))
    assert message.endswith(f"{entry}: {name}.kind is missing")


@pytest.mark.parametrize(
    "key",
    [
        "problems.discrete_toy_r1.training.critic",
        "problems.bilevel_lqr.training.critic",
        "problems.guided_cartpole.training.critic",
        "problems.guided_cartpole.training.belief",
        "problems.guided_cartpole.training.follower",
    ],
)
def test_a_shared_component_without_a_kind_is_named(read: Read, shipped: Content, key: str) -> None:
    message = refusal(read, changed(shipped, f"{key}.kind", ...))
    assert message.endswith(f"{key}.kind is missing")
    assert f"{key}.kind = 'other': " in refusal(read, changed(shipped, f"{key}.kind", "other"))


def test_lists_in_several_components_expand_to_their_product_in_order(
    read: Read, shipped: Content
) -> None:
    child = {
        "extends": "parent",
        "follower": {"steps": [300, 400]},
        "belief": {"information": ["rewards", "actions"]},
    }
    _, *settings = read(family(shipped, child=child)).settings("four_rooms", "bc_hg")
    assert [(s.follower.steps, s.belief.information) for s in settings] == [
        (300, "rewards"), (300, "actions"), (400, "rewards"), (400, "actions"),
    ]  # fmt: skip
    assert {s.belief.smoothing for s in settings} == {0.006}


def test_a_list_of_kinds_is_swept(read: Read, shipped: Content) -> None:
    settings = read(shipped).settings("bilevel_lqr", "bc_hg")
    found = [
        setting.belief.kind
        for setting in settings
        if getattr(setting, "belief", None) is not None and setting.follower.kind == "exact"
    ]
    assert found == ["evaluated", "planned"]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("follower.steps", [], "follower.steps = []: a swept list needs at least one value"),
        ("follower.steps", [100, 100], "follower.steps = [100, 100]: swept values must differ"),
        ("follower.steps", [100, None], "follower.steps = None: "),
        ("follower.steps", [100, 0], "follower.steps = 0: "),
        ("follower.steps", [100, 2.5], "follower.steps = 2.5: "),
        ("follower.steps", [[100]], "follower.steps = [100]: "),
        ("follower.kind", [], "follower.kind = []: a swept list needs at least one value"),
        ("follower.kind", ["soft_q", "best"], "follower.kind = 'best': allowed are 'exact', 'tru"),
        ("follower.kind", ["soft_q", "exact"], "follower.start = 'carry': unknown key; allowed"),
        ("belief.temperature", [0.003, -1.0], "belief.temperature = -1.0: "),
    ],
)
def test_an_impossible_list_in_a_component_is_named(
    read: Read, shipped: Content, key: str, value: Any, expected: str
) -> None:
    content = changed(family(shipped), f"{CELL}.parent.{key}", value)
    assert f"{CELL}.parent: {expected}" in refusal(read, content)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("problems.discrete_toy_r1.training.critic.step_size", [0.001, 0.01]),
        ("problems.bilevel_lqr.training.step_size", [0.1, 0.2]),
        ("problems.guided_cartpole.training.follower.steps", [800, 1600]),
    ],
)
def test_what_cells_share_is_not_swept(
    read: Read, shipped: Content, key: str, value: list[float]
) -> None:
    message = refusal(read, changed(shipped, key, value))
    assert f"{key} = {value}: " in message


def leaves(content: Content, path: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values, components key by key."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


#: What the cells of a problem share and no entry may set.
UNSETTABLE = {
    *((problem, "max_rows") for problem in load("params.yaml")["problems"]),
    ("four_rooms", "max_gradient_norm"),
}
SHARED = [
    (problem, key, value)
    for problem, block in load("params.yaml")["problems"].items()
    for key, value in leaves(block["training"])
    if (problem, key) not in UNSETTABLE
]


def another(value: Any) -> Any:
    """Another possible value of a key that cells share; the same where there is no other."""
    if isinstance(value, str):
        returns = {"discounted": "undiscounted", "undiscounted": "discounted"}
        return returns.get(value, value)
    if isinstance(value, list):
        return value[:-1]
    return 2 * value if isinstance(value, int) else value / 2


@pytest.mark.parametrize(("problem", "key", "value"), SHARED, ids=lambda part: str(part))
def test_every_value_that_cells_share_is_used(
    read: Read, shipped: Content, shipped_params: Params, problem: str, key: str, value: Any
) -> None:
    def taken(params: Params) -> dict[tuple[str, int], Any]:
        return {
            (estimator, place): dict(leaves(setting.model_dump(mode="json"))).get(key)
            for estimator in params.block(problem).cells
            for place, setting in enumerate(params.settings(problem, estimator))
        }

    new = another(value)
    content = changed(shipped, f"problems.{problem}.training.{key}", new)
    if key == "temperature":
        content = changed(content, f"problems.{problem}.search.temperatures", [value, new])
    before, after = taken(shipped_params), taken(read(content))
    following = [each for each in before if (before[each], after[each]) == (value, new)]
    assert following
    assert all(after[each] == before[each] for each in before if each not in following)


@pytest.mark.parametrize(("problem", "key"), sorted(UNSETTABLE))
def test_what_no_entry_may_set_is_unknown_to_it(
    read: Read, shipped: Content, problem: str, key: str
) -> None:
    estimator, entries = next(iter(shipped["problems"][problem]["cells"].items()))
    entry = f"problems.{problem}.cells.{estimator}.{next(iter(entries))}"
    message = refusal(read, changed(shipped, f"{entry}.{key}", 7))
    assert f"{entry}: {key} = 7: unknown key" in message


@pytest.mark.parametrize("problem", sorted({problem for problem, _ in UNSETTABLE}))
def test_what_no_entry_may_set_reaches_the_runs(read: Read, shipped: Content, problem: str) -> None:
    content = changed(shipped, f"problems.{problem}.training.max_rows", 7)
    content = changed(content, "problems.four_rooms.training.max_gradient_norm", 0.25)
    params = read(content)
    estimator = next(iter(params.block(problem).cells))
    settings = params.settings(problem, estimator)[:1]
    runs = list_runs(params, problem, estimator, settings)
    (chunk, *_) = make_chunks(params, problem, estimator, runs)
    assert chunk.max_rows == 7
    if problem == "four_rooms":
        make = maker(chunk.kind, estimator, settings[0])
        built = cell_of(chunk.kind).build(make, settings, chunk.context)
        assert built.rule.max_norm == 0.25


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
