"""Tabular soft Q-learning of a follower that sees the leader act.

As `soft_q_learning`, with the pair (s, a) for a state: after s' the leader draws a' from its own
policy, so that the target is r_F(s, a, b) + γ β log Σ_b' exp(Q(s', a', b') / β).
"""

from dataclasses import dataclass, replace
from typing import Literal

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.compilation import parallel_kernel
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.seeding import Streams
from bilevelrl.core.soft_q_rule import SoftQOptions, choose, replay_backwards, steps_of_answer
from bilevelrl.models.finite_game.markov_game import MarkovGame
from bilevelrl.models.finite_game.rollout import draw
from bilevelrl.models.finite_game.soft_q_iteration import swept


@parallel_kernel
def _interact(  # type: ignore[no-untyped-def]
    transition, initial, reward, discount, leader, temperature, uniforms, limit, exploration,
    schedule, table, visits,
):  # fmt: skip
    num_runs, num_steps, _ = uniforms.shape
    num_leader, num_follower = reward.shape[1:]
    for r in numba.prange(num_runs):
        values = table[r].reshape(-1, num_follower)
        counts = visits[r].reshape(-1, num_follower)
        place, following = np.empty(limit, np.int64), np.empty(limit, np.int64)
        action, goes_on = np.empty(limit, np.int64), np.ones(limit, np.bool_)
        rewards = np.empty(limit)
        length, s = 0, draw(initial, uniforms[r, 0, 4])
        a = draw(leader[r, s], uniforms[r, 0, 3])
        for n in range(num_steps):
            own = uniforms[r, n]
            here = s * num_leader + a
            b = choose(values[here], temperature[r], exploration, own[0], own[1])
            after = draw(transition[s, a, b], own[2])
            place[length], action[length], rewards[length] = here, b, reward[s, a, b]
            s, a = after, draw(leader[r, after], uniforms[r, (n + 1) % num_steps, 3])
            following[length] = s * num_leader + a
            length += 1
            if length == limit or n == num_steps - 1:  # episodes are cut, and nothing ends there
                replay_backwards(
                    place, action, rewards, following, goes_on, length, temperature[r], discount,
                    schedule, values, counts,
                )  # fmt: skip
                s, length = draw(initial, own[4]), 0
                a = draw(leader[r, s], uniforms[r, (n + 1) % num_steps, 3])


@dataclass(frozen=True, eq=False)
class GameSoftQLearning:
    """Implements `soft_q_iteration.SoftQFollower`.

    Attributes:
        temperature: β of each run, shape (R,).
        first_steps: transitions before the first answer.
        steps: transitions before each later one.
        options: of the learning rule.
        start_from: "carry" goes on from the last answer, "reset" starts again from nothing.
    """

    game: MarkovGame
    temperature: Floats
    first_steps: int
    steps: int
    options: SoftQOptions = SoftQOptions()  # noqa: RUF009
    start_from: Literal["carry", "reset"] = "carry"

    def start(self, num_runs: int, streams: Streams | None = None) -> Floats:
        """Q and visits, all zero, shape (R, 2, S, A, B)."""
        del streams
        return np.zeros((num_runs, 2, *self.game.follower_reward.shape))

    def respond(self, leader_policy: Floats, memory: Floats, streams: Streams) -> BestResponse:
        """Learn from transitions under f(a | s), shape (R, S, A), and answer.

        `accuracy` certifies the answer from the model.

        Raises:
            ValueError: if `leader_policy` has another shape or is none.
        """
        game = self.game
        leader = game.checked_leader_policy(leader_policy)
        steps = steps_of_answer(self, memory)
        uniforms = streams.uniforms("follower", (steps, 5))
        table, visits = np.ascontiguousarray(memory[:, 0]), np.ascontiguousarray(memory[:, 1])
        _interact(
            game.transition, game.initial, game.follower_reward, game.follower_discount, leader,
            self.temperature, uniforms, game.max_episode_steps, self.options.exploration,
            self.options.schedule, table, visits,
        )  # fmt: skip
        memory[:, 0], memory[:, 1] = table, visits
        none = np.zeros(len(leader), dtype=np.int64)
        return replace(swept(game, leader, self.temperature, table, none, "correct"), steps=steps)
