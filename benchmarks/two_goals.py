"""HPGD's table of nine cells: FourRooms with two goals, where AMD and zero order have no samples.

`python benchmarks/two_goals.py` completes `benchmarks/results/two_goals.csv`: rows that are there
stay, each new one is written once it is known. Temperature x penalty, the follower's goal drawn
anew for every update, J the mean over both goals in the last 1,000 of 10,000 updates, ten seeds.
Step size and radius are chosen by that J on tuning seeds, by their mean; AMD takes the exact
ascent's. AMD has tables of its own for each goal, and an update sweeps those of the goal that it
drew 100 times; a run takes 25 seconds. `amd_gap` is how far this is from the exact hypergradient of
that goal in |J| at most, in the first 1,500 updates of one seed. AMD's rows and those of zero order
are held against the published numbers.
Source of `published`: the README of HPGD's repository (arXiv 2406.01575), of seeds that chose.
Names of estimators as arguments restrict the rows: `amd`, `exact`, `zero_order`.
"""

import sys
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bilevelrl.core.arrays import Floats
from bilevelrl.core.ascent import GradientAscent
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.seeding import Streams, stream
from bilevelrl.evaluation.statistics import interval
from bilevelrl.models.tabular.amd import AMD
from bilevelrl.models.tabular.exact import exact_hypergradient, leader_return
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration
from bilevelrl.problems.four_rooms.problem import FourRooms

GOALS = ((1, 9), (11, 11))
TEMPERATURES, PENALTIES = (0.001, 0.003, 0.005), (1.0, 3.0, 5.0)
#: Candidates: all step sizes and radii that were published.
STEP_SIZES, RADII = (0.5, 0.1, 0.05, 0.01), (0.01, 0.1, 0.5, 1.0)
UPDATES, LAST, EVERY = 10_000, 1_000, 20
SEEDS, TUNING = range(10), range(10_000, 10_002)
SWEEPS, CHECKED = 100, 1_500
CONFIDENCE, ESTIMATORS = 0.95, ("amd", "exact", "zero_order")
RESULTS = Path(__file__).parent / "results/two_goals.csv"
CELL = ("estimator", "temperature", "penalty")
PUBLISHED = {
    "amd": ((0.58, 0.51, 0.46), (1.00, 0.39, 0.32), (1.28, 1.13, 0.97)),
    "zero_order": ((0.59, 0.50, 0.46), (0.91, 0.40, 0.32), (1.15, 1.02, 0.79)),
}


@dataclass(frozen=True)
class WithGoal(FourRooms):
    """FourRooms with the goal in another cell, (row, column)."""

    goal_cell: tuple[int, int] = (1, 9)

    @cached_property
    def goal(self) -> int:
        """State whose exit ends the episode and pays the follower."""
        return self.cells.index(self.goal_cell)


@dataclass(frozen=True)
class Case:
    """One run: a cell of the table, a seed and hyper-parameters; `radius` 0 is the exact ascent."""

    temperature: float
    penalty: float
    step_size: float
    radius: float
    seed: int


@dataclass(eq=False)
class Side:
    """The game with one goal, of runs with one penalty and β (R,), and its follower's memory."""

    problem: FourRooms
    temperature: Floats
    memory: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.memory = np.zeros((len(self.temperature), self.problem.num_states))

    def respond(self, theta: Floats, rows: Floats) -> BestResponse:
        """The answers to θ of some of the runs."""
        follower = SoftPolicyIteration(
            self.problem.planner, self.temperature[rows], tolerance=1e-10, max_iterations=200
        )
        memory = self.memory[rows]
        answer = follower.respond(self.problem.follower_reward(theta), memory)
        self.memory[rows] = memory
        return answer

    def value(self, theta: Floats, rows: Floats) -> Floats:
        """J of some of the runs."""
        return leader_return(self.problem, theta, self.respond(theta, rows).policy)

    def slope(self, theta: Floats, rows: Floats) -> Floats:
        """dJ/dθ of some of the runs."""
        policy = self.respond(theta, rows).policy
        return exact_hypergradient(self.problem, theta, policy, self.temperature[rows]).total


@dataclass(eq=False)
class Climb:
    """Runs with one penalty that climb together; a `literal` one is AMD itself, of one run."""

    cases: Sequence[Case]
    literal: bool = False

    def __post_init__(self) -> None:
        self.temperature = np.array([each.temperature for each in self.cases])
        self.radius = np.array([each.radius for each in self.cases])
        (penalty,) = {each.penalty for each in self.cases}
        self.sides = [
            Side(
                WithGoal(incentive_cost=penalty, slip_kernels="published", goal_cell=goal),
                self.temperature,
            )
            for goal in GOALS
        ]
        self.streams = Streams([each.seed for each in self.cases])
        self.goals = np.stack([stream(each.seed, "rollout").integers(2, size=UPDATES)
                               for each in self.cases])  # fmt: skip
        self.tables = [AMD(side.problem, self.temperature, SWEEPS) for side in self.sides]
        self.memories = [each.start(self.streams) for each in self.tables]

    def gradient(self, theta: Floats, update: int) -> Floats:
        """The estimate of every run, shape (R, D), from the game with the goal that it drew."""
        if self.literal:
            ((goal,),) = self.goals[:, [update]].tolist()
            answer = self.sides[goal].respond(theta, np.arange(1))
            own, memory = self.tables[goal], self.memories[goal]
            return own.estimate(theta, answer, memory, self.streams).gradient
        estimate = np.empty_like(theta)
        direction = np.zeros_like(theta)
        if self.radius.any():
            direction = self.streams.normals("zero_order", theta.shape[1:])
        for goal, side in enumerate(self.sides):
            drawn = self.goals[:, update] == goal
            exact = np.flatnonzero(drawn & (self.radius == 0.0))
            if len(exact):
                estimate[exact] = side.slope(theta[exact], exact)
            sampled = np.flatnonzero(drawn & (self.radius > 0.0))
            if len(sampled):
                step = np.maximum(self.radius[sampled, None] / (update + 1), 1e-6)
                here = side.value(theta[sampled], sampled)
                there = side.value(theta[sampled] + step * direction[sampled], sampled)
                estimate[sampled] = (there - here)[:, None] / step * direction[sampled]
        return estimate

    def returns(self, updates: int, first: int, every: int) -> Floats:
        """J, mean over goals, of every run at every so-manieth update from `first` on."""
        theta = 0.01 * self.streams.normals("initial_parameters", (105,))
        rule = GradientAscent(np.array([each.step_size for each in self.cases]), 1.0)
        everybody, found = np.arange(len(self.cases)), []
        for update in range(updates):
            if update >= first and update % every == 0:
                found.append(np.mean([s.value(theta, everybody) for s in self.sides], axis=0))
            theta = rule.step(theta, self.gradient(theta, update), {})
        return np.stack(found, axis=1)


def scores(cases: Sequence[Case]) -> Floats:
    """What is reported of every run: J in the last updates."""
    return Climb(cases).returns(UPDATES, UPDATES - LAST, EVERY).mean(axis=1)


def chosen(penalty: float, temperature: float, zero: bool) -> tuple[float, float]:
    """Step size and radius that are best on the tuning seeds."""
    several = list(product(STEP_SIZES, RADII if zero else (0.0,)))
    cases = [Case(temperature, penalty, *own, seed) for own in several for seed in TUNING]
    means = scores(cases).reshape(len(several), len(TUNING)).mean(axis=1)
    return several[int(means.argmax())]


def gap(temperature: float, penalty: float) -> float:
    """The largest distance of J between AMD and the exact ascent, on the way from one seed."""
    case = [Case(temperature, penalty, 0.5, 0.0, SEEDS[0])]
    ways = [Climb(case, literal).returns(CHECKED, 0, 10) for literal in (True, False)]
    return float(np.abs(ways[0] - ways[1]).max())


def literal_scores(cases: Sequence[Case]) -> Floats:
    """J of AMD itself in the last updates, run by run."""
    found = [Climb([each], True).returns(UPDATES, UPDATES - LAST, EVERY) for each in cases]
    means: Floats = np.concatenate(found).mean(axis=1)
    return means


def row(
    estimator: str, temperature: float, penalty: float, like: Mapping[Hashable, Any] | None
) -> dict[str, object]:
    """One estimator in one cell; step size and gap of AMD and the exact ascent are those `like`."""
    zero = estimator == "zero_order"
    if like is None:
        distance = np.nan if zero else gap(temperature, penalty)
        own = chosen(penalty, temperature, zero)
    else:
        distance, own = like["amd_gap"], (like["step_size"], like["radius"])
    cases = [Case(temperature, penalty, *own, seed) for seed in SEEDS]
    found = literal_scores(cases) if estimator == "amd" else scores(cases)
    low, high = (float(each) for each in interval(found, "mean", CONFIDENCE))
    source, place = "zero_order" if zero else "amd", TEMPERATURES.index(temperature)
    published = PUBLISHED[source][place][PENALTIES.index(penalty)]
    return {
        "estimator": estimator, "temperature": temperature, "penalty": penalty,
        "step_size": own[0], "radius": own[1], "seeds": len(found),
        "mean": found.mean(), "low": low, "high": high, "worst": found.min(), "best": found.max(),
        "published_estimator": source, "published": published,
        "within": low - 0.005 <= published <= high + 0.005,  # it is given to two digits
        "compared": estimator != "exact", "amd_gap": distance,
    }  # fmt: skip


def complete(path: Path, estimators: Sequence[str]) -> None:
    """Add the rows of these estimators that the table has not, each once it is known."""
    known = pd.read_csv(path).to_dict("records") if path.exists() else []
    for cell in product(estimators, TEMPERATURES, PENALTIES):
        done = {tuple(each[key] for key in CELL): each for each in known}
        if cell not in done:
            other = {"amd": "exact", "exact": "amd"}.get(cell[0])
            known.append(row(*cell, done.get((other, *cell[1:]))))
            table = pd.DataFrame(known).sort_values(list(CELL))
            table.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    complete(RESULTS, sys.argv[1:] or ESTIMATORS)
