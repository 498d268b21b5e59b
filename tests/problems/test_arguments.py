"""Environments refuse what is no number by the name of the argument, all of them alike."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest

from bilevelrl.problems import registry

Make = Callable[..., gymnasium.Env[Any, Any]]
NAMES = {kind: name for kind, name in registry.ENVIRONMENTS.items() if name is not None}


def maker(kind: str) -> Make:
    made: Make = getattr(registry.part(kind, "gym"), f"{NAMES[kind]}Env")
    return made


def keywords(make: Make) -> dict[str, object]:
    """What an environment takes, with a value that it has."""
    named = inspect.signature(make).parameters.values()
    found = {each.name: each.default for each in named if each.kind is not each.VAR_KEYWORD}
    for value in vars(make()).values():
        if dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                own = {field.name: getattr(value, field.name)}
                try:
                    make(**own)
                except TypeError:  # not of the environment
                    continue
                found |= own
    return found


def bad_values(value: object) -> list[object]:
    bad: list[object] = ["a", float("nan"), 1j, [1.0, [2.0]]]
    if isinstance(value, bool | str) or value is None:
        return bad
    if isinstance(value, int):
        return [*bad, "2", value + 0.5, float(value), True, None, 0]
    return [*bad, None, True] if isinstance(value, float) else bad


@pytest.mark.parametrize("kind", NAMES)
def test_what_is_no_such_number_is_refused_by_name(kind: str) -> None:
    make, silent = maker(kind), []
    found = keywords(make)
    assert len(found) >= 3
    for name, value in found.items():
        for bad in bad_values(value):
            try:
                make(**{name: bad})
            except ValueError as error:
                if name in str(error):
                    continue
            except Exception as error:
                silent.append(f"{name} = {bad!r}: {error!r}"[:200])
                continue
            silent.append(f"{name} = {bad!r}")
    assert silent == []


@pytest.mark.parametrize("kind", NAMES)
def test_numbers_of_numpy_are_numbers(kind: str) -> None:
    make, tried = maker(kind), 0
    for name, value in keywords(make).items():
        if isinstance(value, int | float):
            make(**{name: np.array([value])[0]})
            tried += 1
    assert tried >= 1


PARALLEL = [kind for kind in registry.KINDS if registry.has(kind, "parallel")]


@pytest.mark.parametrize("kind", PARALLEL)
def test_agents_move_together(kind: str) -> None:
    env = registry.part(kind, "parallel").parallel_env()
    moves = {agent: env.action_space(agent).sample() for agent in env.possible_agents}
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(moves)
    env.reset(seed=0)
    first, *others = env.agents
    with pytest.raises(ValueError, match=rf"actions lacks \['{first}'\]"):
        env.step({agent: moves[agent] for agent in others})
    with pytest.raises(ValueError, match=r"actions has \['nobody'\], who do not act"):
        env.step({**moves, "nobody": moves[first]})
    observations, *_ = env.step(moves)
    assert [*observations] == [*moves]


def test_some_environments_have_agents() -> None:
    assert len(PARALLEL) >= 2
