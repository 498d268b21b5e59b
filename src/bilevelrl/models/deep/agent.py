"""A follower that learns from interaction alone in continuous spaces: Stable-Baselines3's SAC.

The follower's view of a problem is a Gymnasium environment into which the leader is frozen; the
entropy coefficient is the problem's temperature. Learning goes on from one leader to the next: the
environment changes under the agent, the agent stays.

Stable-Baselines3 draws from global generators and lets PyTorch use every core. An agent here keeps
states of its own and one thread, so that it does not matter which others learn beside it.
"""

import copy
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import SAC
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv

from bilevelrl.core.follower import FollowerDiverged

Floats = NDArray[np.float64]
ACTIVATIONS = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}
#: An agent whose losses or parameters leave this range has diverged.
LARGEST_LOSS = 1e8


@dataclass(frozen=True)
class SacOptions:
    """Hyper-parameters; see `stable_baselines3.SAC`.

    Attributes:
        net_arch: units of the hidden layers of every network.
        activation_fn: between the layers; smooth critics extrapolate better where values are
            smooth.
        n_critics: of whose values the smallest counts.
        learning_rate: of Adam, for actor and critics, at the first transition.
        final_learning_rate: after `decay_steps` transitions and ever after, falling geometrically
            until then; as the first one if omitted.
        decay_steps: see `final_learning_rate`.
        batch_size: transitions per gradient step.
        tau: share of the new critics in their slow copies.
        learning_starts: first transitions, which are drawn uniformly and only stored.
        buffer_size: transitions kept.
        reward_scale: rewards are divided by it, and the temperature too.
        n_envs: environments that are stepped together.
        gradient_steps: per step of all of them.
    """

    net_arch: tuple[int, ...] = (64, 64)
    activation_fn: Literal["relu", "tanh"] = "relu"
    n_critics: int = 2
    learning_rate: float = 1e-3
    final_learning_rate: float | None = None
    decay_steps: int = 1
    batch_size: int = 256
    tau: float = 0.01
    learning_starts: int = 500
    buffer_size: int = 100_000
    reward_scale: float = 1.0
    n_envs: int = 1
    gradient_steps: int = 1

    def learning_rate_after(self, steps: int) -> float:
        """Adam's, after so many transitions."""
        if self.final_learning_rate is None:
            return self.learning_rate
        share = min(1.0, steps / self.decay_steps)
        ratio = self.final_learning_rate / self.learning_rate
        return float(self.learning_rate * ratio**share)


class SacAgent:
    """One agent in an environment whose leader may change between calls of `learn`."""

    def __init__(
        self,
        make_env: Callable[[], gymnasium.Env[Any, Any]],
        *,
        temperature: float,
        discount: float,
        options: SacOptions,
        seed: int,
    ) -> None:
        """Networks as they are before the first transition.

        Args:
            make_env: the follower's view; actions in [-1, 1]^m, rewards not scaled.
            temperature: β.
            discount: γ_F.
            options: hyper-parameters.
            seed: of networks, environments and exploration.
        """
        scale = options.reward_scale
        self.options = options
        self.steps = 0
        self._random: tuple[Any, ...] | None = None
        with self._own_random_numbers():
            envs = DummyVecEnv([lambda: _scaled(make_env(), scale) for _ in range(options.n_envs)])
            self._model = SAC(
                "MlpPolicy",
                envs,
                learning_rate=self._learning_rate,
                buffer_size=options.buffer_size,
                learning_starts=options.learning_starts,
                batch_size=options.batch_size,
                tau=options.tau,
                gamma=discount,
                train_freq=1,
                gradient_steps=options.gradient_steps,
                ent_coef=temperature / scale,
                policy_kwargs={
                    "net_arch": list(options.net_arch),
                    "activation_fn": ACTIVATIONS[options.activation_fn],
                    "n_critics": options.n_critics,
                },
                seed=seed,
                device="cpu",
            )

            # The library would log into a new folder of its own.
            self._model.set_logger(Logger(folder=None, output_formats=[]))

    def learn(self, steps: int) -> None:
        """Interact for `steps` transitions, a multiple of `n_envs`, and learn from them.

        Raises:
            FollowerDiverged: if a parameter is no longer finite, or a loss explodes.
        """
        with self._own_random_numbers():
            try:
                self._model.learn(steps, reset_num_timesteps=False)
            except ValueError as error:  # PyTorch's distributions refuse NaN
                raise FollowerDiverged(f"SAC after {self.steps} transitions: {error}") from error
        self.steps += steps
        losses = {
            name: float(self._model.logger.name_to_value.get(f"train/{name}", 0.0))
            for name in ("actor_loss", "critic_loss")
        }
        healthy = all(np.isfinite(loss) and abs(loss) < LARGEST_LOSS for loss in losses.values())
        parameters = self._model.policy.parameters()
        if not healthy or not all(bool(torch.isfinite(each).all()) for each in parameters):
            raise FollowerDiverged(
                f"SAC after {self.steps} transitions: losses {losses}, which must stay finite and "
                f"below {LARGEST_LOSS:g}"
            )

    def policy(self) -> dict[str, NDArray[Any]]:
        """The actor's parameters by name."""
        state = self._model.actor.state_dict()
        return {name: tensor.numpy().copy() for name, tensor in state.items()}

    def gaussian(self, observation: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the action before tanh, each (N, m), at (N, n)."""
        with torch.no_grad(), _one_thread():
            mean, log_deviation, _ = self._model.actor.get_action_dist_params(
                torch.as_tensor(observation, dtype=torch.float32)
            )
        return mean.double().numpy(), log_deviation.exp().double().numpy()

    def act(self, observation: Floats, normals: Floats) -> tuple[Floats, Floats]:
        """Actions in [-1, 1] and their log densities, (N, m) and (N,), from standard normals."""
        mean, deviation = self.gaussian(observation)
        raw = mean + deviation * normals
        action: Floats = np.tanh(raw)
        # log(1 - tanh²) without cancellation.
        slope = 2.0 * (np.log(2.0) - raw - np.logaddexp(0.0, -2.0 * raw))
        density = -0.5 * np.square(normals) - np.log(deviation) - 0.5 * np.log(2.0 * np.pi)
        return action, (density - slope).sum(axis=1)

    def _learning_rate(self, remaining: float) -> float:
        # What remains depends on how often `learn` is called; transitions do not.
        del remaining
        taken = self._model.num_timesteps if hasattr(self, "_model") else 0
        return self.options.learning_rate_after(taken)

    @contextmanager
    def _own_random_numbers(self) -> Iterator[None]:
        outside = _random_state()
        if self._random is not None:
            _set_random_state(self._random)
        try:
            with _one_thread():
                yield
        finally:
            self._random = _random_state()
            _set_random_state(outside)


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _random_state() -> tuple[Any, ...]:
    return random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002


def _set_random_state(state: tuple[Any, ...]) -> None:
    random.setstate(state[0])
    np.random.set_state(state[1])  # noqa: NPY002
    torch.set_rng_state(state[2])


def _scaled(env: gymnasium.Env[Any, Any], scale: float) -> gymnasium.Env[Any, Any]:
    scaled: gymnasium.Env[Any, Any] = gymnasium.wrappers.TransformReward(
        env, lambda reward: float(reward) / scale
    )
    # Spaces draw random numbers too, and may be shared by all environments of a class.
    scaled.action_space = copy.deepcopy(env.action_space)
    return scaled
