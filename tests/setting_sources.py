"""Where shipped values come from: reads tuning/sources.yaml, and finds what is not as it says."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from bilevelrl.config import Setting, TuningParams, read_mapping, read_tuning_params
from bilevelrl.config.families import expand
from bilevelrl.tuning import CONDITIONS, winners

ROOT = Path(__file__).parents[1]
#: What does not count: who runs things, and which cells there are.
UNTRACED = {"runtime", "grid", "grid_problems"}
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
        for key, value in node.items():
            if isinstance(value, dict):
                yield from below(value, (*path, str(key)))
            elif value is not None:
                yield Leaf(".".join(path), str(key), value)

    yield from below({k: v for k, v in content.items() if k not in UNTRACED}, ())


@dataclass(frozen=True)
class Rule:
    """One rule of tuning/sources.yaml."""

    blocks: tuple[str, ...]
    source: str
    keys: tuple[str, ...] | None = None
    search: str | None = None
    reason: str | None = None

    def covers(self, block: str, key: str) -> bool:
        """Whether the rule is about a value."""
        return (self.keys is None or key in self.keys) and any(
            _pattern(pattern).fullmatch(block) for pattern in self.blocks
        )


@cache
def _pattern(text: str) -> re.Pattern[str]:
    escaped = re.escape(text).replace(r"\*", "[^.]*")
    return re.compile(
        re.sub(r"\\{(.*?)\\}", lambda found: f"(?:{found[1].replace(',', '|')})", escaped)
    )


@cache
def rules() -> tuple[Rule, ...]:
    """All of tuning/sources.yaml."""
    return tuple(
        Rule(
            tuple(item["blocks"]),
            item["source"],
            tuple(item["keys"]) if "keys" in item else None,
            item.get("search"),
            item.get("reason"),
        )
        for item in load("tuning/sources.yaml")["rules"]
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
    return tuple(s.model_dump() for s in winners(tuning_params(), search, results(search)))


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


def untraceable(
    problem: str, estimator: str, name: str, entry: Content, shared: Content, changed: Iterable[str]
) -> Iterator[str]:
    """Complaints about an entry of `cells` that is not what its rules say.

    Args:
        problem, estimator, name: of the entry.
        entry: its keys.
        shared: what the problem's entries take over.
        changed: keys of these that a profile changes.
    """
    block = f"cells.{problem}.{estimator}.{name}"
    unknown = [key for key in entry if len(rules_of(block, key)) != 1]
    if unknown:
        yield f"{block} does not say where {unknown} come from"
        return
    claims = {key: rules_of(block, key)[0] for key in entry}
    fixed = {key for key, rule in claims.items() if rule.source == "fixed"}
    quoted = {key for key, rule in claims.items() if rule.source == "paper"}
    searches = {rule.search for rule in claims.values() if rule.search is not None}
    for setting in expand(entry, problem, estimator, shared, block):
        if quoted and not _is_the_papers(problem, estimator, setting, quoted):
            yield f"{block} has not the paper's {sorted(quoted)}"
        own = setting.model_dump()
        for search in searches:
            held = {*tuning_params().grid[search].candidates, *CONDITIONS}
            foreign = {key for key, rule in claims.items() if rule.search not in (None, search)}
            free = {"first_seed", "num_seeds", *fixed, *changed, *(foreign - held)}
            if not any(_agree(own, winner, free) for winner in won(search)):
                yield f"{block} is not what {search} chose, {sorted(free)} apart"


def _agree(own: Content, winner: Content, free: set[str]) -> bool:
    return all(own[key] == winner[key] for key in own.keys() - free)


def _is_the_papers(problem: str, estimator: str, setting: Setting, quoted: set[str]) -> bool:
    rows: list[Content] = paper()["settings"][problem].get(estimator, [])
    return any(
        quoted <= row.keys()
        and all(
            getattr(setting, key) in (value if isinstance(value, list) else [value])
            for key, value in row.items()
        )
        for row in rows
    )
