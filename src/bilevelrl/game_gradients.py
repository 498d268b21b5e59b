"""Replicated estimates at fixed leaders of the games, beside the exact hypergradient.

The rows form a ladder: each changes one thing about BC-HG, and what that does to bias and variance
is measured rather than argued.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bilevelrl.cells import bilevel_lqr, discrete_toy
from bilevelrl.config import GameSetting, Params
from bilevelrl.config.families import expand
from bilevelrl.critics.game_critics import ExactGameCritic
from bilevelrl.estimators.acting_leader import ScoreFunction
from bilevelrl.estimators.finite_leader import FiniteLeader
from bilevelrl.estimators.protocol import Estimator
from bilevelrl.estimators.sampled import Sampled
from bilevelrl.estimators.zero_order import ZeroOrder
from bilevelrl.execution import run_tasks
from bilevelrl.finite_game import FiniteGame
from bilevelrl.linear_game import LinearGame
from bilevelrl.policies.categorical import TabularPolicy
from bilevelrl.problems.discrete_toy import STATE_NAMES
from bilevelrl.problems.observations import Observations
from bilevelrl.seeding import Streams

Floats = NDArray[np.float64]
Game = FiniteGame | LinearGame


@dataclass(frozen=True, eq=False)
class Rung:
    """One estimator of the ladder.

    Attributes:
        estimator: name in params.yaml.
        variant: as there.
        critic: what `records.GRADIENT_COLUMNS` calls critic: the critic, and how BC-HG uses it.
        change: turns the variant's learner into this one.
        entry: hyper-parameters that are not shared by the problem's cells.
        warm_up: batches that a learned critic or a regression sees before the estimate counts.
    """

    estimator: str
    variant: str
    critic: str
    entry: Mapping[str, Any]
    change: Callable[[ScoreFunction, Game], ScoreFunction] = lambda learner, game: learner
    warm_up: int = 0


@dataclass(frozen=True, eq=False)
class GameStudy:
    """One rung at one leader with one budget.

    Attributes:
        problem: name in params.yaml.
        point: name of the leader.
        place: the leader's probability (1,) or gain (D,).
        rung: index into the problem's ladder.
        budget: transitions per estimate; 0 for model-based estimators.
        params: all of params.yaml.
    """

    problem: str
    point: str
    place: Floats
    rung: int
    budget: int
    params: Params

    @property
    def _rung(self) -> Rung:
        return LADDERS[self.problem][self.rung]

    @property
    def estimator(self) -> str:
        """Name in params.yaml."""
        return self._rung.estimator

    @property
    def variant(self) -> str:
        """Name in params.yaml."""
        return self._rung.variant

    @property
    def critic(self) -> str:
        """See `Rung.critic`."""
        return self._rung.critic


def _single(learner: ScoreFunction, game: Game) -> ScoreFunction:
    del game
    return replace(learner, control=None, expectation=None)


def _exact_critic(learner: ScoreFunction, game: Game) -> ScoreFunction:
    leader = learner.leader
    assert isinstance(leader, FiniteLeader)
    assert isinstance(game, FiniteGame)
    return replace(learner, leader=replace(leader, critic=ExactGameCritic(game.game)))


def _pathwise_sampled(learner: ScoreFunction, game: Game) -> ScoreFunction:
    assert isinstance(game, LinearGame)
    return replace(learner, control=bilevel_lqr.control_variate(game.problem), expectation=None)


_NETWORK = {"actor_steps": 1, "critic_steps": 5, "random_updates": 0}
_PLAIN = {"actor_steps": 1, "random_updates": 0}
_DOUBLE = _PLAIN | {"control_variate": True}
_TOY = (
    Rung("bc_hg", "published", "network", _NETWORK, warm_up=40),
    Rung("bc_hg", "published", "exact", _NETWORK, _exact_critic),
    Rung("bc_hg", "corrected", "learned, singly centred", _PLAIN, warm_up=5),
    Rung("bc_hg", "corrected", "learned", _DOUBLE, warm_up=5),
    Rung("bc_hg", "corrected", "exact, singly centred", _PLAIN, _exact_critic),
    Rung("bc_hg", "corrected", "exact", _DOUBLE, _exact_critic, warm_up=5),
    Rung("naive_on", "published", "network", _NETWORK, warm_up=40),
    Rung("bi_ac_on", "published", "network", _NETWORK, warm_up=40),
    Rung("zero_order", "published", "none", {"radius": 0.01}),
)
_LQR = (
    Rung("bc_hg", "published", "network", _NETWORK, warm_up=25),
    Rung("bc_hg", "corrected", "model, singly centred", _PLAIN, warm_up=1),
    Rung("bc_hg", "corrected", "model", _DOUBLE, warm_up=5),
    Rung("bc_hg", "improved", "model, singly centred", _PLAIN, _single, warm_up=1),
    Rung("bc_hg", "improved", "model, sampled sensitivity", _PLAIN, _pathwise_sampled, warm_up=5),
    Rung("bc_hg", "improved", "model", _PLAIN, warm_up=1),
    Rung("naive_on", "published", "network", _NETWORK, warm_up=25),
    Rung("zero_order", "published", "none", {"radius": 0.01}),
)
LADDERS: Mapping[str, tuple[Rung, ...]] = {
    "discrete_toy_r1": _TOY,
    "discrete_toy_r2": _TOY,
    "bilevel_lqr": _LQR,
}


def studies(params: Params, problem: str) -> list[GameStudy]:
    """Everything that the gradients stage computes for a game, the largest budgets first."""
    own = params.gradients.of(problem)
    sampled = [
        (rung, budget)
        for budget in sorted(own.budgets, reverse=True)
        for rung, made in enumerate(LADDERS[problem])
        if made.estimator != "zero_order"
    ]
    model_based = [(len(LADDERS[problem]) - 1, 0)]
    places = [np.atleast_1d(np.array(point, dtype=np.float64)) for point in own.points]
    names = [f"{_COORDINATE[problem]} = {_text(place)}" for place in places]
    return [
        GameStudy(problem, name, place, rung, budget, params)
        for rung, budget in [*sampled, *model_based]
        for name, place in zip(names, places, strict=True)
    ]


_COORDINATE = {"discrete_toy_r1": "f(1|A)", "discrete_toy_r2": "f(1|A)", "bilevel_lqr": "K"}


def _text(place: Floats) -> str:
    numbers = ", ".join(f"{number:g}" for number in place)
    return numbers if len(place) == 1 else f"({numbers})"


def _settings(study: GameStudy) -> list[GameSetting]:
    own = study.params.gradients.of(study.problem)
    entry = {
        "variant": study.variant,
        "temperature": own.temperature,
        "first_seed": own.first_seed,
        "num_seeds": own.replicates,
        **study._rung.entry,
    }
    if study.budget:
        entry["env_steps_per_update"] = study.budget
    shared = study.params.shared(study.problem)
    (setting,) = expand(entry, study.problem, study.estimator, shared, "gradients")
    assert isinstance(setting, GameSetting)
    return [setting] * setting.num_seeds


def toy_game(params: Params, problem: str, settings: Sequence[GameSetting]) -> FiniteGame:
    """The toy with a leader whose θ is a table of logits."""
    game = discrete_toy.make_game(params.problems.of(problem))
    follower, exact = discrete_toy.make_follower(game, settings, params.followers.of(problem))
    policy = TabularPolicy(game.num_states, game.num_leader_actions)
    return FiniteGame(game, policy, follower, exact, game.leader_discount)


def table_of(probability: float) -> Floats:
    """θ of the toy's table, shape (D,), with f(1|A) = `probability` and all else uniform."""
    theta = np.zeros((len(STATE_NAMES), 2))
    theta[STATE_NAMES.index("A"), 1] = np.log(probability / (1.0 - probability))
    return theta.ravel()


def _toy(study: GameStudy, settings: Sequence[GameSetting]) -> tuple[Game, Estimator[Any], Floats]:
    solved = toy_game(study.params, study.problem, settings)
    made = _made(study, settings, solved, discrete_toy.sampled)
    return solved, made, table_of(study.place[0])


def _lqr(study: GameStudy, settings: Sequence[GameSetting]) -> tuple[Game, Estimator[Any], Floats]:
    params = study.params
    game = bilevel_lqr.make_game(
        settings, params.problems.of(study.problem), params.followers.of(study.problem)
    )
    return game, _made(study, settings, game, bilevel_lqr.sampled), study.place


def _made(
    study: GameStudy, settings: Sequence[GameSetting], game: Any, make: Callable[..., Any]
) -> Estimator[Any]:
    if study.estimator == "zero_order":
        return ZeroOrder(game, np.full(len(settings), settings[0].radius))
    made: Sampled[Observations] = make(study.estimator, settings, game)
    assert isinstance(made.learner, ScoreFunction)
    return replace(made, learner=study._rung.change(made.learner, game))


def replicate(study: GameStudy) -> tuple[Floats, Floats]:
    """Independent estimates at one leader.

    Returns:
        The estimates of dJ/dθ, shape (n, D), each from its own seed, and the exact one, shape (D,).
        θ are a table of logits in the toy, and the gain in BilevelLQR.
    """
    settings = _settings(study)
    game, estimator, place = (_lqr if study.problem == "bilevel_lqr" else _toy)(study, settings)
    streams = Streams(list(settings[0].seeds))
    theta = np.tile(place, (len(settings), 1))
    answer: Any = game.respond(theta, game.follower_memory(len(theta), streams), streams)
    memory = estimator.start(streams)
    for _ in range(study._rung.warm_up + 1):
        estimate = estimator.estimate(theta, answer, memory, streams)
    learner = estimator.learner if isinstance(estimator, Sampled) else None
    scale = learner.scale if isinstance(learner, ScoreFunction) else 1.0
    return scale * estimate.gradient, game.hypergradient(theta, answer).total[0]


def replicate_all(params: Params, problem: str) -> Iterator[tuple[GameStudy, Floats, Floats]]:
    """Run every study; yields (study, estimates, exact hypergradient) in the order of `studies`."""
    tasks = studies(params, problem)
    results: dict[int, tuple[Floats, Floats]] = dict(
        run_tasks(replicate, tasks, params.runtime, description=f"gradients of {problem}")
    )
    for position, study in enumerate(tasks):
        yield study, *results[position]
