"""Followers that act on single states, and how far they fall short of the best response."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.observations import Observations
from bilevelrl.models.deep.settings import ComparedSacParams
from bilevelrl.models.deep.view import FollowerView

Seen_co = TypeVar("Seen_co", bound=Observations, covariant=True)


class Player(Protocol):
    """A stochastic policy, in the units of the problem."""

    def act(self, state: Floats, normals: Floats) -> tuple[Floats, Floats]:
        """Actions and their log densities, (N, m) and (N,), from standard normals (N, m)."""
        ...


@dataclass(frozen=True, eq=False)
class RegulatorPlayer:
    """Implements `Player` by a ~ N(-K s, Σ).

    Attributes:
        gain: K, shape (m, n).
        covariance: Σ, shape (m, m).
    """

    gain: Floats
    covariance: Floats

    def act(self, state: Floats, normals: Floats) -> tuple[Floats, Floats]:
        """See `Player`."""
        noise = normals @ np.linalg.cholesky(self.covariance).T
        return noise - state @ self.gain.T, self._density(normals)

    def log_density(self, state: Floats, action: Floats) -> Floats:
        """The log of π(a | s), shape (N,), for s (N, n) and a (N, m)."""
        root = np.linalg.cholesky(self.covariance)
        return self._density(np.linalg.solve(root, (action + state @ self.gain.T).T).T)

    def _density(self, normals: Floats) -> Floats:
        volume = len(self.covariance) * np.log(2.0 * np.pi) + np.linalg.slogdet(self.covariance)[1]
        density: Floats = -0.5 * (np.square(normals).sum(axis=1) + volume)
        return density


@dataclass(frozen=True, eq=False)
class Episodes:
    """Whole episodes of one run, step by step.

    Attributes:
        state: s, shape (T, E, n).
        action: a, shape (T, E, m).
        density: log π(a | s), shape (T, E).
        next_state: s', shape (T, E, n).
    """

    state: Floats
    action: Floats
    density: Floats
    next_state: Floats


def discounted(discount: float, reward: Floats) -> Floats:
    """Σ_t γ^t r_t of every episode, shape (E,), from rewards (T, E)."""
    weights = discount ** np.arange(len(reward), dtype=np.float64)
    total: Floats = (weights[:, None] * reward).sum(axis=0)
    return total


class FollowerTask(Protocol[Seen_co]):
    """One problem, as a follower plays it that acts on single states; read-only."""

    @property
    def follower_discount(self) -> float:
        """The follower's γ."""
        ...

    @property
    def numbers_per_episode(self) -> int:
        """How many standard normals an episode takes."""
        ...

    def view(self, theta: Floats, rule: ComparedSacParams) -> FollowerView:
        """What an agent learns in, against θ, shape (D,)."""
        ...

    def best(self, theta: Floats, temperature: float) -> tuple[RegulatorPlayer, float]:
        """The best response to θ, shape (D,), and its mean soft return without end."""
        ...

    def play(self, theta: Floats, player: Player, normals: Floats) -> Episodes:
        """Episodes under θ, shape (D,), from standard normals (E, `numbers_per_episode`)."""
        ...

    def follower_reward(self, episodes: Episodes) -> Floats:
        """The follower's reward r_F, shape (T, E)."""
        ...

    def leader_return(self, episodes: Episodes) -> Floats:
        """The part of the reported J that depends on what was played, shape (E,)."""
        ...

    def observations(self, theta: Floats, episodes: Sequence[Episodes]) -> Seen_co:
        """What a leader at level "rewards" sees of episodes of R runs under θ, shape (R, D)."""
        ...


@dataclass(frozen=True)
class Evaluation:
    """How a player compares with the best response; rewards and entropy in the problem's units.

    Attributes:
        value_gap: soft return that it lacks, a mean of paired differences.
        gap_error: standard error of `value_gap`.
        relative_gap: `value_gap` over the size of the best response's exact value.
        kl: mean of KL(player || best response) over the states that the player visits.
        leader_gain: mean paired difference of J to that under the best response.
    """

    value_gap: float
    gap_error: float
    relative_gap: float
    kl: float
    leader_gain: float


def evaluate(
    task: FollowerTask[Observations],
    theta: Floats,
    temperature: float,
    player: Player,
    episodes: int,
) -> Evaluation:
    """A player and the best response to θ, shape (D,), play from the same random numbers.

    These are always the same. What would come after the last step is left out.
    """
    best, value = task.best(theta, temperature)
    normals = np.random.default_rng(0).standard_normal((episodes, task.numbers_per_episode))
    own, other = (task.play(theta, each, normals) for each in (player, best))
    returns, optimal = (
        discounted(task.follower_discount, task.follower_reward(each) - temperature * each.density)
        for each in (own, other)
    )
    gap, gain = optimal - returns, task.leader_return(own) - task.leader_return(other)
    state, action = (rows.reshape(-1, rows.shape[2]) for rows in (own.state, own.action))
    return Evaluation(
        value_gap=float(gap.mean()),
        gap_error=float(gap.std(ddof=1) / np.sqrt(episodes)),
        relative_gap=float(gap.mean()) / abs(value),
        kl=float(own.density.mean() - best.log_density(state, action).mean()),
        leader_gain=float(gain.mean()),
    )


def transitions(episodes: Sequence[Episodes]) -> list[Floats]:
    """States, actions and next states of R runs, each (R, N, n), one episode after the other."""
    return [
        np.stack([rows.swapaxes(0, 1).reshape(-1, rows.shape[2]) for rows in runs])
        for runs in zip(*((own.state, own.action, own.next_state) for own in episodes), strict=True)
    ]
