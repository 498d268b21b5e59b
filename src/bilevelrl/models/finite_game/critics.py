"""Critics of a finite game: tables Q_L(s, a, b) of a leader that acts itself."""

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import numba
import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.ascent import Adam
from bilevelrl.core.compilation import parallel_kernel
from bilevelrl.core.estimator import Memory
from bilevelrl.core.mlp import Mlp
from bilevelrl.core.observations import Observations
from bilevelrl.core.seeding import Streams
from bilevelrl.models.finite_game.kernels import look_ahead
from bilevelrl.models.finite_game.markov_game import GameSizes, MarkovGame

Bootstrap = Literal["modes", "stackelberg"]


class GameCritic(Protocol):
    """Learns Q_L from transitions."""

    def start(self, streams: Streams) -> Memory:
        """What is known before the first batch."""

    def learn(
        self,
        stored: Observations,
        batch: Observations,
        leader: tuple[Floats, Floats],
        follower: Floats,
        memory: Memory,
        streams: Streams,
    ) -> None:
        """Learn after a batch, the newest of all that is stored; updates `memory` in place.

        `leader` is f(a | s) now and of the slow copy, each (R, S, A); `follower` is π(b | s, a),
        shape (R, S, A, B).
        """

    def action_values(self, memory: Memory) -> Floats:
        """Q_L by steps already made, shape (R, T, S, A, B); T = 1 where they do not matter."""


@dataclass(frozen=True, eq=False)
class NetworkCritic:
    """The released code's critic: a network that bootstraps from most likely actions.

    It never converges to Q_L: its slow copy moves once per update, and modes are not expectations.

    Attributes:
        game: its sizes and discount are used.
        steps: C, Adam steps per batch.
        step_size: Adam's, shape (R,).
        target_rate: share of the network in its slow copy, once per batch.
        minibatch: transitions per step, drawn uniformly from all that are stored.
        bootstrap: "modes" takes the most likely action of the leader's slow copy; "stackelberg"
            (Bi-AC) the leader action with the highest value against the follower's mode.
    """

    game: GameSizes | MarkovGame
    steps: int
    step_size: Floats
    target_rate: float
    minibatch: int
    bootstrap: Bootstrap = "modes"

    @property
    def _shape(self) -> tuple[int, int, int]:
        game = self.game
        return game.num_states, game.num_follower_actions, game.num_leader_actions

    @property
    def _network(self) -> Mlp:
        states, inputs, outputs = self._shape
        return Mlp(states + inputs, outputs)

    def _inputs(self, num_runs: int) -> Floats:
        # One-hot state beside one-hot follower action, for all pairs.
        states, actions, _ = self._shape
        rows = np.zeros((states, actions, states + actions))
        rows[:, :, :states] = np.eye(states)[:, None]
        rows[:, :, states:] = np.eye(actions)
        flat = rows.reshape(states * actions, -1)
        return np.broadcast_to(flat, (num_runs, *flat.shape))

    def _table(self, parameters: Floats) -> Floats:
        output = self._network.forward(parameters, self._inputs(len(parameters)))
        return output.reshape(-1, *self._shape).swapaxes(2, 3)

    def start(self, streams: Streams) -> Memory:
        """Xavier-normal weights, the slow copy equal to them."""
        network = self._network
        parameters = network.xavier(streams.normals("critic", (network.num_parameters,)))
        slopes = Adam(self.step_size).start(parameters.shape)
        return {"critic": parameters, "slow_critic": parameters.copy(), **slopes}

    def learn(
        self,
        stored: Observations,
        batch: Observations,
        leader: tuple[Floats, Floats],
        follower: Floats,
        memory: Memory,
        streams: Streams,
    ) -> None:
        """First let the slow copy follow, then take `steps` steps."""
        del batch
        parameters, slow = memory["critic"], memory["slow_critic"]
        slow += self.target_rate * (parameters - slow)
        following = self.game.leader_discount * self._bootstrap(slow, leader[1], follower)
        rule, size = Adam(self.step_size), stored.leader_reward.shape[1]
        runs, cells = np.arange(len(parameters))[:, None], math.prod(self._shape)
        for _ in range(self.steps):
            index = (streams.uniforms("critic", (self.minibatch,)) * size).astype(np.int64)
            drawn = stored.take(index)
            target = drawn.leader_reward + following[runs, drawn.next_state]
            place = (drawn.state, drawn.follower_action, drawn.leader_action)
            error = target - self._table(parameters)[runs, place[0], place[2], place[1]]
            flat = (runs * cells + np.ravel_multi_index(place, self._shape)).ravel()
            summed = np.bincount(flat, error.ravel(), len(runs) * cells).astype(np.float64)
            weights = summed.reshape(len(runs), -1, self._shape[2]) * (2.0 / self.minibatch)
            descent = self._network.pull_back(parameters, self._inputs(len(runs)), weights)
            parameters[:] = rule.step(parameters, descent, memory)

    def _bootstrap(self, slow: Floats, leader: Floats, follower: Floats) -> Floats:
        table, answer = self._table(slow), follower.argmax(axis=3)
        at_mode = np.take_along_axis(table, answer[..., None], axis=3)[..., 0]
        if self.bootstrap == "stackelberg":
            best: Floats = at_mode.max(axis=2)
            return best
        return np.take_along_axis(at_mode, leader.argmax(axis=2)[..., None], axis=2)[..., 0]

    def action_values(self, memory: Memory) -> Floats:
        """The network's output on all pairs, shape (R, 1, S, A, B)."""
        return self._table(memory["critic"])[:, None]


@parallel_kernel
def _back_up(transition, reward, leader, follower, discount, values):  # type: ignore[no-untyped-def]
    num_runs, horizon, num_states, num_leader, num_follower = values.shape
    for r in numba.prange(num_runs):
        following = np.zeros(num_states)
        for t in range(horizon - 1, -1, -1):
            look_ahead(transition[r], reward[r], discount, following, values[r, t])
            for s in range(num_states):
                following[s] = 0.0
                for a in range(num_leader):
                    for b in range(num_follower):
                        weight = leader[r, s, a] * follower[r, s, a, b]
                        following[s] += weight * values[r, t, s, a, b]


@dataclass(frozen=True, eq=False)
class ExpectedBackup:
    """Expected Bellman backups on the empirical model of everything seen so far.

    The tabular case of least-squares temporal differences with expectations under the current
    policies: old transitions stay valid, and Q_L is exact once every triple has been seen. Steps to
    go are counted, because episodes end. Triples never seen are taken to pay nothing and to lead
    nowhere. Of `game`, sizes, discount and horizon are used.
    """

    game: GameSizes | MarkovGame

    def start(self, streams: Streams) -> Memory:
        """Nothing seen."""
        game, num_runs = self.game, len(streams.seeds)
        shape = (game.num_states, game.num_leader_actions, game.num_follower_actions)
        return {
            "seen": np.zeros((num_runs, *shape, game.num_states)),
            "earned": np.zeros((num_runs, *shape)),
            "values": np.zeros((num_runs, game.max_episode_steps, *shape)),
        }

    def learn(
        self,
        stored: Observations,
        batch: Observations,
        leader: tuple[Floats, Floats],
        follower: Floats,
        memory: Memory,
        streams: Streams,
    ) -> None:
        """Evaluate the current policies on what is known of the game after the batch."""
        del stored, streams
        model, discount = self._model(batch, memory), self.game.leader_discount
        _back_up(*model, leader[0], follower, discount, memory["values"])

    def _model(self, batch: Observations, memory: Memory) -> tuple[Floats, Floats]:
        place = (batch.state, batch.leader_action, batch.follower_action)
        runs = np.arange(len(batch.leader_reward))[:, None]
        np.add.at(memory["seen"], (runs, *place, batch.next_state), 1.0)
        np.add.at(memory["earned"], (runs, *place), batch.leader_reward)
        times = np.maximum(memory["seen"].sum(axis=-1), 1.0)
        return memory["seen"] / times[..., None], memory["earned"] / times

    def action_values(self, memory: Memory) -> Floats:
        """Q_L by steps already made, shape (R, T, S, A, B)."""
        return memory["values"]


@dataclass(frozen=True, eq=False)
class ExactGameCritic(ExpectedBackup):
    """The same backups on the true model, for tests and studies."""

    game: MarkovGame

    def _model(self, batch: Observations, memory: Memory) -> tuple[Floats, Floats]:
        del memory
        tables, runs = (self.game.transition, self.game.leader_reward), len(batch.leader_reward)
        transition, reward = (np.broadcast_to(table, (runs, *table.shape)) for table in tables)
        return transition, reward
