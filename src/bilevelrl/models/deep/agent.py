"""A follower that learns from interaction alone in continuous spaces: Stable-Baselines3's SAC.

The follower's view of a problem is a Gymnasium environment into which the leader is frozen; the
entropy coefficient is the problem's temperature. Learning goes on from one leader to the next: the
environment changes under the agent, the agent stays.

Stable-Baselines3 draws from global generators and lets PyTorch use every core. An agent here keeps
states of its own and one thread, so that it does not matter which others learn beside it.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from gymnasium.wrappers import TransformReward
from numpy.typing import NDArray
from stable_baselines3 import SAC
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv

from bilevelrl.core.arrays import Floats
from bilevelrl.core.follower import FollowerDiverged
from bilevelrl.core.global_random import OwnRandomNumbers
from bilevelrl.core.threads import one_thread
from bilevelrl.models.deep.settings import SacParams
from bilevelrl.models.deep.view import FollowerView

ACTIVATIONS = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}
#: An agent whose losses or parameters leave this range has diverged.
LARGEST_LOSS = 1e8


class SacAgent:
    """Implements `players.Player`; the leader may change between calls of `learn`.

    Attributes:
        steps: transitions that it has learned from.
        views: where it learns, one per environment.
    """

    def __init__(
        self,
        make_view: Callable[[], FollowerView],
        *,
        temperature: float,
        discount: float,
        options: SacParams,
        seed: int,
    ) -> None:
        """Networks as they are before the first transition.

        Args:
            make_view: the problem as the follower faces it.
            temperature: β.
            discount: γ_F.
            options: hyper-parameters.
            seed: of networks, environments and exploration.
        """
        scale = options.reward_scale
        self.steps = 0
        self.views = [make_view() for _ in range(options.n_envs)]
        self._options = options
        self._random = OwnRandomNumbers()
        with self._random.used(), one_thread():
            envs = DummyVecEnv(
                [
                    partial(TransformReward, view, lambda reward: float(reward) / scale)
                    for view in self.views
                ]
            )
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
        with self._random.used(), one_thread():
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

    def policy(self) -> dict[str, NDArray[np.float32]]:
        """The actor's parameters by name."""
        state = self._model.actor.state_dict()
        return {name: tensor.numpy().copy() for name, tensor in state.items()}

    def gaussian(self, observation: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the action before tanh, each (N, m), at (N, n)."""
        with torch.no_grad(), one_thread():
            mean, log_deviation, _ = self._model.actor.get_action_dist_params(
                torch.as_tensor(observation, dtype=torch.float32)
            )
        return mean.double().numpy(), log_deviation.exp().double().numpy()

    def act(self, state: Floats, normals: Floats) -> tuple[Floats, Floats]:
        """See `players.Player`."""
        view = self.views[0]
        mean, deviation = self.gaussian(state / view.scale)
        raw = mean + deviation * normals
        # log(1 - tanh²) without cancellation.
        slope = 2.0 * (np.log(2.0) - raw - np.logaddexp(0.0, -2.0 * raw))
        density = -0.5 * np.square(normals) - np.log(deviation) - 0.5 * np.log(2.0 * np.pi)
        widened = normals.shape[1] * np.log(view.bound)
        return view.bound * np.tanh(raw), (density - slope).sum(axis=1) - widened

    def _learning_rate(self, remaining: float) -> float:
        # What remains depends on how often `learn` is called; transitions do not.
        del remaining
        options = self._options
        if options.final_learning_rate is None:
            return options.learning_rate
        taken = self._model.num_timesteps if hasattr(self, "_model") else 0
        ratio = options.final_learning_rate / options.learning_rate
        return float(options.learning_rate * ratio ** min(1.0, taken / options.decay_steps))
