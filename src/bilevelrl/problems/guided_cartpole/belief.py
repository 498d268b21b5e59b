"""The follower of the guided cart-pole, as learned from watching it.

* Where a step leads: s' - s on all products of (s, w, u).
* What the follower plays: atanh u is normal; mean and log deviation are regressed on (s, w).
* What it expects: a quadratic v_F(s) = E[r_F + β H + γ_F v_F(s')] by least-squares temporal
  differences, 0 after a fall; then V_F(s, w) is one step ahead under the first two. The indirect
  term divides slopes of v_F by β, so that richer functions, which fit v_F better, make it worse.
"""

import math
from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.random_features import (
    Memory,
    RandomFeatures,
    fit,
    regression,
    solved_once,
    sums,
    temporal_difference,
)
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.guided_cartpole.rollout import CartPoleBatch
from bilevelrl.problems.guided_cartpole.view import follower_observation, scaled

#: Of `value_rows`.
VALUE_SIZE = 15
#: Gauss-Hermite nodes of expectations over the follower's action.
_NODES = 5
#: Bounds of atanh u and of the log deviation: a follower may push with all its force.
_LARGEST_RAW, _LOG_DEVIATION = 6.0, (-4.0, 1.5)
#: E log z² of a standard normal z.
_MEAN_LOG_SQUARE = -1.2703628454614782


def products(z: Floats) -> Floats:
    """1, z and all products z_i z_j, shape (N, 1 + n + n (n + 1) / 2), of z (N, n)."""
    rows, columns = np.triu_indices(z.shape[1])
    both: Floats = np.concatenate([np.ones((len(z), 1)), z, z[:, rows] * z[:, columns]], axis=1)
    return both


def value_rows(state: Floats) -> Floats:
    """What v_F is linear in, shape (N, 15), at states (N, 4)."""
    return products(scaled(state))


def _step_inputs(state: Floats, wind: Floats, push: Floats) -> Floats:
    return np.concatenate([follower_observation(state, wind), push[:, None]], axis=1)


@dataclass(frozen=True, eq=False)
class Answers:
    """What may follow N states of one run: A winds, then B answers of the follower.

    Attributes:
        arrival: s', shape (N, A, B, 4).
        weight: of each answer, shape (B,).
        entropy: of the follower's policy, shape (N, A).
    """

    arrival: Floats
    weight: Floats
    entropy: Floats

    def mean(self, values: Floats) -> Floats:
        """E_b of values at `arrival`, flattened to (N A B,), shape (N, A)."""
        expected: Floats = values.reshape(self.arrival.shape[:3]) @ self.weight
        return expected


@dataclass(frozen=True, eq=False)
class WatchedFollower:
    """Takes the place of the follower's answer; all runs, asked one by one.

    Attributes:
        belief: that it was learned by.
        memory: of the belief.
    """

    belief: "CartPoleBelief"
    memory: Memory

    def gaussian(self, run: int, state: Floats, wind: Floats) -> tuple[Floats, Floats]:
        """Mean and deviation of atanh u, each (N,), at states (N, 4) and winds (N,)."""
        memory, z = self.memory, follower_observation(state, wind)
        drawn, coefficients = (
            memory[f"policy_{name}"][run] for name in ("features", "coefficients")
        )
        mean = self.belief.policy.predict(drawn, z, coefficients)[:, 0]
        log_square = (products(z) @ memory["deviation_coefficients"][run])[:, 0]
        return mean, np.exp(np.clip(0.5 * log_square, *_LOG_DEVIATION))

    def policy_rows(self, run: int, state: Floats, wind: Floats) -> tuple[Floats, Floats]:
        """What mean (N, F) and log deviation (N, 21) are regressed on."""
        z = follower_observation(state, wind)
        return self.belief.policy.of(self.memory["policy_features"][run], z), products(z)

    def arrival(self, run: int, state: Floats, wind: Floats, push: Floats) -> Floats:
        """S' (N, 4), as far as the model goes."""
        inputs = _step_inputs(state, wind, push)
        moved: Floats = products(inputs) @ self.memory["model_coefficients"][run]
        return state + moved

    def answers(self, run: int, state: Floats, winds: Floats | None = None) -> Answers:
        """What may happen next under A winds, shape (N, A); under all if omitted."""
        number = len(state)
        if winds is None:
            winds = np.broadcast_to(self.belief.winds, (number, len(self.belief.winds)))
        many = winds.shape[1]
        everywhere, blown = np.repeat(state, many, axis=0), winds.ravel()
        raw, weight, entropy = _quadrature(*self.gaussian(run, everywhere, blown))
        arrival = self.arrival(
            run, np.repeat(everywhere, _NODES, axis=0), np.repeat(blown, _NODES),
            np.tanh(raw).ravel(),
        )  # fmt: skip
        return Answers(
            arrival.reshape(number, many, _NODES, 4), weight, entropy.reshape(number, many)
        )

    def soft_values(self, run: int, state: Floats) -> Floats:
        """V_F(s, w) without the reward of this step, shape (N, A), which is always the same."""
        belief, ahead = self.belief, self.answers(run, state)
        rows = value_rows(ahead.arrival.reshape(-1, 4))
        later = ahead.mean((rows @ self.memory["value_coefficients"][run])[:, 0])
        values: Floats = belief.temperature[run] * ahead.entropy + belief.discount * later
        return values


def _quadrature(mean: Floats, deviation: Floats) -> tuple[Floats, Floats, Floats]:
    """Nodes of atanh u (N, B), their weights (B,), and the entropy of u (N,)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    weight = weights / weights.sum()
    raw = mean[:, None] + deviation[:, None] * nodes
    # log(1 - tanh²) without cancellation.
    slope = 2.0 * (np.log(2.0) - raw - np.logaddexp(0.0, -2.0 * raw))
    entropy = 0.5 * np.log(2.0 * math.pi * math.e) + np.log(deviation) + slope @ weight
    return raw, weight, entropy


@dataclass(frozen=True, eq=False)
class CartPoleBelief:
    """Implements `sampled.Belief`.

    Attributes:
        winds: that the leader chooses from, shape (A,).
        temperature: β of each run, shape (R,).
        discount: γ_F.
        policy: features of (s, w).
        forgetting_factor: weight of all earlier batches against the newest; the model keeps all.
        ridge: of v_F, see `random_features.solved`.
        policy_ridge: of the policy.
    """

    winds: Floats
    temperature: Floats
    discount: float
    policy: RandomFeatures
    forgetting_factor: float
    ridge: float
    policy_ridge: float

    def start(self, streams: Streams) -> Memory:
        """Nothing seen."""
        num_runs = len(streams.seeds)
        sizes = {
            "model": (28, 4),
            "policy": (self.policy.size, 1),
            "deviation": (21, 1),
            "value": (VALUE_SIZE, 1),
        }
        memory = {"policy_features": self.policy.start(streams)}
        for name, (size, outputs) in sizes.items():
            memory |= sums(size, outputs, num_runs, name)
        return memory

    def learn(self, theta: Floats, seen: CartPoleBatch, memory: Memory) -> WatchedFollower:
        """Learn from a batch; updates `memory` in place.

        Raises:
            ValueError: if the follower's rewards were not seen.
        """
        del theta
        rewards, follower = seen.follower_rewards(), WatchedFollower(self, memory)
        for run, alive in enumerate(seen.alive):
            state, after = seen.state[run][alive], seen.next_state[run][alive]
            wind = self.winds[seen.leader_action[run][alive]]
            push = seen.follower_action[run][alive][:, 0]
            rows = products(_step_inputs(state, wind, push))
            model = regression(rows, after - state, np.ones(len(rows)))
            fit(memory, "model", run, model, keep=1.0, ridge=1e-9)
            bonus = self._learn_policy(run, state, wind, push, follower)
            reward = (rewards[run][alive] + self.temperature[run] * bonus)[:, None]
            here, following = value_rows(state), value_rows(after)
            fell = seen.terminated[run][alive]
            value = temporal_difference(here, following, reward, self.discount, fell)
            fit(memory, "value", run, value, keep=self.forgetting_factor, ridge=self.ridge)
        return follower

    def _learn_policy(
        self, run: int, state: Floats, wind: Floats, push: Floats, follower: WatchedFollower
    ) -> Floats:
        """Learn it, and return its entropy at the states and winds, shape (N,)."""
        how = {"keep": self.forgetting_factor, "ridge": self.policy_ridge}
        largest = np.tanh(_LARGEST_RAW)
        raw = np.arctanh(np.clip(push, -largest, largest))[:, None]
        rows, few = follower.policy_rows(run, state, wind)
        ones = np.ones(len(rows))
        plain = solved_once(regression(rows, raw, ones), self.policy_ridge)
        log_square = np.log(np.square(raw - rows @ plain) + 1e-6) - _MEAN_LOG_SQUARE
        fit(follower.memory, "deviation", run, regression(few, log_square, ones), **how)
        _, deviation = follower.gaussian(run, state, wind)
        fit(follower.memory, "policy", run, regression(rows, raw, deviation**-2.0), **how)
        return _quadrature(*follower.gaussian(run, state, wind))[2]
