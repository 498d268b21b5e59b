"""Followers that act on single states, and how far they fall short of the best response."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bilevelrl.core.observations import Observations
from bilevelrl.models.deep.view import FollowerView, ViewOptions

if TYPE_CHECKING:  # torch takes seconds
    from bilevelrl.models.deep.agent import SacAgent

Floats = NDArray[np.float64]
Seen = TypeVar("Seen", bound=Observations, covariant=True)


class Player(Protocol):
    """A stochastic policy, in the units of the problem."""

    def act(self, state: Floats, normals: Floats) -> tuple[Floats, Floats]:
        """Actions and their log densities, (N, m) and (N,), from standard normals (N, m)."""
        ...


@dataclass(frozen=True, eq=False)
class SacPlayer:
    """Implements `Player`. The agent may go on learning; this plays what it plays then.

    Attributes:
        agent: acts in a `follower_view.FollowerView`.
        scale: what states are divided by before the agent sees them.
        bound: what its actions are multiplied by.
    """

    agent: "SacAgent"
    scale: float
    bound: float

    def act(self, state: Floats, normals: Floats) -> tuple[Floats, Floats]:
        """See `Player`."""
        action, density = self.agent.act(state / self.scale, normals)
        return self.bound * action, density - action.shape[1] * np.log(self.bound)


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


@dataclass(frozen=True)
class Evaluation:
    """How a player compares with the best response; rewards and entropy in the problem's units.

    Attributes:
        value: discounted soft return, the best response's exact one less `value_gap`.
        value_gap: what it lacks against the best response, a mean of paired differences.
        gap_error: standard error of `value_gap`.
        relative_gap: `value_gap` over the size of the exact value.
        kl: mean of KL(player || best response) over the states that the player visits.
    """

    value: float
    value_gap: float
    gap_error: float
    relative_gap: float
    kl: float

    @classmethod
    def of(cls, value: float, gap: Floats, own: Episodes, best: RegulatorPlayer) -> "Evaluation":
        """Of a player that fell short by `gap`, shape (E,), of `best`, which is worth `value`."""
        state, action = (rows.reshape(-1, rows.shape[2]) for rows in (own.state, own.action))
        value_gap = float(gap.mean())
        return cls(
            value=value - value_gap,
            value_gap=value_gap,
            gap_error=float(gap.std(ddof=1) / np.sqrt(len(gap))),
            relative_gap=value_gap / abs(value),
            kl=float(own.density.mean() - best.log_density(state, action).mean()),
        )


class Parameterised(Protocol):
    """A problem whose leader has parameters; read-only."""

    @property
    def num_parameters(self) -> int:
        """D."""
        ...


class FollowerTask(Protocol[Seen]):
    """One problem, as a follower plays it that acts on single states; read-only."""

    @property
    def problem(self) -> Parameterised:
        """The bi-level problem."""
        ...

    @property
    def scale(self) -> float:
        """What states are divided by before an agent sees them."""
        ...

    @property
    def follower_discount(self) -> float:
        """The follower's γ."""
        ...

    @property
    def return_discount(self) -> float:
        """Of the J that is reported."""
        ...

    @property
    def numbers_per_episode(self) -> int:
        """How many standard normals an episode takes."""
        ...

    def view(self, theta: Floats, options: ViewOptions) -> FollowerView:
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

    def leader_reward(self, episodes: Episodes) -> Floats:
        """The part of r_L, shape (T, E), that depends on what was played."""
        ...

    def observations(self, theta: Floats, episodes: Sequence[Episodes]) -> Seen:
        """What a leader at level "rewards" sees of episodes of R runs under θ, shape (R, D)."""
        ...


def evaluate(
    follower_task: FollowerTask[Any],
    theta: Floats,
    temperature: float,
    player: Player,
    *,
    episodes: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """A player and the best response play episodes from the same random numbers.

    Their tails after the cut are left out.

    Args:
        follower_task: the problem.
        theta: the leader, shape (D,).
        temperature: β.
        player: answers θ.
        episodes: of each.
        seed: of the random numbers.
    """
    best, value = follower_task.best(theta, temperature)
    normals = np.random.default_rng(seed).standard_normal(
        (episodes, follower_task.numbers_per_episode)
    )
    own, other = (follower_task.play(theta, each, normals) for each in (player, best))
    returns, optimal = (
        discounted(
            follower_task.follower_discount,
            follower_task.follower_reward(each) - temperature * each.density,
        )
        for each in (own, other)
    )
    return Evaluation.of(value, optimal - returns, own, best)


def rows_of_runs(columns: Sequence[Floats]) -> Floats:
    """Episodes (T, E, n) of R runs one after the other, though played side by side, (R, N, n)."""
    return np.stack([each.swapaxes(0, 1).reshape(-1, each.shape[2]) for each in columns])


def learning_curve(
    agent: "SacAgent", budgets: Sequence[int], evaluate: Callable[[], Evaluation]
) -> pd.DataFrame:
    """What an agent plays after so many transitions against a leader that does not move.

    Args:
        agent: learns from where it is.
        budgets: transitions, increasing.
        evaluate: what it plays then.

    Returns:
        Columns steps, value, value_gap, gap_error, relative_gap and kl, one row a budget.
    """
    rows = []
    for budget in budgets:
        agent.learn(budget - agent.steps)
        rows.append({"steps": agent.steps, **asdict(evaluate())})
    return pd.DataFrame(rows)
