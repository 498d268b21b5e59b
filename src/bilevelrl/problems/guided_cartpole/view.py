"""The guided cart-pole as its follower faces it."""

from collections.abc import Sequence
from typing import Self

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.models.deep.view import Floats32, FollowerView
from bilevelrl.problems.guided_cartpole.policy import ModulePolicy
from bilevelrl.problems.guided_cartpole.problem import GuidedCartPole

#: What a state is divided by before any network sees it.
SCALE = np.array([1.0, 1.0, 0.2, 1.0])


def scaled(state: Floats) -> Floats:
    """The state in units of order one, shape (..., 4)."""
    small: Floats = state / SCALE
    return small


def follower_observation(state: Floats, wind: Floats) -> Floats:
    """What the follower sees, shape (..., 5), of states (..., 4) and the leader's actions (...)."""
    return np.concatenate([scaled(state), wind[..., None]], axis=-1)


class CartPoleView(FollowerView):
    """Observes cart position and speed, pole angle (in units of 0.2) and angular speed, and w.

    The leader draws its wind w when a state is reached; the follower sees it and pushes. A wind
    that has been shown still blows in the next step, whichever leader the follower faces then.
    """

    def __init__(
        self, problem: GuidedCartPole, policy: ModulePolicy, winds: Floats, theta: Floats
    ) -> None:
        """See `FollowerView`; `policy` chooses from `winds`, shape (A,)."""
        self.problem, self.policy, self.winds = problem, policy, winds
        self._state, self._wind = np.zeros(4), np.zeros(1)
        super().__init__(theta, 5, 1, problem.max_episode_steps)

    def _begin(self) -> None:
        self._state = self.problem.first_state(self.np_random.random(4))

    def _play(self, action: Floats) -> tuple[float, bool]:
        self._state = self.problem.transition(self._state, self._wind[0], action[0])
        return 1.0, bool(self.problem.fallen(self._state))

    def _observed(self) -> Floats32:
        seen: Floats32 = self.look([self])[0]
        return seen

    def look(self, views: Sequence[Self]) -> Floats32:
        """See `FollowerView`; the leader draws all winds at once."""
        state = np.stack([view._state for view in views])
        uniforms = np.concatenate([view.np_random.random(1) for view in views])
        wind = self.winds[self.policy.choose(self.theta, scaled(state), uniforms)]
        for view, own in zip(views, wind[:, None], strict=True):
            view._wind = own
        return follower_observation(state, wind).astype(np.float32)
