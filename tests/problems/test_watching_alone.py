"""Leaders that only watch, as the cells build them: nothing but their observations tells them of
the sampler, and they reckon with the temperature that they believe in.

Every kind of watching leader that params.yaml ships is tried, so that a new problem needs no line
here unless it wants its constants changed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.batches import TabularObservations
from bilevelrl.core.cell import Context
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.observations import Observations
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.seeding import Streams
from bilevelrl.core.settings import Setting, WatchingBelief
from bilevelrl.core.split_half import SplitHalf
from bilevelrl.models.deep.settings import SacFollower
from bilevelrl.models.finite_game.markov_game import GameSizes
from bilevelrl.problems.four_rooms.problem import Incentive
from bilevelrl.problems.thermal_control.design import ThermalDesign
from bilevelrl.runs.chunks import cell_of, maker
from bilevelrl.runs.params import Params, read_params

Floats = NDArray[np.float64]
PARAMS: Params = read_params(Path(__file__).parents[2] / "params.yaml")
#: Of what the true model consists, of all that a game or a world holds: what these packages have,
MODEL = ("bilevelrl.problems.", "bilevelrl.models.")
#: but for modules of games and worlds, which hold the model and are none, and of leaders' policies,
BESIDE = ("game", "policies", "policy")
#: and for what else a leader knows of its own doing.
OWN = (GameSizes, Incentive, ThermalDesign)
#: A network need not have learned much, nor act for long.
HASTY = {"first_steps": 160, "steps": 80}
FEW = {"env_steps_per_update": 2000}
SEEDS = [3, 4]


@dataclass(frozen=True)
class Watching:
    """A watching leader that is shipped."""

    problem: str
    estimator: str
    setting: Setting

    def __str__(self) -> str:
        follower = self.setting.conditions(PARAMS.block(self.problem).shared())["follower"]
        kind = (self.belief.information, self.belief.kind, follower)
        return "-".join([self.problem, self.estimator, *kind])

    @property
    def belief(self) -> WatchingBelief:
        """What it has and others have not."""
        found: WatchingBelief = self.setting.belief  # type: ignore[attr-defined]
        return found

    def build(self, **changes: Any) -> Any:
        """All that the training loop needs for two runs; `changes` are of the constants.

        Of an estimator that is split into halves, what all of them are.
        """
        block = PARAMS.block(self.problem)
        changed = type(block.constants).model_validate(block.constants.model_dump() | changes)
        context = Context(changed, PARAMS.problem(self.problem).followers, block.training)
        make = maker(block.kind, self.estimator, self.setting)
        built = cell_of(block.kind).build(make, [self.setting] * len(SEEDS), context)
        if isinstance(built.estimator, SplitHalf):
            return replace(built, estimator=built.estimator.sampled)
        return built


def hasty(setting: Setting) -> Setting:
    """The same, over in a moment, where a network learns."""
    follower = getattr(setting, "follower", None)
    if not isinstance(follower, SacFollower):
        return setting
    return setting.model_copy(update=FEW | {"follower": follower.model_copy(update=HASTY)})


def shipped() -> Iterator[Watching]:
    """One of each kind that has a belief."""
    for problem, cells in ((name, block.cells) for name, block in PARAMS.problems.items()):
        kinds = set()
        for estimator in cells:
            for setting in PARAMS.settings(problem, estimator):
                if getattr(setting, "belief", None) is None:
                    continue
                watching = Watching(problem, estimator, hasty(setting))
                if str(watching) not in kinds:
                    kinds.add(str(watching))
                    assert isinstance(watching.build().estimator, Sampled)
                    yield watching


EVERY = list(shipped())


def observe(built: Any) -> tuple[Floats, list[Any]]:
    """A first θ, and two batches under it from the sampler."""
    streams, sampler = Streams(SEEDS), built.estimator.sampler
    theta, followers = built.game.start(streams)
    response = built.game.respond(theta, followers, streams)
    return theta, [sampler.observe(theta, response, streams, at_random=False) for _ in range(2)]


@cache
def observed(watching: Watching) -> tuple[Any, Floats, list[Any]]:
    """What was built, and what `observe` finds in it."""
    built = watching.build()
    return built, *observe(built)


def learn(built: Any, theta: Floats, batches: list[Any]) -> Estimate:
    """What belief and learner make of the batches."""
    estimator, streams = built.estimator, Streams(SEEDS)
    memory: Memory = estimator.start(streams)
    for seen in batches:
        believed = estimator.belief.learn(theta, seen, memory)
        found = estimator.learner.learn(theta, believed, seen, memory, streams)
    return found


def reachable(thing: Any, found: dict[int, Any]) -> dict[int, Any]:
    """Every dataclass that a thing holds, in fields, containers and closures, by identity."""
    if id(thing) in found:
        return found
    inside: list[Any] = []
    if is_dataclass(thing) and not isinstance(thing, type):
        found[id(thing)] = thing
        inside = list(vars(thing).values())
    elif isinstance(thing, dict):
        inside = list(thing.values())
    elif isinstance(thing, list | tuple):
        inside = list(thing)
    elif callable(thing):
        closure = getattr(getattr(thing, "__func__", thing), "__closure__", None) or ()
        inside = [cell.cell_contents for cell in closure]
        inside.append(getattr(thing, "__self__", None))
    for each in inside:
        reachable(each, found)
    return found


def true_model(built: Any) -> list[Any]:
    """The problem, its follower and its simulators."""
    found = reachable(built.estimator.sampler, reachable(built.game, {}))
    return [
        each
        for each in found.values()
        if type(each).__module__.startswith(MODEL)
        and type(each).__module__.rpartition(".")[2] not in BESIDE
        and not isinstance(each, OWN)
    ]


@contextmanager
def locked(things: list[Any]) -> Iterator[None]:
    """Raise on every access to an attribute of any of the things."""
    closed = {id(thing) for thing in things}
    before = {kind: kind.__getattribute__ for kind in {type(thing) for thing in things}}

    def guard(original: Any) -> Any:
        def get(self: Any, name: str) -> Any:
            if id(self) in closed and not name.startswith("__"):
                raise AssertionError(f"{type(self).__name__}.{name} was asked for")
            return original(self, name)

        return get

    try:
        for kind, original in before.items():
            kind.__getattribute__ = guard(original)
        yield
    finally:
        for kind in before:
            del kind.__getattribute__


def test_a_watching_leader_of_every_problem_is_shipped_that_has_others_too() -> None:
    told_apart = {
        name
        for name, block in PARAMS.problems.items()
        for known in block.estimators.values()
        if known.has("belief")
    }
    assert {watching.problem for watching in EVERY} == told_apart
    assert len(told_apart) > 4


@pytest.mark.parametrize("watching", EVERY, ids=str)
def test_nothing_behind_the_world_asks_the_model(watching: Watching) -> None:
    built, theta, batches = observed(watching)
    with locked(true_model(built)):
        found = learn(built, theta, batches)
        again = found.again(theta + 0.1) if found.again else found.gradient
        with pytest.raises(AssertionError, match="was asked for"):
            built.estimator.sampler.observe(theta, None, Streams(SEEDS), at_random=False)
    assert np.isfinite(again).all()
    assert np.isfinite(found.gradient).all()
    assert found.gradient.any()


@pytest.mark.parametrize("watching", EVERY, ids=str)
def test_nothing_behind_the_world_holds_the_model(watching: Watching) -> None:
    built, _, _ = observed(watching)
    estimator = built.estimator
    held = reachable(estimator.learner, reachable(estimator.belief, {}))
    for thing in true_model(built):
        assert id(thing) not in held, type(thing).__name__


@pytest.mark.parametrize("watching", EVERY, ids=str)
def test_what_is_seen_is_what_may_be_seen(watching: Watching) -> None:
    _, _, batches = observed(watching)
    # Beside states, actions and rewards: how episodes end, and when they began.
    visible = {field.name for kind in (Observations, TabularObservations) for field in fields(kind)}
    visible |= {"alive", "terminated"}
    for seen in batches:
        told = {field.name for field in fields(seen) if getattr(seen, field.name) is not None}
        assert told <= visible
        assert ("follower_reward" in told) == (watching.belief.information == "rewards")


#: Other worlds: what a leader that watches cannot know is changed.
ELSEWHERE: dict[str, dict[str, Any]] = {
    "four_rooms": {"fail_probability": 0.2},
    "discrete_toy_r1": {"revisit_reward": -3.0},
    "discrete_toy_r2": {"revisit_reward": -3.0},
    "bilevel_lqr": {
        "state_matrix": ((0.5, 0.1), (-0.2, 0.4)), "follower_matrix": ((0.3,), (0.2,)),
        "leader_matrix": ((-0.1,), (0.2,)), "state_cost": ((2.0, 0.1), (0.1, 3.0)),
        "control_cost": ((5.0,),), "initial_state": (0.3, -0.4),
    },
    "thermal_control": {
        "input_matrix": ((0.2, 0.1), (0.3, 0.0), (0.1, 0.5), (0.0, 0.9)), "noise": 0.3,
        "control_cost": ((0.5, 0.1), (0.1, 0.9)), "initial_deviation": 2.0,
        "state_limit": 20.0, "stability_weight": 3.0, "energy_weight": 0.1,
    },
    "guided_cartpole": {
        "gravity": 5.0, "cart_mass": 2.0, "pole_mass": 0.3, "half_length": 0.9, "push": 4.0,
        "wind": 1.0, "time_step": 0.01, "limit": 9.0, "angle_limit": 0.1, "goal": (0.5, 1.0),
        "initial_spread": 0.2,
    },
}  # fmt: skip


@pytest.mark.parametrize("watching", EVERY, ids=str)
def test_the_same_observations_tell_the_same_wherever_they_come_from(watching: Watching) -> None:
    # Whatever a belief, critic or estimator had kept of the model would show.
    built, theta, batches = observed(watching)
    elsewhere = watching.build(**ELSEWHERE[watching.problem])
    _, others = observe(elsewhere)
    assert any((one.state != other.state).any() for one, other in zip(batches, others, strict=True))
    expected = learn(built, theta, batches)
    found = learn(elsewhere, theta, batches)
    for name in ("direct", "indirect", "leader_return_sampled"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)


MISTAKEN = [each for each in EVERY if "temperature" in type(each.belief).model_fields]


def reckoning(watching: Watching, **changes: Any) -> tuple[Estimate, Any]:
    """The estimate and the belief of a leader with other settings that sees the same."""
    _, theta, batches = observed(watching)
    setting = watching.setting.model_copy(update=changes)
    estimator, streams = replace(watching, setting=setting).build().estimator, Streams(SEEDS)
    memory = estimator.start(streams)
    response = estimator.belief.learn(theta, batches[0], memory)
    return estimator.learner.learn(theta, response, batches[0], memory, streams), response


@pytest.mark.parametrize("watching", MISTAKEN, ids=str)
def test_a_leader_reckons_with_the_temperature_that_it_believes_in(watching: Watching) -> None:
    # As one that sees the same of a follower of that temperature, and not as one that knows better.
    other = 2.5 * watching.setting.temperature
    mistaken = watching.belief.model_copy(update={"temperature": other})
    found, response = reckoning(watching, belief=mistaken)
    expected, answer = reckoning(watching, temperature=other)
    right, _ = reckoning(watching)
    for name in ("direct", "indirect"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    for field in fields(answer):
        if isinstance(getattr(answer, field.name), np.ndarray):
            values = getattr(response, field.name), getattr(answer, field.name)
            np.testing.assert_array_equal(*values, err_msg=field.name)
    assert (found.indirect != right.indirect).any(axis=1).all()
