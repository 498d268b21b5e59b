"""The ferry: a traveller between two banks rides for a fare, or swims."""

import numpy as np

from bilevelrl.models.finite_game.markov_game import MarkovGame

UPSTREAM, DOWNSTREAM = range(2)
LOW, HIGH = range(2)
RIDE, SWIM = range(2)


def ferry(
    low_fare: float,
    high_fare: float,
    *,
    leader_discount: float,
    follower_discount: float,
    max_episode_steps: int,
) -> MarkovGame:
    """The game; every episode starts on the upstream bank.

    The leader chooses the fare of the next crossing, then the follower rides or swims. Riding
    always arrives and pays the follower 1 less the fare, which is the leader's. Swimming is free,
    and arrives with probability 0.9 from upstream but 0.4 from downstream, where the ferry is worth
    more.

    Args:
        low_fare: of the leader's action 0.
        high_fare: of its action 1.
        leader_discount: γ_L.
        follower_discount: γ_F.
        max_episode_steps: T.
    """
    transition = np.zeros((2, 2, 2, 2))  # state, leader's action, follower's action, next state
    follower_reward, leader_reward = np.zeros((2, 2, 2, 2))
    for bank, arrives in ((UPSTREAM, 0.9), (DOWNSTREAM, 0.4)):
        transition[bank, :, RIDE, 1 - bank] = 1.0
        transition[bank, :, SWIM, 1 - bank] = arrives
        transition[bank, :, SWIM, bank] = 1.0 - arrives
        follower_reward[bank, :, SWIM] = arrives
        for action, fare in ((LOW, low_fare), (HIGH, high_fare)):
            follower_reward[bank, action, RIDE] = 1.0 - fare
            leader_reward[bank, action, RIDE] = fare
    initial = np.array([1.0, 0.0])
    return MarkovGame(
        transition,
        follower_reward,
        leader_reward,
        initial,
        leader_discount,
        follower_discount,
        max_episode_steps,
    )
