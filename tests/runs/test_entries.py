"""Entries of `cells`: what they extend, their components, and what they share."""

from typing import Any

import pytest

from tests.runs.params_files import Content, Read, changed, refusal

ENTRY = "problems.four_rooms.cells.bc_hg.published_100"


THERMAL = "problems.thermal_control.cells.bc_hg"


CELL = "problems.four_rooms.cells.bc_hg"


CORRECTED = f"{CELL}.corrected_100"


CARTPOLE = "problems.guided_cartpole.cells"


TOY = "problems.discrete_toy_r1.cells.bc_hg"


LQR = "problems.bilevel_lqr.cells.bc_hg"


PARENT: Content = {
    "variant": "corrected", "temperature": 0.003, "env_steps_per_update": 100, "num_envs": 1,
    "step_size": 0.1, "critic": {"kind": "sarsa", "step_size": 0.3},
    "follower": {"kind": "soft_q", "start": "carry", "first_steps": 200, "steps": 100},
    "belief": {"kind": "frequencies", "information": "rewards", "smoothing": 0.006},
}  # fmt: skip


def family(content: Content, **entries: Content) -> Content:
    """params.yaml in which the entries of BC-HG in FourRooms are `parent` and others."""
    return changed(content, CELL, {"parent": PARENT, **entries})


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
