"""The discrete toy: a leader that is too greedy drives its follower away.

Source: arXiv 2603.14867, Markov-game experiments (DiscreteToy4 of the authors' code).
"""

import numpy as np

from bilevelrl.models.finite_game.markov_game import MarkovGame

STATE_NAMES = ("S", "A", "B")
LEADER_ACTION_NAMES = ("0", "1")
FOLLOWER_ACTION_NAMES = ("s", "a", "b")
S, A, B = range(3)


def discrete_toy(
    revisit_reward: float,
    *,
    leader_discount: float = 0.99,
    follower_discount: float = 0.99,
    max_episode_steps: int = 150,
) -> MarkovGame:
    """The toy game; all moves are deterministic and every episode starts in S.

    The follower names the state that it wants to go to, s, a or b. From S it gets 1 for A or B;
    the leader gets 1 for A only. From A the leader decides: under 0 the follower goes where it
    wants and gets `revisit_reward` for B, under 1 it is sent back to S and fined 1. From B it may
    return to S or stay. Back in S sooner, the leader earns more, but with q = f(1 | A) above some
    threshold a tour over A no longer pays the follower: the leader's optimum is a mixed policy just
    below it, and J depends on q alone.

    Args:
        revisit_reward: r_F(A, 0, b), called R in the paper: 1 in R1, 2 in R2.
        leader_discount: γ_L.
        follower_discount: γ_F.
        max_episode_steps: H.
    """
    transition = np.zeros((3, 2, 3, 3))
    follower_reward, leader_reward = np.zeros((2, 3, 2, 3))
    for wish in (S, A, B):
        transition[S, :, wish, wish] = 1.0
        transition[A, 0, wish, wish] = 1.0
        transition[A, 1, wish, S] = 1.0
        transition[B, :, wish, S if wish == S else B] = 1.0
    follower_reward[S, :, [A, B]] = 1.0
    follower_reward[A, 0, B] = revisit_reward
    follower_reward[A, 1, :] = -1.0
    leader_reward[S, :, A] = 1.0
    initial = np.array([1.0, 0.0, 0.0])
    rewards, discounts = (follower_reward, leader_reward), (leader_discount, follower_discount)
    return MarkovGame(transition, *rewards, initial, *discounts, max_episode_steps)
