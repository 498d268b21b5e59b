"""Batches of transitions from a tabular simulator, for all runs at once."""

from dataclasses import dataclass

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.batches import Batch
from bilevelrl.core.compilation import parallel_kernel
from bilevelrl.core.seeding import Consumer, Streams
from bilevelrl.models.tabular.model import TabularModel


@parallel_kernel
def _simulate(  # type: ignore[no-untyped-def]
    successor, discount, slip, policy, uniforms, starts, limit,
    state, action, following, time, terminated, truncated,
):  # fmt: skip
    num_runs, num_envs, num_steps = state.shape
    num_actions, num_successors = slip.shape[1:]
    for r in numba.prange(num_runs):
        cumulative = np.empty(policy.shape[1:])
        for s in range(policy.shape[1]):
            total = 0.0
            for a in range(num_actions):
                total += policy[r, s, a]
                cumulative[s, a] = total
        for e in range(num_envs):
            now = starts[r, e, 0]
            tau = 0
            for t in range(num_steps):
                chosen = 0
                draw = uniforms[r, e, t, 0]
                for a in range(num_actions - 1):
                    chosen += draw >= cumulative[now, a]
                move = 0
                draw = uniforms[r, e, t, 1]
                for k in range(num_successors - 1):
                    move += draw >= slip[now, chosen, k]
                after = successor[now, move]
                state[r, e, t], action[r, e, t], following[r, e, t] = now, chosen, after
                time[r, e, t], terminated[r, e, t] = tau, discount[now] == 0.0
                tau += 1
                truncated[r, e, t] = tau >= limit and not terminated[r, e, t]
                if terminated[r, e, t] or truncated[r, e, t]:
                    tau = 0
                    if t + 1 < num_steps:
                        after = starts[r, e, t + 1]
                now = after


@dataclass(frozen=True, eq=False)
class Rollout:
    """Draws a fresh batch at every call; nothing is carried from one batch to the next.

    Attributes:
        model: the simulator. A terminal state (discount 0) ends the episode on the transition
            *from* it.
        num_envs: E parallel environments per run.
        num_steps: T transitions in each, with automatic resets.
        max_episode_steps: transitions after which an episode is truncated.
        consumer: whose random stream to use.
        uniform_starts: start every episode in a uniformly drawn state instead of `model.initial`.
    """

    model: TabularModel
    num_envs: int
    num_steps: int
    max_episode_steps: int
    consumer: Consumer = "rollout"
    uniform_starts: bool = False

    @property
    def env_steps(self) -> int:
        """Transitions per batch and run."""
        return self.num_envs * self.num_steps

    def draw(self, streams: Streams) -> Floats:
        """The random numbers of a batch, shape (R, E, T, 2), or 3 with uniform starts.

        They hold until the next call.
        """
        num_draws = 3 if self.uniform_starts else 2
        return streams.uniforms(self.consumer, (self.num_envs, self.num_steps, num_draws))

    def sample(self, policy: Floats, streams: Streams) -> Batch:
        """Follow `policy` π(a | s), shape (R, S, A), for one batch.

        Raises:
            ValueError: if there is no single first state to start from.
        """
        return self.follow(policy, self.draw(streams))

    def follow(self, policy: Floats, uniforms: Floats) -> Batch:
        """The batch of `policy` that random numbers of `draw` stand for; raises as `sample`."""
        shape = (len(policy), self.num_envs, self.num_steps)
        if self.uniform_starts:
            starts = (uniforms[..., 2] * self.model.num_states).astype(np.int16)
        else:
            (first,) = np.nonzero(self.model.initial)
            if len(first) != 1:
                raise ValueError("Rollout needs a single first state, or uniform_starts=True")
            starts = np.broadcast_to(first.astype(np.int16), shape)
        kinds = (np.int16, np.int8, np.int16, np.int16, np.bool_, np.bool_)
        arrays = [np.empty(shape, kind) for kind in kinds]
        slip = np.cumsum(self.model.probability, axis=-1)
        _simulate(
            self.model.successor, self.model.discount, slip, policy, uniforms, starts,
            self.max_episode_steps, *arrays,
        )  # fmt: skip
        return Batch(*arrays)
