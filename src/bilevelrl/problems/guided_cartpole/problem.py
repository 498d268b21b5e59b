"""Guided cart-pole: a follower balances a pole, a leader blows on it to guide the cart.

Source: arXiv 2603.14867, an environment of the authors' code that the paper does not use; the
physics are those of Gymnasium's cart-pole (Barto, Sutton and Anderson 1983).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.arrays import Floats


@dataclass(frozen=True)
class GuidedCartPole:
    """A cart with a pole; both players act in [-1, 1], the follower after seeing the leader.

    With the state (x, ẋ, φ, φ̇), the follower pushes the cart with `push · u` and the leader's wind
    adds `wind · w · cos² φ` to φ̈; both change the velocities by one explicit Euler step.

        r_F = 1 in every step, the last one included
        r_L = 1 if the step ends with the cart within `goal`, else 0

    Attributes:
        gravity, cart_mass, pole_mass, half_length: in SI units.
        push: newtons of u = 1.
        wind: angular acceleration of w = 1, upright.
        time_step: in seconds.
        limit: |x| that ends an episode, in metres.
        angle_limit: |φ| that ends an episode, in radians.
        goal: (lowest, highest) x, both excluded, that pays the leader.
        initial_spread: bound of the uniform first state.
        max_episode_steps: transitions after which an episode is cut.
        leader_discount, follower_discount: γ_L and γ_F.

    Raises:
        ValueError: if a number is impossible.
    """

    gravity: float = 9.8
    cart_mass: float = 1.0
    pole_mass: float = 0.1
    half_length: float = 0.5
    push: float = 10.0
    wind: float = 20.0
    time_step: float = 0.02
    limit: float = 2.4
    angle_limit: float = np.pi / 15.0
    goal: tuple[float, float] = (0.25, 0.75)
    initial_spread: float = 0.05
    max_episode_steps: int = 200
    leader_discount: float = 0.99
    follower_discount: float = 0.99

    def __post_init__(self) -> None:
        positive = ("gravity", "cart_mass", "pole_mass", "half_length", "push", "wind", "time_step",
                    "limit", "angle_limit", "initial_spread")  # fmt: skip
        for name in positive:
            if not 0.0 < getattr(self, name) < np.inf:
                raise ValueError(f"{name} must be positive and finite, got {getattr(self, name)}")
        for name in ("leader_discount", "follower_discount"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ValueError(f"{name} must lie in (0, 1), got {getattr(self, name)}")
        if not -self.limit <= self.goal[0] < self.goal[1] <= self.limit:
            raise ValueError(f"goal must be an interval within ±{self.limit}, got {self.goal}")
        if self.max_episode_steps < 1:
            raise ValueError(f"max_episode_steps must be at least 1, got {self.max_episode_steps}")

    def first_state(self, uniforms: Floats) -> Floats:
        """(..., 4), from uniform numbers in [0, 1) of that shape."""
        return self.initial_spread * (2.0 * uniforms - 1.0)

    def transition(self, state: Floats, wind: Floats, force: Floats) -> Floats:
        """The next state, shape (..., 4).

        Args:
            state: (x, ẋ, φ, φ̇), shape (..., 4).
            wind: w, shape (...,), clipped to [-1, 1].
            force: u, shape (...,), clipped to [-1, 1].
        """
        speed, angle, rotation = np.moveaxis(state[..., 1:], -1, 0)
        cosine, sine = np.cos(angle), np.sin(angle)
        mass = self.cart_mass + self.pole_mass
        moment = self.pole_mass * self.half_length
        shared = (self.push * np.clip(force, -1.0, 1.0) + moment * rotation**2 * sine) / mass
        inertia = self.half_length * (4.0 / 3.0 - self.pole_mass * cosine**2 / mass)
        turning = (self.gravity * sine - cosine * shared) / inertia
        pushing = shared - moment * turning * cosine / mass
        turning = turning + self.wind * np.clip(wind, -1.0, 1.0) * cosine**2
        tau = self.time_step
        changes = (speed, pushing, rotation, turning)
        after: Floats = state + tau * np.stack(changes, axis=-1)
        return after

    def fallen(self, state: Floats) -> NDArray[np.bool_]:
        """Whether the state ends the episode, shape (...,)."""
        out: NDArray[np.bool_] = np.abs(state[..., 0]) > self.limit
        return out | (np.abs(state[..., 2]) > self.angle_limit)

    def leader_reward(self, next_state: Floats) -> Floats:
        """r_L of a step that ends in `next_state`, shape (...,)."""
        position = next_state[..., 0]
        within: Floats = ((position > self.goal[0]) & (position < self.goal[1])).astype(np.float64)
        return within
