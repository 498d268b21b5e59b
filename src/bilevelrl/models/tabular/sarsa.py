"""The leader's tabular SARSA critic."""

from dataclasses import dataclass
from typing import Literal

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.batches import Batch
from bilevelrl.core.compilation import parallel_kernel
from bilevelrl.core.seeding import Streams

Cuts = Literal["bootstrap", "termination"]


@parallel_kernel
def _sweep(  # type: ignore[no-untyped-def]
    state, action, following, terminated, truncated, reward, policy, uniforms,
    step_size, discount, bootstrap_cuts, table,
):  # fmt: skip
    num_runs, num_envs, num_steps = state.shape
    num_actions = policy.shape[2]
    size = num_envs * num_steps
    for r in numba.prange(num_runs):
        order = np.arange(size)
        for i in range(size - 1, -1, -1):
            j = int(uniforms[r, i] * (i + 1))
            k = order[j]
            order[j] = order[i]
            e, t = k // num_steps, k % num_steps
            s, a = state[r, e, t], action[r, e, t]
            next_value = 0.0
            if not terminated[r, e, t]:
                if t + 1 < num_steps and not truncated[r, e, t]:
                    next_value = table[r, state[r, e, t + 1], action[r, e, t + 1]]
                elif bootstrap_cuts:
                    after = following[r, e, t]
                    for b in range(num_actions):
                        next_value += policy[r, after, b] * table[r, after, b]
            error = reward[r, s, a] + discount * next_value - table[r, s, a]
            table[r, s, a] += step_size[r] * error


@dataclass(frozen=True, eq=False)
class Sarsa:
    """One pass of SARSA over each batch, in random order, on a table that lives as long as the run.

    Q(s, a) ← Q(s, a) + α [r_L(s, a; θ) + γ Q(s', a') - Q(s, a)].

    Attributes:
        step_size: α of each run, shape (R,).
        discount: γ_L.
        initial_spread: standard deviation of the table at the start (the released code: 1).
        cuts: "bootstrap" continues with Σ_a π(a|s') Q(s', a) where the step limit or the end of the
            batch cuts an episode; "termination" takes the rest of a cut episode as worth 0
            (released).
    """

    step_size: Floats
    discount: float
    initial_spread: float = 0.0
    cuts: Cuts = "bootstrap"

    def start(self, shape: tuple[int, int], streams: Streams) -> Floats:
        """The table before the first batch, shape (R, S, A)."""
        return self.initial_spread * streams.normals("critic", shape)

    def update(
        self, table: Floats, batch: Batch, reward: Floats, policy: Floats, streams: Streams
    ) -> None:
        """Visit every transition of the batch once; changes `table` in place."""
        uniforms = streams.uniforms("critic", (batch.state[0].size,))
        _sweep(
            batch.state, batch.action, batch.following, batch.terminated, batch.truncated, reward,
            policy, uniforms, self.step_size, self.discount, self.cuts == "bootstrap", table,
        )  # fmt: skip
