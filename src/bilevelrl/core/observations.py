"""What a leader sees of a game: states, both players' actions and its own reward.

How much more it may use is the level of information at which an estimator works:

* "full" reads the follower's own value function and policy, as the released code does,
* "rewards" sees the follower's rewards,
* "actions" sees neither.

At the last two everything about the follower has to be learned from `Observations`.
"""

from dataclasses import dataclass, fields
from typing import Literal, Self

import numpy as np

from bilevelrl.core.arrays import AnyArray, Floats, Index

Information = Literal["full", "rewards", "actions"]


@dataclass(frozen=True, eq=False)
class Observations:
    """N transitions of each of R runs.

    States and actions are numbers in a finite game, shape (R, N), and vectors otherwise, shape (R,
    N, n). Straight from a simulator, N is a whole number of episodes, each of `horizon` steps.

    Attributes:
        state: s.
        leader_action: a.
        follower_action: b.
        next_state: s'.
        leader_reward: r_L, shape (R, N).
        follower_reward: r_F without the bonus for entropy, shape (R, N); None where the leader
            does not see it.
    """

    state: AnyArray
    leader_action: AnyArray
    follower_action: AnyArray
    next_state: AnyArray
    leader_reward: Floats
    follower_reward: Floats | None = None

    def follower_rewards(self) -> Floats:
        """r_F, shape (R, N).

        Raises:
            ValueError: if the leader does not see it.
        """
        if self.follower_reward is None:
            raise ValueError("the follower's reward is needed: information = 'rewards'")
        return self.follower_reward

    def take(self, index: Index) -> Self:
        """Those at `index`, shape (R, n)."""
        run = np.arange(len(index))[:, None]
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        taken = {name: each[run, index] for name, each in known.items() if each is not None}
        return type(self)(**taken)


def discounted_return(reward: Floats, horizon: int, discount: float) -> Floats:
    """Mean over episodes of Σ_t γ^t r_L, shape (R,), from rewards (R, N) of whole episodes."""
    discounts = np.power(discount, np.arange(horizon, dtype=np.float64))
    by_time = reward.reshape(len(reward), -1, horizon).mean(axis=1)
    total: Floats = (by_time * discounts).sum(axis=1)
    return total
