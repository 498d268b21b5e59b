"""Every-visit Monte-Carlo tables of one batch."""

from typing import NamedTuple

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.batches import Batch
from bilevelrl.core.compilation import parallel_kernel


class MonteCarlo(NamedTuple):
    """Averages over all visits of a batch; zero where nothing was visited.

    Attributes:
        action_value: mean return after (s, a), shape (R, S, A).
        value: mean return after s, shape (R, S).
    """

    action_value: Floats
    value: Floats

    @property
    def advantage(self) -> Floats:
        """Q̂(s, a) - V̂(s), shape (R, S, A)."""
        return self.action_value - self.value[:, :, None]


@parallel_kernel
def _tabulate(  # type: ignore[no-untyped-def]
    state, action, terminated, truncated, reward, discount, action_value, value
):
    num_runs, num_envs, num_steps = state.shape
    num_states, num_actions = reward.shape[1:]
    for r in numba.prange(num_runs):
        action_value[r] = 0.0
        count = np.zeros((num_states, num_actions))
        for e in range(num_envs):
            following = 0.0
            for t in range(num_steps - 1, -1, -1):
                s, a = state[r, e, t], action[r, e, t]
                if terminated[r, e, t] or truncated[r, e, t]:
                    following = 0.0
                following = reward[r, s, a] + discount * following
                action_value[r, s, a] += following
                count[s, a] += 1.0
        for s in range(num_states):
            visits, returns = 0.0, 0.0
            for a in range(num_actions):
                visits += count[s, a]
                returns += action_value[r, s, a]
                action_value[r, s, a] /= max(1.0, count[s, a])
            value[r, s] = returns / max(1.0, visits)


def monte_carlo(batch: Batch, reward: Floats, discount: float) -> MonteCarlo:
    """Average the discounted returns Σ_j γ^{j-k} r(s_j, a_j) of every visit, r of shape (R, S, A).

    Every cut (step limit, end of the batch) counts as the end of the return, as in the released
    code; the later a cut comes, the smaller the error, γ^(steps left).
    """
    tables = MonteCarlo(np.empty_like(reward), np.empty(reward.shape[:2]))
    _tabulate(
        batch.state, batch.action, batch.terminated, batch.truncated, reward, discount, *tables
    )
    return tables
