"""Where shipped values come from: reads tuning/sources.yaml, and finds what is not as it says."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from bilevelrl.core.settings import flat
from bilevelrl.runs.tuning import winners
from bilevelrl.runs.tuning_params import TuningParams, read_tuning_params
from bilevelrl.runs.yaml_files import read_mapping
from pipeline.profile import merge

ROOT = Path(__file__).parents[2]
#: What does not count: who runs things, and which cells and kinds of problems there are.
UNTRACED = {"runtime", "grid", "grid_problems"}
KIND = re.compile(r"problems\.\w+\.kind")
#: Blocks of the entries of `cells`.
CELLS = re.compile(r"problems\.\w+\.cells\..+")
#: Blocks whose components are one value and its keys, see `core.settings.flat`.
FLAT = re.compile(r"problems\.\w+\.(training|cells\.\w+\.\w+)")
#: Files whose values are traced.
FILES = ("params.yaml", "profiles/paper.yaml")
Content = dict[str, Any]


@dataclass(frozen=True)
class Leaf:
    """A value of params.yaml, right below its block."""

    block: str
    key: str
    value: Any


def load(name: str) -> Content:
    """A YAML file of the repository."""
    return read_mapping(ROOT / name)


def leaves(content: Content) -> Iterator[Leaf]:
    """Every value of params.yaml or of a profile that needs a source; null is none."""

    def below(node: Content, path: tuple[str, ...]) -> Iterator[Leaf]:
        if FLAT.fullmatch(".".join(path)):
            node = said(node)
        for key, value in node.items():
            if isinstance(value, dict):
                yield from below(value, (*path, str(key)))
            elif value is not None and not KIND.fullmatch(".".join((*path, str(key)))):
                yield Leaf(".".join(path), str(key), value)

    yield from below({k: v for k, v in content.items() if k not in UNTRACED}, ())


def said(entry: Content) -> Content:
    """What an entry says itself, by one name each."""
    return {key: value for key, value in flat(entry).items() if key != "extends"}


def changed(entry: Content, change: Content) -> Content:
    """An entry with other values, which are named as by `flat`."""
    found = dict(entry)
    for key, value in change.items():
        component, _, inner = key.partition("_")
        if component in ("critic", "follower", "belief") and key != "follower_samples":
            found[component] = {**found.get(component, {}), inner or "kind": value}
        else:
            found[key] = value
    return found


def merged(file: str) -> Content:
    """All of params.yaml, as a profile changes it."""
    return merge(load("params.yaml"), {} if file == "params.yaml" else load(file))


@dataclass(frozen=True)
class Rule:
    """One rule of tuning/sources.yaml.

    `check` has what can be checked of a reason, by kind: `CHECKS`.
    """

    blocks: tuple[str, ...]
    source: str
    keys: tuple[str, ...] | None = None
    search: str | None = None
    reason: str | None = None
    check: Content = field(default_factory=dict)

    def covers(self, block: str, key: str) -> bool:
        """Whether the rule is about a value."""
        return (self.keys is None or key in self.keys) and _matches(self.blocks, block)


@dataclass(frozen=True)
class Difference:
    """What tuned cells have otherwise than their search."""

    search: str
    blocks: tuple[str, ...]
    keys: tuple[str, ...]
    reason: str
    file: str | None = None

    def covers(self, file: str, block: str, search: str) -> bool:
        """Whether it is about a cell and one of its searches."""
        return (
            self.file in (None, file)
            and _matches(self.blocks, block)
            and _matches((self.search,), search)
        )


def _matches(patterns: tuple[str, ...], name: str) -> bool:
    return any(_pattern(pattern).fullmatch(name) for pattern in patterns)


@cache
def _pattern(text: str) -> re.Pattern[str]:
    escaped = re.escape(text).replace(r"\*", "[^.]*")
    return re.compile(
        re.sub(r"\\{(.*?)\\}", lambda found: f"(?:{found[1].replace(',', '|')})", escaped)
    )


@cache
def rules() -> tuple[Rule, ...]:
    """All rules of tuning/sources.yaml."""
    own = {"blocks", "keys", "source", "search", "reason"}
    return tuple(
        Rule(
            tuple(item["blocks"]),
            item["source"],
            tuple(item["keys"]) if "keys" in item else None,
            item.get("search"),
            item.get("reason"),
            {kind: argument for kind, argument in item.items() if kind not in own},
        )
        for item in load("tuning/sources.yaml")["rules"]
    )


@cache
def differences() -> tuple[Difference, ...]:
    """All differences of tuning/sources.yaml."""
    return tuple(
        Difference(**item | {"blocks": tuple(item["blocks"]), "keys": tuple(item["keys"])})
        for item in load("tuning/sources.yaml")["differences"]
    )


@cache
def rules_of(block: str, key: str) -> tuple[Rule, ...]:
    """Rules that cover a value: exactly one, or something is wrong."""
    return tuple(rule for rule in rules() if rule.covers(block, key))


@cache
def tuning_params() -> TuningParams:
    """tuning/params.yaml."""
    return read_tuning_params(ROOT / "tuning" / "params.yaml")


@cache
def results(search: str) -> pd.DataFrame:
    """What a search found."""
    return pd.read_csv(ROOT / "tuning" / "results" / f"{search}.csv")


@cache
def won(search: str) -> tuple[Content, ...]:
    """Everything that the winners of a search have."""
    return tuple(flat(s.model_dump()) for s in winners(tuning_params(), search, results(search)))


@cache
def paper() -> Content:
    """The paper's values."""
    return load("tuning/paper.yaml")


def misquoted(leaf: Leaf) -> Iterator[str]:
    """Complaints about a value outside of `cells` that claims to be the paper's, and is not."""
    if any(rule.source == "paper" for rule in rules_of(leaf.block, leaf.key)):
        stated = paper()["values"].get(leaf.block, {}).get(leaf.key)
        if type(stated) is not type(leaf.value) or stated != leaf.value:
            yield f"{leaf.block}.{leaf.key} = {leaf.value}, the paper has {stated}"
