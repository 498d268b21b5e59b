"""What the cells of a problem share, and what no entry may set."""

from collections.abc import Iterator
from typing import Any

import pytest

from bilevelrl.runs.chunks import cell_of, maker
from bilevelrl.runs.leaders import list_runs, make_chunks
from bilevelrl.runs.params import Params
from tests.runs.params_files import Content, Read, changed, load, refusal


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
    ("home_battery", "error_replicates"),
}


SHARED = [
    (problem, key, value)
    for problem, block in load("params.yaml")["problems"].items()
    for key, value in leaves(block["training"])
    if (problem, key) not in UNSETTABLE
]


def another(key: str, value: Any) -> Any:
    """Another possible value of a key that cells share; the same where there is no other."""
    others = {"tollable": 76, "houses": 17}
    if key in others:
        return others[key]
    if key in ("players", "levers_needed"):  # one without the other is no room that is searched
        return value
    if isinstance(value, str):
        returns = {"discounted": "undiscounted", "undiscounted": "discounted"}
        return returns.get(value, value)
    if isinstance(value, list):
        return value[:-1] or [2 * value[0]]
    return 2 * value if isinstance(value, int) else 0.75 * value


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

    new = another(key, value)
    content = changed(shipped, f"problems.{problem}.training.{key}", new)
    if key == "temperature":
        known = shipped["problems"][problem]["search"]["temperatures"]
        content = changed(content, f"problems.{problem}.search.temperatures", [*known, new])
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
    (chunk, *_) = make_chunks(params, {(problem, estimator): runs})
    assert chunk.max_rows == 7
    if problem == "four_rooms":
        make = maker(chunk.kind, estimator, settings[0])
        built = cell_of(chunk.kind).build(make, settings, chunk.context)
        assert built.rule.max_norm == 0.25
