"""Followers of building thermal control that act on single states, against the best response."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bilevelrl.followers.soft_actor_critic import SacAgent
from bilevelrl.followers.thermal_regulator import RegulatorResponse, ThermalRegulator
from bilevelrl.problems.follower_view import ViewOptions
from bilevelrl.problems.thermal_control import ThermalControl

Floats = NDArray[np.float64]


class Player(Protocol):
    """A stochastic policy, in the units of the problem."""

    def act(self, state: Floats, normals: Floats) -> tuple[Floats, Floats]:
        """Actions and their log densities, (N, m) and (N,), from standard normals (N, m)."""
        ...


@dataclass(frozen=True, eq=False)
class SacPlayer:
    """Implements `Player`. The agent may go on learning; this plays what it plays then.

    Attributes:
        agent: acts in a `ThermalFollowerView`.
        problem: the bi-level problem.
        view: of the agent.
    """

    agent: SacAgent
    problem: ThermalControl
    view: ViewOptions

    def act(self, state: Floats, normals: Floats) -> tuple[Floats, Floats]:
        """See `Player`."""
        action, density = self.agent.act(state / self.problem.initial_deviation, normals)
        bound = self.view.action_bound
        return bound * action, density - action.shape[1] * np.log(bound)


@dataclass(frozen=True, eq=False)
class RegulatorPlayer:
    """Implements `Player` by a ~ N(-K s, Σ).

    Attributes:
        gain: K, shape (m, n).
        covariance: Σ, shape (m, m).
    """

    gain: Floats
    covariance: Floats

    @classmethod
    def of_run(cls, response: RegulatorResponse, run: int) -> "RegulatorPlayer":
        """What one run's follower plays."""
        return cls(response.gain[run], response.covariance[run])

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


def numbers_per_episode(problem: ThermalControl) -> int:
    """How many standard normals an episode takes: one per zone, then units and zones per step."""
    zones, units = problem.num_zones, len(problem.control_cost)
    return zones + problem.max_episode_steps * (zones + units)


def play(problem: ThermalControl, theta: Floats, player: Player, normals: Floats) -> Episodes:
    """Episodes under θ, shape (D,), from standard normals (E, `numbers_per_episode`).

    Numbers are used in the order of `ThermalRollout`, so that the same ones give the same episodes.
    """
    zones, units = problem.input_matrix.shape
    drift = problem.dynamics(theta[None])[0]
    start, later = normals[:, :zones], normals[:, zones:]
    steps = later.reshape(len(normals), -1, units + zones).swapaxes(0, 1)
    here, rows = problem.initial_deviation * start, []
    for numbers in steps:
        action, density = player.act(here, numbers[:, :units])
        mean = here @ drift.T + action @ problem.input_matrix.T
        bounded = np.clip(mean, -problem.state_limit, problem.state_limit)
        after = bounded + problem.noise * numbers[:, units:]
        rows.append((here, action, density, after))
        here = after
    return Episodes(*(np.stack(column) for column in zip(*rows, strict=True)))


def discounted(problem: ThermalControl, reward: Floats) -> Floats:
    """Σ_t γ^t r_t of every episode, shape (E,), from rewards (T, E)."""
    weights = problem.discount ** np.arange(len(reward), dtype=np.float64)
    total: Floats = (weights[:, None] * reward).sum(axis=0)
    return total


def exact_value(problem: ThermalControl, response: RegulatorResponse) -> Floats:
    """The best response's mean soft return, without end, from where episodes start, shape (R,)."""
    cost = problem.initial_deviation**2 * np.trace(response.quadratic, axis1=1, axis2=2)
    value: Floats = -(cost + response.offset)
    return value


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


def evaluate(
    problem: ThermalControl,
    theta: Floats,
    temperature: float,
    player: Player,
    *,
    episodes: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """Both play episodes from the same random numbers; their tails after the cut are left out.

    Args:
        problem: the bi-level problem.
        theta: the leader, shape (D,).
        temperature: β.
        player: answers θ.
        episodes: of each.
        seed: of the random numbers.
    """
    response = ThermalRegulator(problem, np.array([temperature])).respond(theta[None])
    best = RegulatorPlayer.of_run(response, 0)
    numbers = (episodes, numbers_per_episode(problem))
    normals = np.random.default_rng(seed).standard_normal(numbers)
    own = play(problem, theta, player, normals)
    other = play(problem, theta, best, normals)
    returns, optimal = (
        discounted(
            problem,
            problem.follower_reward(each.state, each.action) - temperature * each.density,
        )
        for each in (own, other)
    )
    gap = optimal - returns
    zones, units = problem.input_matrix.shape
    density = best.log_density(own.state.reshape(-1, zones), own.action.reshape(-1, units))
    value, value_gap = float(exact_value(problem, response)[0]), float(gap.mean())
    return Evaluation(
        value=value - value_gap,
        value_gap=value_gap,
        gap_error=float(gap.std(ddof=1) / np.sqrt(episodes)),
        relative_gap=value_gap / abs(value),
        kl=float(own.density.mean() - density.mean()),
    )


def learning_curve(
    player: SacPlayer,
    theta: Floats,
    temperature: float,
    budgets: Sequence[int],
    *,
    episodes: int = 1000,
) -> pd.DataFrame:
    """What a SAC agent plays after so many transitions against a leader that does not move.

    Args:
        player: plays what its agent has learned, from nothing on.
        theta: the leader that it faces, shape (D,).
        temperature: β.
        budgets: transitions, increasing.
        episodes: of the evaluation, always from the same random numbers.

    Returns:
        Columns steps, value, value_gap, gap_error, relative_gap and kl, one row a budget.
    """
    agent, rows = player.agent, []
    for budget in budgets:
        agent.learn(budget - agent.steps)
        found = evaluate(player.problem, theta, temperature, player, episodes=episodes)
        rows.append({"steps": agent.steps, **asdict(found)})
    return pd.DataFrame(rows)
