"""Runs share a batch only where that changes no bit: what a builder reads from the first of its
settings belongs in `group_key`, and is not marked `PER_RUN`.

Every kind of setting that is shipped is tried with each of its keys, so that a new key or a new
problem needs no line here.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.cell import Context
from bilevelrl.core.settings import Component, Setting, flat, group_key
from bilevelrl.core.validation import ConfigError, validate
from bilevelrl.models.deep.settings import ComparedSacParams, SacFollower, SacParams
from bilevelrl.runs.chunks import Chunk, Run, train_chunk
from bilevelrl.runs.params import parse_params
from bilevelrl.runs.yaml_files import read_mapping
from pipeline.profile import merge

ROOT = Path(__file__).parents[2]
BASE = read_mapping(ROOT / "params.yaml")
PARAMS = parse_params(BASE, "params.yaml")
PAPER = parse_params(merge(BASE, read_mapping(ROOT / "profiles" / "paper.yaml")), "params.yaml")
#: Which runs there are, not how they go.
SEEDS = {"first_seed", "num_seeds"}
#: At most this much of everything that takes time.
SMALL = {
    "num_updates": 3, "random_updates": 1, "env_steps_per_update": 1000, "critic.steps": 5,
    "evaluation_episodes": 2,
    **{f"{grid}.{nodes}": most for grid in ("critic", "reference") for nodes, most in (
        ("positions", 13), ("speeds", 7), ("angles", 13), ("rotations", 13), ("pushes", 4))},
}  # fmt: skip
#: What an agent of SAC learns from; a table learns from thousands of transitions at once.
HASTY = {"num_updates": 2, "follower.first_steps": 160, "follower.steps": 80}
#: Tell apart what is built.
KIND = ("variant", "follower", "belief_information", "belief", "critic", "sensitivity")


def against_sac(setting: Setting) -> bool:
    return isinstance(getattr(setting, "follower", None), SacFollower)


def value_of(setting: Setting, key: str) -> Any:
    """None if it has none; `critic.steps` is one of a component."""
    value: Any = setting
    for name in key.split("."):
        value = getattr(value, name, None)
    return value


def updated(setting: Setting, changes: Mapping[str, Any]) -> Setting:
    for key, value in changes.items():
        component, _, own = key.rpartition(".")
        part = value
        if component:
            part = getattr(setting, component).model_copy(update={own: value})
        setting = setting.model_copy(update={component or key: part})
    return setting


def small(setting: Setting) -> Setting:
    """The same, over in a moment."""
    most = SMALL | (HASTY if against_sac(setting) else {})
    own = {key: value_of(setting, key) for key in most}
    less = {key: min(value, most[key]) for key, value in own.items() if value is not None}
    return updated(setting, less)


@dataclass(frozen=True)
class Shipped:
    """All settings of an estimator, small."""

    problem: str
    estimator: str
    settings: tuple[Setting, ...]

    def __str__(self) -> str:
        return f"{self.problem}-{self.estimator}"


@cache
def shipped() -> tuple[Shipped, ...]:
    return tuple(
        Shipped(
            problem,
            estimator,
            tuple(
                dict.fromkeys(
                    small(setting).model_copy(update={"first_seed": 0, "num_seeds": 1})
                    for params in (PARAMS, PAPER)
                    for setting in params.settings(problem, estimator)
                )
            ),
        )
        for problem, estimators in ((name, block.cells) for name, block in PARAMS.problems.items())
        for estimator in estimators
    )


@dataclass(frozen=True)
class Kind:
    """One setting of each kind of an estimator."""

    problem: str
    estimator: str
    setting: Setting

    def __str__(self) -> str:
        own = flat(self.setting.model_dump())
        return "-".join([self.problem, self.estimator, *(own[key] for key in KIND if own.get(key))])

    @property
    def keys(self) -> set[str]:
        """What the estimator may have, components and their own keys, seeds apart."""
        keys = {*type(self.setting).model_fields} - SEEDS
        for name, value in self.setting:
            if isinstance(value, Component):
                keys |= {f"{name}.{key}" for key in type(value).model_fields}
        return keys

    def changed(self) -> dict[str, Setting]:
        """By key: another setting that differs in this key alone, if one is possible."""
        found = {}
        for key in sorted(self.keys):
            for value in others(self, key):
                content = self.setting.model_dump()
                component, _, own = key.rpartition(".")
                (content[component] if component else content)[own] = value
                try:
                    other = validate(type(self.setting), content, str(self))
                except ConfigError:
                    continue
                if other != self.setting:
                    found[key] = other
                    break
        return found


def kinds() -> Iterator[Kind]:
    for each in shipped():
        found = {}
        for setting in each.settings:
            kind = Kind(each.problem, each.estimator, setting)
            found.setdefault(str(kind), kind)
        yield from found.values()


def tried_kinds() -> Iterator[Any]:
    for kind in kinds():
        slow = [pytest.mark.slow] if against_sac(kind.setting) else []
        yield pytest.param(kind, id=str(kind), marks=slow)


def others(kind: Kind, key: str) -> Iterator[Any]:
    """Other values of the key's type; the model may refuse some."""
    component, _, own = key.rpartition(".")
    place = getattr(kind.setting, component) if component else kind.setting
    value = getattr(place, own)
    if not component:
        yield from components(kind.problem, key)
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (2 * value, value + 1)
    elif isinstance(value, float):
        yield from (0.5 * value, 0.25)
    elif isinstance(value, tuple):
        yield tuple(type(part)(0.5 * part) for part in value)
    elif value is None:
        yield from (0.5, 2, 160)
    yield from (name for name in literals(type(place).model_fields[own].annotation))
    yield "another"


def components(problem: str, key: str) -> Iterator[dict[str, Any]]:
    """All that the problem's settings have there."""
    for each in shipped():
        for setting in each.settings if each.problem == problem else ():
            value = getattr(setting, key, None)
            if isinstance(value, Component):
                yield value.model_dump()


def literals(annotation: Any) -> Iterator[str]:
    for part in get_args(annotation):
        if isinstance(part, str):
            yield part
        yield from literals(part)


def train(kind: Any, settings: list[Setting]) -> list[dict[str, NDArray[Any]]]:
    runs = tuple(Run(setting, 7, str(i)) for i, setting in enumerate(settings))
    block, followers = PARAMS.block(kind.problem), PARAMS.problem(kind.problem).followers
    if isinstance(followers.learner, SacParams):
        few = {"episodes": 5} if isinstance(followers.learner, ComparedSacParams) else {}
        hasty = followers.learner.model_copy(update={"learning_starts": 210, **few})
        followers = followers.model_copy(update={"learner": hasty})
    context = Context(block.constants, followers, block.training)
    return train_chunk(Chunk(kind.problem, block.kind, kind.estimator, runs, context, 500))


def spoilt(kind: Any, settings: dict[str, Setting]) -> dict[str, list[str]]:
    """Names of the settings that the batch gives other bits than they have alone, and of which."""
    found = {}
    together = train(kind, [*settings.values()])
    for (name, setting), mine in zip(settings.items(), together, strict=True):
        (alone,) = train(kind, [setting])
        assert alone.keys() == mine.keys()
        wrong = [k for k in alone if not np.array_equal(alone[k], mine[k], equal_nan=True)]
        if wrong:
            found[name] = wrong
    return found


@pytest.mark.parametrize("kind", [*tried_kinds()])
def test_a_key_that_runs_of_a_batch_may_differ_in_is_each_run_s_own(kind: Kind) -> None:
    shared = {
        key: other
        for key, other in kind.changed().items()
        if group_key(other) == group_key(kind.setting)
    }
    assert spoilt(kind, {"nothing": kind.setting} | shared) == {}


@pytest.mark.parametrize("each", shipped(), ids=str)
def test_the_shipped_runs_of_a_batch_have_the_bits_they_have_alone(each: Shipped) -> None:
    # Some keys only change together, as those of a component of another kind.
    groups = defaultdict(list)
    for setting in each.settings:
        groups[group_key(setting)].append(setting)
    for members in groups.values():
        first = flat(members[0].model_dump())
        tried = {}
        for setting in members:
            own = flat(setting.model_dump())
            tried.setdefault(", ".join(key for key in own if own[key] != first[key]), setting)
        if len(tried) > 1:
            assert spoilt(each, tried) == {}


def test_every_key_that_can_change_alone_is_tried() -> None:
    missing = defaultdict(set)
    for kind in kinds():
        missing[PARAMS.block(kind.problem).kind] |= kind.keys
    for kind in kinds():
        changed = kind.changed().keys()
        wholes = {key.rpartition(".")[0] for key in changed}  # of components
        missing[PARAMS.block(kind.problem).kind] -= changed | wholes
    only_together = {f"{name}.kind" for name in ("follower", "critic", "belief", "model")}
    only_together |= {"reference.kind", "shrinkage.kind", "leader"}  # the only ones
    assert {*chain(*missing.values())} <= only_together | {"follower.start", "belief.information"}
