"""Which estimators are compared with the exact hypergradient on the guided cart-pole, and where.

Followers answer at once, with the best response on a grid that is finer than that of training: what
an estimate lacks is its own fault.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.ascent import Adam
from bilevelrl.core.cell import Group
from bilevelrl.core.control_variate import ControlVariate
from bilevelrl.core.estimator import Memory
from bilevelrl.core.ladder import Rung
from bilevelrl.core.observations import Observations
from bilevelrl.core.problem import Problem
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.score_function import Centring, ScoreFunction
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.guided_cartpole import cell
from bilevelrl.problems.guided_cartpole.answered_game import (
    AnsweredGame,
    BestResponses,
    ExactOn,
    best_responses,
)
from bilevelrl.problems.guided_cartpole.belief import CartPoleBelief, WatchedFollower, products
from bilevelrl.problems.guided_cartpole.game import CartPoleSampler
from bilevelrl.problems.guided_cartpole.leader import CartPoleLeader
from bilevelrl.problems.guided_cartpole.perturbed import PerturbedPole
from bilevelrl.problems.guided_cartpole.planning.mechanics import TrueMechanics
from bilevelrl.problems.guided_cartpole.planning.planner import Planner
from bilevelrl.problems.guided_cartpole.planning.player import PlannedPlayer
from bilevelrl.problems.guided_cartpole.rollout import CartPoleBatch
from bilevelrl.problems.guided_cartpole.settings import (
    GuidedCartPoleBlock,
    GuidedCartPoleSetting,
)
from bilevelrl.problems.guided_cartpole.view import follower_observation, scaled

#: Replicates of a worker's batch: all.
TOGETHER = 1000
#: Share of the leader's reward that the perturbed follower is paid: a smaller one is noisier, and a
#: larger one is off by more than the gradient at the later leader (docs/estimators/perturbed.md).
EPSILON = 0.03


@dataclass(frozen=True, eq=False)
class KnowingFollower(WatchedFollower):
    """One whose V_F is the exact one.

    Attributes:
        players: the best responses, one per run.
    """

    players: Sequence[PlannedPlayer]

    def soft_values(self, run: int, state: Floats) -> Floats:
        """V_F(s, w) without the reward of this step, shape (N, A)."""
        winds = self.belief.winds
        every = follower_observation(np.repeat(state, len(winds), axis=0),
                                     np.tile(winds, len(state)))  # fmt: skip
        return self.players[run].soft_value(every).reshape(len(state), len(winds))


@dataclass(frozen=True, eq=False)
class KnowingBelief:
    """Implements `sampled.Belief`: all but V_F is learned.

    Attributes:
        learned: the other belief.
        game: that knows the best response.
    """

    learned: CartPoleBelief
    game: AnsweredGame

    def start(self, streams: Streams) -> Memory:
        """Of the other belief."""
        return self.learned.start(streams)

    def learn(self, theta: Floats, seen: CartPoleBatch, memory: Memory) -> KnowingFollower:
        """See there; updates `memory` in place."""
        self.learned.learn(theta, seen, memory)
        players = [each.player for each in self.game.solved(theta)]
        return KnowingFollower(self.learned, memory, players)


@dataclass(frozen=True, eq=False)
class StepwiseCartPoleLeader(CartPoleLeader):
    """Implements `score_function.StepwiseLeader`."""

    def sensitivity(
        self, theta: Floats, response: WatchedFollower, batch: Observations, memory: Memory
    ) -> Floats:
        """A_F ∇ log f, shape (R, N, D)."""
        factor = self.follower_factor(theta, response, batch, memory)
        weights = np.eye(self.policy.num_actions)[batch.leader_action] * factor[:, :, None]
        runs = zip(theta, scaled(batch.state), weights, strict=True)
        return np.stack([self.policy.pull_back_each(*run) for run in runs])

    def from_coordinates(self, theta: Floats, coordinates: Floats) -> Floats:
        """Sensitivities are gradients already."""
        del theta
        return coordinates

    def features(self, batch: Observations) -> Floats:
        """Products of state and wind, shape (R, N, F)."""
        # The number of a wind, in [-1, 1], stands for the wind.
        wind = 2.0 * batch.leader_action / (self.policy.num_actions - 1) - 1.0
        seen = follower_observation(batch.state, wind)
        return np.stack([products(own) for own in seen])


Estimator = Sampled[CartPoleBatch]


def _knowing(estimator: Estimator, game: AnsweredGame) -> Estimator:
    assert isinstance(estimator.belief, CartPoleBelief)
    return replace(estimator, belief=KnowingBelief(estimator.belief, game))


def _traced(estimator: Estimator, game: AnsweredGame, *, centred: bool = False) -> Estimator:
    del game
    learner = estimator.learner
    assert isinstance(learner, ScoreFunction)
    assert isinstance(learner.leader, CartPoleLeader)
    leader, control = replace(learner.leader, expected=False), None
    if centred:
        leader = StepwiseCartPoleLeader(leader.policy, leader.critic)
        number = products(np.zeros((1, 5))).shape[1]
        control = Centring(ControlVariate(number, leader.policy.num_parameters), leader)
    changed = replace(learner, leader=leader, expectation=None, control=control)
    return replace(estimator, learner=changed)


def _planned(estimator: Estimator, game: AnsweredGame, *, indirect: bool) -> Estimator:
    sampler, most_surprise = estimator.sampler, np.inf if indirect else None
    assert isinstance(sampler, CartPoleSampler)
    return cell.planning(sampler, game.temperature, game.planner, most_surprise)


def _exact_on_the_training_grid(estimator: Estimator, game: AnsweredGame) -> ExactOn:
    del estimator
    return ExactOn(game.coarse, game.temperature)


def _exact_on_the_leaders_grid(estimator: Estimator, game: AnsweredGame) -> ExactOn:
    del estimator
    rollout = game.rollout
    planner = Planner(TrueMechanics(rollout.problem), rollout.policy, rollout.winds, game.planner)
    return ExactOn(BestResponses(rollout, planner), game.temperature)


def _exact_direct(estimator: Estimator, game: AnsweredGame) -> ExactOn:
    del estimator
    return ExactOn(game.responses, game.temperature, direct_only=True)


def _perturbed(estimator: Estimator, game: AnsweredGame, *, two_sided: bool) -> PerturbedPole:
    sampler, responses = estimator.sampler, game.responses
    assert isinstance(sampler, CartPoleSampler)
    epsilon = np.full(game.temperature.shape, EPSILON)
    return PerturbedPole(
        responses.rollout, responses.planner, game.temperature, epsilon, two_sided,
        sampler.num_episodes,
    )  # fmt: skip


_FEATURES = "random_features"
_SHRUNK = {"shrinkage": {"kind": "split_half", "longest": 0.5}}
LADDER = (
    Rung("bc_hg", "improved", _FEATURES, "sampled sensitivity", change=_traced, warm_up=4),
    Rung("bc_hg", "improved", _FEATURES, "doubly centred",
         change=partial(_traced, centred=True), warm_up=4),
    Rung("bc_hg", "improved", _FEATURES, warm_up=4),
    Rung("bc_hg", "improved", _FEATURES, "exact follower value", change=_knowing, warm_up=4),
    Rung("bc_hg", "improved", _FEATURES, "shrunk", entry=_SHRUNK, warm_up=4),
    Rung("naive", "improved", _FEATURES, warm_up=4),
    Rung("bc_hg", "improved", "planned", "planned", change=partial(_planned, indirect=True)),
    Rung("naive", "improved", "planned", "planned", change=partial(_planned, indirect=False)),
    Rung("perturbed", "corrected", "none", "two-sided",
         change=partial(_perturbed, two_sided=True), settings_of=("naive", "improved")),
    Rung("perturbed", "corrected", "none", "one-sided",
         change=partial(_perturbed, two_sided=False), settings_of=("naive", "improved")),
    Rung("bc_hg", "improved", "planned", "true dynamics, grid of the leaders",
         change=_exact_on_the_leaders_grid, samples=False),
    Rung("bc_hg", "improved", "planned", "true dynamics, grid of training",
         change=_exact_on_the_training_grid, samples=False),
    Rung("naive", "improved", "planned", "true dynamics", change=_exact_direct, samples=False),
)  # fmt: skip


def group(
    problem: Problem[GuidedCartPoleBlock], settings: Sequence[GuidedCartPoleSetting]
) -> Group[GuidedCartPoleSetting, AnsweredGame]:
    """Replicates that are computed together."""
    shared, study = settings[0], problem.block.gradients
    responses, coarse = (
        best_responses(problem.block.constants, tuple(shared.winds), tuple(shared.units), grid)
        for grid in (study.reference, shared.reference)
    )
    temperature = np.array([each.temperature for each in settings])
    game = AnsweredGame(responses, coarse, temperature, study.planner)
    return Group(settings, game)


def points(problem: Problem[GuidedCartPoleBlock], best_theta: Floats) -> dict[str, Floats]:
    """Leaders after so many updates of an exact ascent along the direct term, by name.

    That is the way of a Naive-PGD without noise, on the grid of training, from the first θ of the
    study's first seed.
    """
    del best_theta
    study, shared = problem.block.gradients, problem.block.training
    responses = best_responses(
        problem.block.constants, shared.winds, shared.units, shared.reference
    )
    theta = responses.rollout.policy.initial_parameters(Streams([study.first_seed]))
    rule = Adam(np.array([study.step_size]), shared.max_gradient_norm)
    optimiser, wanted = rule.start(theta.shape), {}
    for update in range(max(study.updates) + 1):
        if update in study.updates:
            wanted[f"direct ascent, update {update}"] = theta[0].copy()
        found = responses.to(theta[0], study.temperature)
        theta = rule.step(theta, found.planned.direct[None], optimiser)
    return wanted
