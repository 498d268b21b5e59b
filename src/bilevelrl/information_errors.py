"""How fast estimates approach the exact hypergradient, by what the leader sees of its follower.

BC-HG without quirks, at one θ per problem, from ever more transitions. Everything starts with
nothing at every size: belief, critic and control variate. The transitions come in equal batches;
the last is the estimate's, and those before teach critic and control variate. Beliefs forget and
smooth nothing, because either would leave an error that no number of samples removes.

So does a SARSA critic with a constant step size, the one of the FourRooms cells ("learned"). Beside
it stands there one that averages returns ("returns").
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bilevelrl.cells import bilevel_lqr, discrete_toy, four_rooms, thermal_control
from bilevelrl.config import Params
from bilevelrl.config.families import expand
from bilevelrl.critics.monte_carlo import monte_carlo
from bilevelrl.estimators.boltzmann_covariance import BoltzmannCovariance
from bilevelrl.estimators.protocol import Estimator
from bilevelrl.estimators.sampled import Sampled
from bilevelrl.estimators.watched_covariance import WatchedCovariance
from bilevelrl.execution import run_tasks
from bilevelrl.game_gradients import table_of, toy_game
from bilevelrl.problems.rollout import Batch
from bilevelrl.records import INFORMATION_COLUMNS
from bilevelrl.seeding import Streams
from bilevelrl.thermal_gradients import points

Floats = NDArray[np.float64]
FOUR_ROOMS = "four_rooms"
_TOGETHER = 10  # replicates of a worker's batch


@dataclass(frozen=True)
class Level:
    """What the leader sees, and how it learns from it.

    Attributes:
        information: as in a cell of params.yaml.
        belief: as there; empty where there is no choice.
        critic: "learned", as in the cells, or "returns".
    """

    information: str
    belief: str = ""
    critic: str = "learned"


_TOY = (Level("full"), Level("rewards"))
LEVELS: Mapping[str, tuple[Level, ...]] = {
    "four_rooms": tuple(
        Level(information, critic=critic)
        for critic in ("returns", "learned")
        for information in ("full", "rewards", "actions")
    ),
    "discrete_toy_r1": _TOY,
    "discrete_toy_r2": _TOY,
    "bilevel_lqr": (Level("full"), Level("rewards", "evaluated"), Level("rewards", "planned")),
    "thermal_control": (Level("full"), Level("rewards")),
}
_DOUBLE = {"variant": "corrected", "actor_steps": 1, "random_updates": 0, "control_variate": True}
#: Hyper-parameters of the cells, but for what the study is about; no step is made.
_ENTRIES: Mapping[str, Mapping[str, Any]] = {
    "four_rooms": {"variant": "corrected", "num_envs": 1},  # a batch cuts one episode only
    "discrete_toy_r1": _DOUBLE,
    "discrete_toy_r2": _DOUBLE,
    "bilevel_lqr": {"variant": "improved", "actor_steps": 1, "random_updates": 0},
    "thermal_control": {"variant": "improved", "sensitivity": "sampled"},
}


@dataclass(frozen=True, eq=False)
class Task:
    """Some replicates of one level at one size.

    Attributes:
        problem: name in params.yaml.
        theta: shape (D,).
        level: of information.
        size: transitions of each replicate.
        seeds: one per replicate.
        params: all of params.yaml.
    """

    problem: str
    theta: Floats
    level: Level
    size: int
    seeds: range
    params: Params


@dataclass(frozen=True)
class Returns:
    """Implements `critics.protocol.Critic`: the mean return after (s, a) in the newest batch.

    Attributes:
        discount: γ_L.
    """

    discount: float

    def start(self, shape: tuple[int, int], streams: Streams) -> Floats:
        """Zeros, shape (R, S, A)."""
        return np.zeros((len(streams.seeds), *shape))

    def update(
        self, table: Floats, batch: Batch, reward: Floats, policy: Floats, streams: Streams
    ) -> None:
        """Average; changes `table` in place."""
        del policy, streams
        table[:] = monte_carlo(batch, reward, self.discount).action_value


def _settings(task: Task) -> list[Any]:
    own, level = task.params.gradients.of(task.problem), task.level
    entry = {
        **_ENTRIES[task.problem],
        "temperature": own.temperature,
        "step_size": 1.0,
        "num_seeds": len(task.seeds),
        "env_steps_per_update": task.size // own.information.batches,
        "information": level.information,
    }
    if level.belief:
        entry["belief"] = level.belief
    if task.problem == FOUR_ROOMS:
        entry["critic_step_size"] = own.critic_step_size
    shared = task.params.shared(task.problem)
    (setting,) = expand(entry, task.problem, "bc_hg", shared, "gradients")
    return [setting] * len(task.seeds)


def _four_rooms(task: Task, settings: Sequence[Any]) -> tuple[Any, Estimator[Any]]:
    params = task.params
    group = four_rooms.make_group(
        settings, params.problems.four_rooms, params.followers.of(task.problem)
    )
    made = four_rooms.ESTIMATORS["bc_hg"](group)
    if task.level.critic == "returns":
        critic = Returns(group.problem.discount)
        if isinstance(made, Sampled):
            assert isinstance(made.learner, WatchedCovariance)
            made = replace(made, learner=replace(made.learner, critic=critic))
        else:
            assert isinstance(made, BoltzmannCovariance)
            made = replace(made, critic=critic)
    return group.game, made


def _toy(task: Task, settings: Sequence[Any]) -> tuple[Any, Estimator[Any]]:
    game = toy_game(task.params, task.problem, settings)
    return game, discrete_toy.sampled("bc_hg", settings, game)


def _lqr(task: Task, settings: Sequence[Any]) -> tuple[Any, Estimator[Any]]:
    params = task.params
    game = bilevel_lqr.make_game(
        settings, params.problems.bilevel_lqr, params.followers.of(task.problem)
    )
    return game, bilevel_lqr.sampled("bc_hg", settings, game)


def _thermal(task: Task, settings: Sequence[Any]) -> tuple[Any, Estimator[Any]]:
    params = task.params
    game = thermal_control.make_game(
        settings, params.problems.thermal_control, params.followers.of(task.problem)
    )
    return game, thermal_control.ESTIMATORS["bc_hg"](thermal_control.Group(settings, game))


_MAKERS: Mapping[str, Callable[[Task, Sequence[Any]], tuple[Any, Estimator[Any]]]] = {
    "four_rooms": _four_rooms,
    "discrete_toy_r1": _toy,
    "discrete_toy_r2": _toy,
    "bilevel_lqr": _lqr,
    "thermal_control": _thermal,
}


def replicate(task: Task) -> Floats:
    """|estimate - dJ/dθ| / |dJ/dθ| of every replicate, shape (n,)."""
    game, estimator = _MAKERS[task.problem](task, _settings(task))
    streams = Streams(task.seeds)
    theta = np.tile(task.theta, (len(task.seeds), 1))
    answer = game.respond(theta, game.follower_memory(len(theta), streams), streams)
    memory = estimator.start(streams)
    for _ in range(task.params.gradients.of(task.problem).information.batches):
        estimate = estimator.estimate(theta, answer, memory, streams)
    exact = game.hypergradient(theta, answer).total
    error: Floats = np.linalg.norm(estimate.gradient - exact, axis=1)
    error /= np.linalg.norm(exact, axis=1)
    return error


def place(params: Params, problem: str, best_theta: Floats | None) -> tuple[str, Floats]:
    """Name and θ, shape (D,), of the point of the study; FourRooms needs its best known θ."""
    point = params.gradients.of(problem).information.point
    if problem == FOUR_ROOMS:
        assert best_theta is not None
        return f"{point:g} of the best known", point * best_theta
    if problem == "thermal_control":
        ((name, theta),) = points(params, [point]).items()
        return name, theta
    if problem == "bilevel_lqr":
        return f"K = ({', '.join(f'{number:g}' for number in point)})", np.array(point)
    return f"f(1|A) = {point:g}", table_of(point)


def errors(params: Params, problem: str, best_theta: Floats | None = None) -> pd.DataFrame:
    """Columns `INFORMATION_COLUMNS`: a row per level, size and replicate.

    No two sizes share a seed; levels do, so that they can be compared at equal samples.
    """
    own = params.gradients.of(problem).information
    point, theta = place(params, problem, best_theta)
    tasks = [
        Task(problem, theta, level, size, seeds, params)
        for size, own_seeds in reversed(list(own.seeds(params.gradients.of(problem).first_seed)))
        for level in LEVELS[problem]
        for seeds in _parts(own_seeds)
    ]
    described = f"information in {problem}"
    found = dict(run_tasks(replicate, tasks, params.runtime, description=described))
    rows = [
        (problem, point, level.information, level.belief, level.critic, task.size, seed, error)
        for position, task in enumerate(tasks)
        for level in [task.level]
        for seed, error in zip(task.seeds, found[position], strict=True)
    ]
    return pd.DataFrame(rows, columns=list(INFORMATION_COLUMNS))


def _parts(seeds: range) -> Iterator[range]:
    return (seeds[start : start + _TOGETHER] for start in range(0, len(seeds), _TOGETHER))
