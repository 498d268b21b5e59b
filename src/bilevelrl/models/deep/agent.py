"""A follower that learns from interaction alone in continuous spaces: soft actor-critic.

The follower's view of a problem is a Gymnasium environment into which the leader is frozen; the
weight of the entropy is the problem's temperature. Learning goes on from one leader to the next:
the environment changes under the agent, the agent stays.
"""

from collections.abc import Callable

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.follower import FollowerDiverged
from bilevelrl.models.deep.networks import Floats32
from bilevelrl.models.deep.sac import (
    Losses,
    ReplayMemory,
    SoftActorCritic,
    Transitions,
    log_density,
)
from bilevelrl.models.deep.settings import SacParams
from bilevelrl.models.deep.view import FollowerView

#: An agent whose losses leave this range has diverged.
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
        self.steps = 0
        self.views = [make_view() for _ in range(options.n_envs)]
        self._options = options
        self._numbers = np.random.default_rng(seed)
        states, actions = self.views[0].observations, self.views[0].actions
        self._learner = SoftActorCritic(
            states,
            actions,
            hidden=options.net_arch,
            activation=options.activation_fn,
            critics=options.n_critics,
            temperature=temperature / options.reward_scale,
            discount=discount,
            target_rate=options.tau,
            numbers=self._numbers,
        )
        self._memory = ReplayMemory(options.buffer_size, options.n_envs, states, actions)
        starts = (view.reset(seed=seed + place)[0] for place, view in enumerate(self.views))
        self._seen = np.stack(list(starts))

    def learn(self, steps: int) -> None:
        """Interact for `steps` transitions, a multiple of `n_envs`, and learn from them.

        Raises:
            FollowerDiverged: if a parameter is no longer finite, or a loss explodes.
        """
        options, losses = self._options, Losses(0.0, 0.0)
        with np.errstate(all="ignore"):  # what is not finite is noticed below
            for _ in range(-(-steps // options.n_envs)):
                self._interact()
                if self.steps > options.learning_starts:
                    for _ in range(options.gradient_steps):
                        losses = self._improve()
        sizes = np.abs([losses.critic, losses.actor])
        if not (sizes < LARGEST_LOSS).all() or not self._learner.finite():
            raise FollowerDiverged(
                f"SAC after {self.steps} transitions: losses of critics {losses.critic:g} and of "
                f"actor {losses.actor:g}, which must stay finite and below {LARGEST_LOSS:g}"
            )

    def policy(self) -> dict[str, Floats32]:
        """The actor's parameters, by the names that Stable-Baselines3 gives to its actor's."""
        return self._learner.actor_layers()

    def gaussian(self, observation: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the action before tanh, each (N, m), at (N, n)."""
        mean, log_deviation = self._learner.gaussian(observation.astype(np.float32))
        return mean.astype(np.float64), np.exp(log_deviation.astype(np.float64))

    def act(self, state: Floats, normals: Floats) -> tuple[Floats, Floats]:
        """See `players.Player`."""
        view = self.views[0]
        mean, deviation = self.gaussian(state / view.scale)
        raw = mean + deviation * normals
        density = log_density(raw, np.log(deviation), normals)
        return view.bound * np.tanh(raw), density - normals.shape[1] * np.log(view.bound)

    def _interact(self) -> None:
        # One step of all environments; of an episode that ends, the next one's start is seen next.
        shape = (len(self.views), self.views[0].actions)
        if self.steps < self._options.learning_starts:
            action = self._numbers.uniform(-1.0, 1.0, shape).astype(np.float32)
        else:
            normals = self._numbers.standard_normal(shape, dtype=np.float32)
            action = self._learner.sample(self._seen, normals)
        reward, goes_on = np.empty((2, len(self.views)), np.float32)
        ended = np.empty(len(self.views), np.bool_)
        for place, view in enumerate(self.views):
            try:
                paid, terminated, truncated = view.advance(action[place])
            except ValueError as error:  # an action that is no number
                message = f"SAC after {self.steps} transitions: {error}"
                raise FollowerDiverged(message) from error
            reward[place] = paid / self._options.reward_scale
            goes_on[place], ended[place] = not terminated, terminated or truncated
        reached = self.views[0].look(self.views)
        following = reached.copy()
        for place, view in enumerate(self.views):
            if ended[place]:
                following[place] = view.reset()[0]
        self._memory.add(Transitions(self._seen, action, reward, reached, goes_on))
        self._seen = following
        self.steps += len(self.views)

    def _improve(self) -> Losses:
        seen = self._memory.sample(self._options.batch_size, self._numbers)
        normals = self._numbers.standard_normal((2, *seen.action.shape), dtype=np.float32)
        return self._learner.step(seen, normals, self.step_size)

    @property
    def step_size(self) -> float:
        """Adam's, after the transitions so far."""
        options = self._options
        if options.final_learning_rate is None:
            return options.learning_rate
        ratio = options.final_learning_rate / options.learning_rate
        share = min(1.0, self.steps / options.decay_steps)
        return float(options.learning_rate * ratio**share)
