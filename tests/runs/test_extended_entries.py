"""Entries that extend others."""

from typing import Any

import pytest

from tests.runs.params_files import Content, Read, changed, refusal

NAIVE = "problems.four_rooms.cells.naive.published_100"


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
