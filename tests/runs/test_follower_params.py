"""params.yaml: followers and beliefs that do not fit, and learning rules."""

import re
from typing import Any

import pytest

from tests.runs.params_files import Content, Read, changed, refusal

ENTRY = "problems.four_rooms.cells.bc_hg.published_100"
TRUNCATED = "problems.four_rooms.cells.bc_hg.truncated"
THERMAL = "problems.thermal_control.cells.bc_hg"
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
            r"belief.kind = 'planned': allowed are 'linear', 'random_features', 'identified'$",
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
        if setting.follower.kind == "soft_q" and getattr(setting, "belief", None) is not None
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
