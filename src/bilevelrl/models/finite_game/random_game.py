"""Games without structure, and what their leader may want of them."""

from dataclasses import replace

import numpy as np

from bilevelrl.models.finite_game.markov_game import GameSizes, MarkovGame


def random_game(seed: int, sizes: GameSizes) -> MarkovGame:
    """A game in which everything is drawn.

    Transitions are Dirichlet(0.7), both rewards standard normal, the first state Dirichlet(1).
    """
    generator = np.random.default_rng(seed)
    states = sizes.num_states
    shape = (states, sizes.num_leader_actions, sizes.num_follower_actions)
    return MarkovGame(
        transition=generator.dirichlet(np.full(states, 0.7), shape),
        follower_reward=generator.standard_normal(shape),
        leader_reward=generator.standard_normal(shape),
        initial=generator.dirichlet(np.ones(states)),
        leader_discount=sizes.leader_discount,
        follower_discount=sizes.follower_discount,
        max_episode_steps=sizes.max_episode_steps,
    )


def mixed_rewards(game: MarkovGame, alignment: float) -> MarkovGame:
    """The game with the leader's reward κ r_F + (1 - |κ|) r_L, κ the `alignment`.

    κ = -1 is zero-sum, κ = 1 is common interest, and κ = 0 is the game itself.

    Raises:
        ValueError: if κ is not in [-1, 1].
    """
    if not -1.0 <= alignment <= 1.0:
        raise ValueError(f"alignment must lie in [-1, 1], got {alignment}")
    own = (1.0 - abs(alignment)) * game.leader_reward
    return replace(game, leader_reward=alignment * game.follower_reward + own)
