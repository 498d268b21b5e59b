"""Entries of `cells`: what they extend, their components, and what they share."""

from collections.abc import Iterator
from typing import Any

import pytest

from bilevelrl.runs.chunks import cell_of, maker
from bilevelrl.runs.leaders import list_runs, make_chunks
from bilevelrl.runs.params import Params
from tests.runs.params_files import Content, Read, changed, load, refusal

ENTRY = "problems.four_rooms.cells.bc_hg.published_100"
NAIVE = "problems.four_rooms.cells.naive.published_100"
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
