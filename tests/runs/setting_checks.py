"""Whether shipped settings are what their sources say."""

import importlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from bilevelrl.core.entries import resolved
from bilevelrl.core.problem import ProblemBlock
from bilevelrl.core.settings import Setting, flat
from bilevelrl.models.deep.settings import SacFollower
from bilevelrl.runs.params import parse_params
from bilevelrl.runs.tuning import CONDITIONS
from tests.runs.setting_sources import (
    Content,
    Leaf,
    Rule,
    differences,
    paper,
    rules_of,
    said,
    tuning_params,
    won,
)


def settings_of(content: Content, problem: str) -> list[Setting]:
    """Everything that is trained on a problem."""
    params = parse_params(content, "params.yaml")
    return [
        setting
        for estimator in content["problems"][problem]["cells"]
        for setting in params.settings(problem, estimator)
    ]


def _problem_of(leaf: Leaf) -> str:
    (problem,) = set(leaf.block.split(".")) & tuning_params().problems.keys()
    return problem


def _same_as(leaf: Leaf, block: str, content: Content) -> bool:
    node: Any = content
    for part in block.split("."):
        node = node[part]
    return bool(leaf.value == flat(node).get(leaf.key))


def _times(leaf: Leaf, factors: list[Any], content: Content) -> bool:
    del content
    product, problem = 1.0, _problem_of(leaf)
    for factor in factors:
        if factor == "paper":
            stated = paper()["values"]
            said = stated[f"problems.{problem}.seeds"] | stated[f"problems.{problem}.training"]
            product *= said[leaf.key]
        else:
            product *= factor
    return bool(leaf.value == product)


def _default_of(leaf: Leaf, arguments: Content, content: Content) -> bool:
    del content
    where, argument = arguments[leaf.key].rsplit(".", 1)
    module, name = where.rsplit(".", 1)
    called = getattr(importlib.import_module(module), name)
    return bool(leaf.value == inspect.signature(called).parameters[argument].default)


def _at_least(leaf: Leaf, least: str, content: Content) -> bool:
    assert least == "transitions"
    longest = 0
    for setting in settings_of(content, _problem_of(leaf)):
        for follower in setting.components:
            if isinstance(follower, SacFollower):
                longest = max(longest, follower.transitions(setting.num_updates))
    shown: Content | None = content["problems"][_problem_of(leaf)]["learning"]
    return bool(leaf.value > max(longest, *(shown or {"steps": [0]})["steps"]))


def _at_most(leaf: Leaf, most: float, content: Content) -> bool:
    del content
    return bool(leaf.value <= most)


def _values(leaf: Leaf, values: Content, content: Content) -> bool:
    del content
    return type(leaf.value) is type(values[leaf.key]) and bool(leaf.value == values[leaf.key])


def _of_settings(leaf: Leaf, key: str, content: Content) -> bool:
    used = {getattr(setting, key) for setting in settings_of(content, _problem_of(leaf))}
    return set(leaf.value) == used if isinstance(leaf.value, list) else leaf.value in used


#: By name in tuning/sources.yaml: does a value, in the file that it is part of, hold to it?
CHECKS: Mapping[str, Any] = {
    "same_as": _same_as,
    "times": _times,
    "default_of": _default_of,
    "at_least": _at_least,
    "at_most": _at_most,
    "values": _values,
    "of_settings": _of_settings,
}


def unreasonable(leaf: Leaf, content: Content) -> Iterator[str]:
    """Complaints about a fixed value that is not what its reason says."""
    for rule in rules_of(leaf.block, leaf.key):
        for kind, argument in rule.check.items():
            if not CHECKS[kind](leaf, argument, content):
                yield f"{leaf.block}.{leaf.key} = {leaf.value}: not {kind} {argument}"


def untraceable(
    problem: str,
    estimator: str,
    name: str,
    entries: Mapping[str, Content],
    block: ProblemBlock,
    file: str,
) -> Iterator[str]:
    """Complaints about an entry of `cells` that is not what its rules say.

    Args:
        problem, estimator, name: of the entry.
        entries: of the estimator, by name.
        block: of the problem.
        file: of `FILES`, where it is shipped.
    """
    where = f"problems.{problem}.cells.{estimator}"
    claims = dict(claimed(where, name, entries))
    unknown = [key for key, found in claims.items() if len(found) != 1]
    if unknown:
        yield f"{where}.{name} does not say where {unknown} come from"
        return
    rule_of = {key: found[0] for key, found in claims.items()}
    quoted = {key for key, rule in rule_of.items() if rule.source == "paper"}
    place = f"{where}.{name}"
    settings = block.expanded(estimator, resolved(entries, name, where), place)
    if quoted and not all(_is_the_papers(problem, estimator, own, quoted) for own in settings):
        yield f"{place} has not the paper's {sorted(quoted)}"
    for search in sorted({rule.search for rule in rule_of.values() if rule.search is not None}):
        tuned = {key for key, rule in rule_of.items() if rule.search == search} | {*CONDITIONS}
        found: set[str] = set()
        for setting in settings:
            other = _unlike_the_winner(flat(setting.model_dump()), search)
            if other & tuned:
                yield f"{place} has not the {sorted(other & tuned)} that {search} chose"
            found |= other
        listed = {
            key for item in differences() if item.covers(file, place, search) for key in item.keys
        }
        if found - tuned != listed:
            yield f"{place} differs from {search} in {sorted(found)}, not {sorted(listed)}"


def claimed(
    where: str, name: str, entries: Mapping[str, Content]
) -> Iterator[tuple[str, tuple[Rule, ...]]]:
    """Every key of an entry with its rules, those of what it extends first."""
    parent = entries[name].get("extends")
    if parent is not None:
        yield from claimed(where, parent, entries)
    for key in said(entries[name]):
        yield key, rules_of(f"{where}.{name}", key)


def _unlike_the_winner(own: Content, search: str) -> set[str]:
    """Keys in which a setting is not the winner of a search that is most like it."""
    winners_of_it = [each for each in won(search) if _agree(own, each)]
    return min(
        (
            {key for key in own.keys() | each.keys() if own.get(key) != each.get(key)}
            - {"first_seed", "num_seeds"}
            for each in winners_of_it or won(search)
        ),
        key=len,
    )


def _agree(own: Content, winner: Content) -> bool:
    return all(own.get(key) == winner.get(key) for key in CONDITIONS)


def _is_the_papers(problem: str, estimator: str, setting: Setting, quoted: set[str]) -> bool:
    rows: list[Content] = paper()["settings"][problem].get(estimator, [])
    own = {"follower": "exact"} | flat(setting.model_dump())
    return any(
        quoted <= row.keys()
        and all(
            own[key] in (value if isinstance(value, list) else [value])
            for key, value in row.items()
        )
        for row in rows
    )
