"""Games, policies and draws for tests."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bilevelrl.models.finite_game.markov_game import MarkovGame
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR

Floats = NDArray[np.float64]


def random_game(seed: int = 0, follower_discount: float = 0.9) -> MarkovGame:
    """A game without structure: S = 4, A = 3, B = 2, everything stochastic."""
    generator = np.random.default_rng(seed)
    return MarkovGame(
        transition=generator.dirichlet(np.full(4, 0.7), (4, 3, 2)),
        follower_reward=generator.standard_normal((4, 3, 2)),
        leader_reward=generator.standard_normal((4, 3, 2)),
        initial=generator.dirichlet(np.ones(4)),
        leader_discount=0.95,
        follower_discount=follower_discount,
        max_episode_steps=20,
    )


def random_policies(runs: int, *shape: int, seed: int = 1) -> Floats:
    """Distributions over the last axis, shape (R, *shape)."""
    generator = np.random.default_rng(seed)
    return generator.dirichlet(np.ones(shape[-1]), (runs, *shape[:-1]))


def toy_leader(q: Floats) -> Floats:
    """f with f(1 | A) = q in the discrete toy, and uniform elsewhere, shape (R, 3, 2)."""
    leader = np.full((len(q), 3, 2), 0.5)
    leader[:, 1] = np.stack([1.0 - q, q], axis=1)
    return leader


def literal_draws(
    uniforms: Floats, episodes: int, horizon: int, gamma: float = 0.99
) -> list[tuple[int, int]]:
    """(episode, step) of every draw, the step in proportion to γ^t."""
    mass = [gamma**t for t in range(horizon)]
    draws = []
    for first, second in uniforms:
        left, step = first * sum(mass), 0
        while step < horizon - 1 and left >= mass[step]:
            left -= mass[step]
            step += 1
        draws.append((int(second * episodes), step))
    return draws


def generic_lqr(**changes: Any) -> BilevelLQR:
    """3 states, 2 follower's actions, 1 leader's action, no symmetry."""
    rng = np.random.default_rng(6)
    numbers: dict[str, Any] = {
        "state_matrix": 0.5 * rng.standard_normal((3, 3)),
        "follower_matrix": rng.standard_normal((3, 2)),
        "leader_matrix": rng.standard_normal((3, 1)),
        "state_cost": np.diag([1.0, 2.0, 0.5]),
        "control_cost": ((1.0, 0.2), (0.2, 0.5)),
        "target": (0.5, -0.3, 0.2),
        "target_scale": (0.8, 1.0, 1.2),
        "initial_state": (1.0, -1.0, 0.5),
        "leader_reward_scale": 2.0,
    }
    return BilevelLQR.published(**numbers | changes)


def big_lqr(**changes: Any) -> BilevelLQR:
    """4 states, 2 follower's and 3 leader's actions, no symmetry."""
    rng = np.random.default_rng(4)
    numbers: dict[str, Any] = {
        "state_matrix": 0.4 * rng.standard_normal((4, 4)),
        "follower_matrix": rng.standard_normal((4, 2)),
        "leader_matrix": rng.standard_normal((4, 3)),
        "state_cost": np.diag([1.0, 2.0, 0.5, 1.0]),
        "target": (0.5, -0.3, 0.2, 0.0),
        "target_scale": (0.8, 1.0, 1.2, 0.9),
        "initial_state": (1.0, -1.0, 0.5, 0.2),
    }
    return generic_lqr(**numbers | changes)
