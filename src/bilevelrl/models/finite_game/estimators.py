"""Finite games: from settings to followers, leaders and estimators."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from bilevelrl.core.acting_leader import actor_steps, ascent, num_episodes, score_function
from bilevelrl.core.blocks import FollowerParams
from bilevelrl.core.cell import Group, Training, believed_temperature, per_run
from bilevelrl.core.control_variate import ControlVariate
from bilevelrl.core.estimator import Estimator
from bilevelrl.core.finite_settings import SoftQParams, TruncatedFollower
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.games import SampledGameSetting
from bilevelrl.core.observations import Observations
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.score_function import Centring
from bilevelrl.core.settings import ExactFollower
from bilevelrl.core.soft_q_rule import SoftQOptions
from bilevelrl.models.finite_game.belief import FiniteBelief
from bilevelrl.models.finite_game.critics import Bootstrap, ExpectedBackup, NetworkCritic
from bilevelrl.models.finite_game.game import FiniteGame, FiniteSampler
from bilevelrl.models.finite_game.leader import FiniteLeader
from bilevelrl.models.finite_game.markov_game import MarkovGame
from bilevelrl.models.finite_game.perturbed import PerturbedFollower
from bilevelrl.models.finite_game.policies import NetworkPolicy
from bilevelrl.models.finite_game.rollout import GameRollout
from bilevelrl.models.finite_game.settings import (
    FiniteCorrectedSetting,
    FiniteCovarianceSetting,
    FiniteGameSetting,
    FinitePerturbedSetting,
    FiniteReleasedSetting,
    FiniteUnrolledSetting,
)
from bilevelrl.models.finite_game.soft_q_iteration import (
    Order,
    SoftQFollower,
    SoftQIteration,
    TruncatedSoftQ,
    UniformFirst,
)
from bilevelrl.models.finite_game.soft_q_learning import GameSoftQLearning
from bilevelrl.models.finite_game.unrolled import UnrolledFollower

Own_co = TypeVar("Own_co", bound=FiniteGameSetting, covariant=True)
Runs = Group[Own_co, FiniteGame]


def order_of(variant: str) -> Order:
    """In which order the follower averages over leader actions and takes its soft maximum."""
    return "published" if variant == "published" else "correct"


def make_follower(
    game: MarkovGame, settings: Sequence[FiniteGameSetting], followers: FollowerParams[SoftQParams]
) -> tuple[SoftQFollower, SoftQIteration]:
    """What the follower does during training, and the exact best response."""
    order = order_of(settings[0].variant)
    temperature = per_run(settings, "temperature")
    exact = SoftQIteration(game, temperature, followers.tolerance, followers.max_iterations, order)
    own = settings[0].follower
    if isinstance(own, ExactFollower):
        return exact, exact
    if isinstance(own, TruncatedFollower):
        iterations = per_run(settings, "follower.policy_iterations").astype(np.int64)
        return TruncatedSoftQ(game, temperature, iterations, own.start, order), exact
    options, first = SoftQOptions(**followers.learner.model_dump()), own.first_steps or own.steps
    return GameSoftQLearning(game, temperature, first, own.steps, options, own.start), exact


def bc_hg(g: Runs[FiniteCorrectedSetting]) -> Sampled[Observations]:
    """The corrected BC-HG, of a leader that watches its follower if it has a belief."""
    game, policy, own = g.game.game, g.game.policy, g.shared.belief
    leader = FiniteLeader(
        policy, game.sizes, ExpectedBackup(game.sizes), baseline="state", policy_rate=1.0
    )
    pairs = game.num_states * game.num_leader_actions
    control = Centring(ControlVariate(pairs, pairs), leader) if g.shared.control_variate else None
    made = score_function(leader, g.settings, game.sizes, g.game.return_discount)
    rollout = GameRollout(game, num_episodes(g.shared, game))
    sampler = FiniteSampler(policy, rollout, "full" if own is None else own.information)
    belief = None
    if own is not None:
        temperature = believed_temperature(g.settings)
        belief = FiniteBelief(game.sizes, policy, temperature, own.forgetting_factor, own.smoothing)
    return Sampled(sampler, replace(made, control=control), belief)


def _released(
    g: Runs[FiniteReleasedSetting],
    bootstrap: Bootstrap = "modes",
    *,
    follower_samples: int | None = None,
    indirect: bool = False,
    keep_batches: bool = False,
) -> Sampled[Observations]:
    """The released code's estimator and critic; of the game they know the sizes."""
    game, policy, shared = g.game.game, g.game.policy, g.shared
    critic = NetworkCritic(
        game.sizes, shared.critic.steps, per_run(g.settings, "critic.step_size"),
        shared.target_rate, shared.minibatch, bootstrap,
    )  # fmt: skip
    leader = FiniteLeader(
        policy, game.sizes, critic, baseline="sampled_follower_action",
        follower_samples=follower_samples, policy_rate=shared.target_rate,
    )  # fmt: skip
    learner = score_function(
        leader, g.settings, game.sizes, g.game.return_discount,
        indirect=indirect, keep_batches=keep_batches,
    )  # fmt: skip
    rollout = GameRollout(game, num_episodes(shared, game))
    return Sampled(FiniteSampler(policy, rollout, "full"), learner)


def released_covariance(g: Runs[FiniteCovarianceSetting]) -> Sampled[Observations]:
    """The published BC-HG."""
    return _released(g, follower_samples=g.shared.follower_samples, indirect=True)


#: The direct part alone, from the newest batch or from every batch so far; the same for Bi-AC.
naive_on = _released
naive_off = partial(_released, keep_batches=True)
bi_ac_on = partial(_released, bootstrap="stackelberg")
bi_ac_off = partial(_released, bootstrap="stackelberg", keep_batches=True)


def perturbed(g: Runs[FinitePerturbedSetting]) -> PerturbedFollower:
    """The perturbed follower; an odd episode is not played.

    Raises:
        ValueError: if there is no episode for each of two answers.
    """
    game, shared = g.game.game, g.shared
    episodes = shared.env_steps_per_update // (2 * game.max_episode_steps)
    if episodes == 0:
        raise ValueError(
            f"env_steps_per_update = {shared.env_steps_per_update}: two answers need an episode of "
            f"{game.max_episode_steps} transitions each"
        )
    epsilon = per_run(g.settings, "epsilon")
    return PerturbedFollower(
        game, g.game.policy, g.temperature, epsilon, episodes, shared.two_sided
    )


def unrolled(g: Runs[FiniteUnrolledSetting]) -> UnrolledFollower:
    """The unrolled follower."""
    sweeps = per_run(g.settings, "sweeps").astype(np.int64)
    return UnrolledFollower(g.game.game, g.game.policy, g.temperature, sweeps, g.shared.start)


def training(
    make: Callable[[Runs[Any]], Estimator[BestResponse]],
    settings: Sequence[FiniteGameSetting],
    game: MarkovGame,
    followers: FollowerParams[SoftQParams],
    shown: Mapping[str, tuple[int, int]] | None = None,
) -> Training[BestResponse]:
    """All that the training loop needs for runs that can share a batch, one setting each.

    `make` is one of the functions above, or another that builds an estimator; `shown` says which
    coordinates are recorded: name to (state, leader action) of a probability.
    """
    shared = settings[0]
    policy = NetworkPolicy(game.num_states, game.num_leader_actions)
    follower, exact = make_follower(game, settings, followers)
    if isinstance(shared, SampledGameSetting) and shared.random_updates:
        # The released code solves after the first update.
        follower = UniformFirst(follower, game, exact.temperature)
    discount = game.leader_discount if shared.returns == "discounted" else 1.0
    solved = FiniteGame(game, policy, follower, exact, discount, dict(shown or {}))
    made = make(Group(settings, solved))
    return Training(solved, made, ascent(settings), actor_steps(shared))
