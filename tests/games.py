"""Finite games for tests."""

import numpy as np
from numpy.typing import NDArray

from bilevelrl.problems.markov_game import MarkovGame

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
