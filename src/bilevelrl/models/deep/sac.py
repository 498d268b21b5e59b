"""Soft actor-critic (Haarnoja et al. 2018, arXiv 1812.05905) with a fixed temperature.

The algorithm is that of Stable-Baselines3's SAC, and a test compares every step of both. Its own
code here because a gradient step takes less time, the less the smaller the networks, and because an
agent then has its own random numbers; docs/speed.md has the measurements.
"""

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bilevelrl.models.deep.networks import Activation, Adam, Floats32, Networks

#: Where the logarithm of the standard deviation is cut.
LOG_DEVIATIONS = (-20.0, 2.0)
_LOG_TWO, _LOG_CIRCLE = math.log(2.0), 0.5 * math.log(2.0 * math.pi)
Real = TypeVar("Real", np.float32, np.float64)


@dataclass(frozen=True, eq=False)
class Transitions:
    """What was seen of N steps, all of single precision.

    Attributes:
        state: s, shape (N, n).
        action: u in [-1, 1], shape (N, m).
        reward: shape (N,).
        next_state: s', shape (N, n).
        goes_on: 0 where the task ended with s', 1 where it goes on or was only cut, shape (N,).
    """

    state: Floats32
    action: Floats32
    reward: Floats32
    next_state: Floats32
    goes_on: Floats32


def log_density(
    raw: NDArray[Real], log_deviation: NDArray[Real], normals: NDArray[Real]
) -> NDArray[Real]:
    """The log density of tanh(raw), shape (N,), where raw = mean + deviation · normals, all (N, m).

    log(1 - tanh²) is written without cancellation.
    """
    slope = 2.0 * (_LOG_TWO - raw - np.logaddexp(0.0, -2.0 * raw))
    each: NDArray[Real] = -0.5 * np.square(normals) - log_deviation - _LOG_CIRCLE - slope
    density: NDArray[Real] = each.sum(axis=1)
    return density


class ReplayMemory:
    """The last transitions of E environments that are stepped together."""

    def __init__(self, size: int, environments: int, states: int, actions: int) -> None:
        """Room for `size` transitions in all, at least one of every environment."""
        self._rows, self._environments = max(1, size // environments), environments
        self._written = 0
        self._arrays = [
            np.zeros((self._rows, environments, *shape), np.float32)
            for shape in ((states,), (actions,), (), (states,), ())
        ]

    def add(self, seen: Transitions) -> None:
        """One transition of every environment, E in all."""
        row = self._written % self._rows
        parts = (seen.state, seen.action, seen.reward, seen.next_state, seen.goes_on)
        for array, part in zip(self._arrays, parts, strict=True):
            array[row] = part
        self._written += 1

    def sample(self, count: int, numbers: np.random.Generator) -> Transitions:
        """Uniformly, with replacement."""
        filled = min(self._written, self._rows) * self._environments
        chosen = numbers.integers(filled, size=count)
        return Transitions(*(array.reshape(-1, *array.shape[2:])[chosen] for array in self._arrays))


@dataclass(frozen=True)
class Losses:
    """Of the last gradient step, before it."""

    critic: float
    actor: float


class SoftActorCritic:
    """Actor, critics and their slow copies; a gradient step changes all of them.

    Attributes:
        actor: parameters (1, P).
        critics: parameters (C, P).
        targets: the slow copies, (C, P).
    """

    def __init__(
        self,
        states: int,
        actions: int,
        *,
        hidden: tuple[int, ...],
        activation: Activation,
        critics: int,
        temperature: float,
        discount: float,
        target_rate: float,
        numbers: np.random.Generator,
    ) -> None:
        """Networks as they are before the first step.

        Args:
            states: n.
            actions: m.
            hidden: units of the hidden layers of every network.
            activation: between the layers.
            critics: C.
            temperature: weight of the entropy.
            discount: γ.
            target_rate: share of the new critics in their slow copies.
            numbers: of the initial parameters.
        """
        self._policy = Networks((states, *hidden, 2 * actions), activation)
        self._value = Networks((states + actions, *hidden, 1), activation)
        self._actions, self._temperature = actions, temperature
        self._discount, self._target_rate = discount, target_rate
        self.actor = self._policy.initial(1, numbers)
        self.critics = self._value.initial(critics, numbers)
        self.targets = self.critics.copy()
        self._actor_rule, self._critic_rule = Adam(self.actor), Adam(self.critics)

    def gaussian(self, states: Floats32) -> tuple[Floats32, Floats32]:
        """Mean and log standard deviation before tanh, each (N, m), at states (N, n)."""
        outputs = self._policy.forward(self.actor, states[None])[-1][0]
        return self._split(outputs)

    def sample(self, states: Floats32, normals: Floats32) -> Floats32:
        """Actions u in [-1, 1], shape (N, m), from standard normals (N, m)."""
        mean, log_deviation = self.gaussian(states)
        action: Floats32 = np.tanh(mean + np.exp(log_deviation) * normals)
        return action

    def step(self, seen: Transitions, normals: Floats32, step_size: float) -> Losses:
        """One gradient step of critics, actor and slow copies.

        Args:
            seen: N transitions.
            normals: standard normals (2, N, m): of the actions at s, and at s'.
            step_size: of Adam, for all networks.
        """
        count, actions = len(seen.reward), self._actions
        both = np.concatenate([seen.state, seen.next_state])
        policy = self._policy.forward(self.actor, both[None])
        mean, log_deviation = self._split(policy[-1][0])
        noise = np.exp(log_deviation) * normals.reshape(-1, actions)
        raw = mean + noise
        action = np.tanh(raw)
        density = log_density(raw, log_deviation, normals.reshape(-1, actions))

        following = np.concatenate([seen.next_state, action[count:]], axis=1)
        ahead = self._value.forward(self.targets, following[None])[-1][:, :, 0].min(axis=0)
        ahead -= self._temperature * density[count:]
        target = seen.reward + self._discount * seen.goes_on * ahead
        here = np.concatenate([seen.state, seen.action], axis=1)
        values = self._value.forward(self.critics, here[None])
        error = values[-1] - target[:, None]
        gradient = self._value.gradient(self.critics, values, error / np.float32(count))
        self._critic_rule.step(gradient, step_size)

        tried = np.concatenate([seen.state, action[:count]], axis=1)
        values = self._value.forward(self.critics, tried[None])
        smallest = values[-1][:, :, 0].min(axis=0)
        chosen = values[-1][:, :, 0].argmin(axis=0) == np.arange(len(self.critics))[:, None]
        slopes = -chosen[:, :, None].astype(np.float32) / np.float32(count)
        to_action = self._value.input_gradient(self.critics, values, slopes)
        to_action = to_action[:, :, -actions:].sum(axis=0)
        weight = np.float32(self._temperature / count)
        played = action[:count]
        to_raw = to_action * (1.0 - played * played) + 2.0 * weight * played
        to_log = to_raw * noise[:count] - weight
        outputs = policy[-1][0, :count, actions:]
        low, high = LOG_DEVIATIONS
        to_log *= (outputs >= low) & (outputs <= high)
        slopes = np.concatenate([to_raw, to_log], axis=1)
        own = [layer[:, :count] for layer in policy]
        self._actor_rule.step(self._policy.gradient(self.actor, own, slopes[None]), step_size)

        self.targets += self._target_rate * (self.critics - self.targets)
        return Losses(
            critic=0.5 * float(np.square(error).mean(axis=1).sum()),
            actor=float((self._temperature * density[:count] - smallest).mean()),
        )

    def finite(self) -> bool:
        """Whether every parameter is a number."""
        return all(np.isfinite(each).all() for each in (self.actor, self.critics, self.targets))

    def actor_layers(self) -> dict[str, Floats32]:
        """The actor as Stable-Baselines3 names and shapes it, to load there."""
        *hidden, (weights, biases) = self._policy.layers(self.actor)
        named: dict[str, Floats32] = {}
        for place, (own, offset) in enumerate(hidden):
            named[f"latent_pi.{2 * place}.weight"] = own[0].T.copy()
            named[f"latent_pi.{2 * place}.bias"] = offset[0, 0].copy()
        halves = (("mu", slice(None, self._actions)), ("log_std", slice(self._actions, None)))
        for name, half in halves:
            named[f"{name}.weight"] = weights[0, :, half].T.copy()
            named[f"{name}.bias"] = biases[0, 0, half].copy()
        return named

    def _split(self, outputs: Floats32) -> tuple[Floats32, Floats32]:
        mean, log_deviation = outputs[:, : self._actions], outputs[:, self._actions :]
        low, high = map(np.float32, LOG_DEVIATIONS)
        return mean, np.clip(log_deviation, low, high)
