"""Estimators of a leader that pays several players, and what builds them from settings."""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.cell import Group
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.seeding import Streams
from bilevelrl.models.logit_equilibrium.covariance import weights
from bilevelrl.models.logit_equilibrium.episodes import Episodes, play
from bilevelrl.models.logit_equilibrium.game import Answer, PaidPlayers
from bilevelrl.models.logit_equilibrium.hypergradient import Reaction
from bilevelrl.models.logit_equilibrium.payments import Payments
from bilevelrl.models.logit_equilibrium.settings import (
    CovarianceSetting,
    PlayersSetting,
    SampledPlayersSetting,
)
from bilevelrl.models.logit_equilibrium.stochastic_game import Sizes


@dataclass(frozen=True, eq=False)
class WatchedPlayers:
    """BC-HG and Naive-PGD from whole episodes, of which the leader sees what `Episodes` says.

    Attributes:
        sizes: all that it knows of the game.
        payments: its own.
        temperature: β of the players, shape (R, N).
        num_episodes: per estimate and run.
        reaction: whether it reckons with players who react to one another; None is Naive-PGD, for
            which nobody reacts to anything.
        largest: see `covariance.weights`.
    """

    sizes: Sizes
    payments: Payments
    temperature: Floats
    num_episodes: int
    reaction: Reaction | None
    largest: float = 1.0

    def start(self, streams: Streams) -> Memory:
        """Nothing is remembered."""
        del streams
        return {}

    def estimate(
        self, theta: Floats, response: Answer, memory: Memory, streams: Streams
    ) -> Estimate:
        """Watch episodes, and learn from them alone."""
        del memory
        return self.learn(theta, play(response.reached, self.num_episodes, streams))

    def learn(self, theta: Floats, episodes: Episodes) -> Estimate:
        """Both parts of dJ/dθ, each (R, D), from episodes under θ."""
        lasts = episodes.state >= 0
        state, own = episodes.state, self.sizes.actions[episodes.action]
        shape = self.sizes.num_players, self.sizes.num_states, self.sizes.num_actions
        table = self.payments.table(theta, shape)
        run, player = np.arange(len(theta))[:, None, None, None], np.arange(shape[0])
        paid = table[run, player, state[..., None], own].sum(axis=3) * lasts
        leader_reward = episodes.leader_reward - self.payments.cost * paid
        discount = self.sizes.leader_discount ** np.arange(state.shape[2])
        of_payments = np.zeros_like(table)
        if self.payments.cost > 0.0:
            share = self.payments.cost / self.num_episodes * discount * lasts
            each = np.broadcast_to(share[..., None], own.shape)
            places = np.broadcast_arrays(run, player, state[..., None], own)
            np.subtract.at(of_payments, tuple(places), each)
        direct = self.payments.pulled_back(theta, of_payments)
        indirect = np.zeros_like(direct)
        if self.reaction is not None:
            found = weights(
                self.sizes, episodes, leader_reward, self.temperature,
                coupled=self.reaction == "coupled", largest=self.largest,
            )  # fmt: skip
            indirect = self.payments.pulled_back(theta, found)
        sampled = (leader_reward * discount).sum(axis=2).mean(axis=1)
        return Estimate(direct, indirect, sampled, env_steps=episodes.env_steps)


@dataclass(frozen=True, eq=False)
class ExactUncoupled:
    """The hypergradient as it would be if no player reacted to another; it is none."""

    game: PaidPlayers

    def start(self, streams: Streams) -> Memory:
        """Nothing is remembered."""
        del streams
        return {}

    def estimate(
        self, theta: Floats, response: Answer, memory: Memory, streams: Streams
    ) -> Estimate:
        """Costs no samples."""
        del memory, streams
        found = self.game.with_reaction(theta, response, "uncoupled")
        return Estimate(found.direct, found.indirect, np.full(len(theta), np.nan))


def _watched(
    group: Group[SampledPlayersSetting, PaidPlayers],
    reaction: Reaction | None,
    largest: float = 1.0,
) -> WatchedPlayers:
    game, steps = group.game.game, group.shared.env_steps_per_update
    return WatchedPlayers(
        game.sizes, group.game.payments, group.game.temperatures,
        steps // game.max_episode_steps, reaction, largest,
    )  # fmt: skip


def bc_hg(group: Group[CovarianceSetting, PaidPlayers]) -> WatchedPlayers:
    """BC-HG of players who react to one another."""
    return _watched(group, "coupled", group.shared.largest_weight)


def uncoupled(group: Group[SampledPlayersSetting, PaidPlayers]) -> WatchedPlayers:
    """BC-HG of every player alone."""
    return _watched(group, "uncoupled")


def naive(group: Group[SampledPlayersSetting, PaidPlayers]) -> WatchedPlayers:
    """The direct part alone; 0 for a leader to whom payments cost nothing."""
    return _watched(group, None)


def exact_uncoupled(group: Group[PlayersSetting, PaidPlayers]) -> ExactUncoupled:
    """Exact, but as if no player reacted to another."""
    return ExactUncoupled(group.game)
