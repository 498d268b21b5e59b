"""BilevelLQR: a leader steers a linear system towards a target against a quadratic regulator.

Source: arXiv 2603.14867, Markov-game experiments; the constants are those of the authors' configs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.models.linear_gaussian.checks import check_costs, check_positive, check_steps

#: Axes of every field that is an array: n states, m follower's and l leader's actions.
_AXES = {
    "state_matrix": "nn",
    "follower_matrix": "nm",
    "leader_matrix": "nl",
    "state_cost": "nn",
    "control_cost": "mm",
    "target": "n",
    "target_scale": "n",
    "initial_state": "n",
}


def matrix_vector(matrix: Floats, vector: Floats) -> Floats:
    """Σ_j matrix[..., i, j] vector[..., j], leading axes broadcast.

    Column by column, because a BLAS product of all rows at once rounds a row differently in another
    batch.
    """
    product: Floats = matrix[..., 0] * vector[..., None, 0]
    for column in range(1, matrix.shape[-1]):
        product += matrix[..., column] * vector[..., None, column]
    return product


#: The authors' configuration, which overrides several defaults of their own class.
PUBLISHED: Mapping[str, Any] = MappingProxyType(
    {
        "state_matrix": ((0.0, 1.0), (0.0, 0.0)),
        "follower_matrix": ((0.0,), (0.1,)),
        "leader_matrix": ((0.1,), (0.0,)),
        "state_cost": ((1.0, 0.0), (0.0, 1.0)),
        "control_cost": ((1.0,),),
        "target": (-0.8, 0.0),
        "target_scale": (0.2, 0.01),
        "leader_reward_scale": 1.0,
        "leader_discount": 0.99,
        "follower_discount": 0.95,
        "initial_state": (1.0, 0.0),
        "max_episode_steps": 100,
        "leader_noise": 1e-3,
    }
)


@dataclass(frozen=True, eq=False)
class BilevelLQR:
    """A Markov game with linear dynamics; all randomness is in the two policies.

    The leader plays a = K x + W ξ with ξ ~ N(0, I); the follower sees x and a, then plays u.

        x' = A x + B u + C a
        r_F(x, u) = -(xᵀ Q x + uᵀ R u)
        r_L(x) = scale · exp(-½ Σ_i (x_i - x*_i)² / σ_i²)

    Both rewards belong to the state *before* the transition. θ is K, row by row.

    Attributes:
        state_matrix: A, shape (n, n).
        follower_matrix: B, shape (n, m).
        leader_matrix: C, shape (n, l).
        state_cost: Q, symmetric positive definite, shape (n, n).
        control_cost: R, symmetric positive definite, shape (m, m).
        target: x*, shape (n,).
        target_scale: σ, positive, shape (n,).
        leader_reward_scale: r_L on the target.
        leader_discount: γ_L, per step.
        follower_discount: γ_F < 1, per step.
        initial_state: where every episode starts, shape (n,).
        max_episode_steps: transitions after which an episode is cut; nothing else ends it.
        leader_noise: W, standard deviation of each of the leader's actions.

    Raises:
        ValueError: if a shape, a sign or a cost matrix is impossible.
    """

    state_matrix: Floats
    follower_matrix: Floats
    leader_matrix: Floats
    state_cost: Floats
    control_cost: Floats
    target: Floats
    target_scale: Floats
    leader_reward_scale: float
    leader_discount: float
    follower_discount: float
    initial_state: Floats
    max_episode_steps: int
    leader_noise: float

    def __post_init__(self) -> None:
        matrices = {"n": self.state_matrix, "m": self.follower_matrix, "l": self.leader_matrix}
        sizes = {axis: np.shape(matrix)[-1] for axis, matrix in matrices.items()}
        for name, axes in _AXES.items():
            array, shape = getattr(self, name), tuple(sizes[axis] for axis in axes)
            if array.shape != shape or not np.isfinite(array).all():
                raise ValueError(f"{name} must be finite, of shape {shape}, got {array.tolist()}")
        check_costs(self, "state_cost", "control_cost")
        if not (self.target_scale > 0.0).all():
            raise ValueError(f"target_scale must be positive, got {self.target_scale.tolist()}")
        check_positive(self, "leader_reward_scale", "leader_noise")
        if not 0.0 < self.leader_discount <= 1.0:
            raise ValueError(f"leader_discount must lie in (0, 1], got {self.leader_discount}")
        if not 0.0 < self.follower_discount < 1.0:
            raise ValueError(f"follower_discount must lie in (0, 1), got {self.follower_discount}")
        check_steps(self.max_episode_steps)

    @classmethod
    def from_numbers(cls, **numbers: Any) -> "BilevelLQR":
        """Build the problem from plain numbers, one keyword a field, matrices as tuples of rows.

        Raises:
            ValueError: if a matrix or vector is ragged, or no `BilevelLQR` has such numbers.
            TypeError: if a field is missing or there is no such field.
        """
        return cls(**{name: _array(name, value) for name, value in numbers.items()})

    @classmethod
    def published(cls, **changes: Any) -> "BilevelLQR":
        """The released configuration, changed where told; see `from_numbers`."""
        return cls.from_numbers(**{**PUBLISHED, **changes})

    @property
    def num_parameters(self) -> int:
        """D = l n."""
        return self.leader_matrix.size

    def gain(self, theta: Floats) -> Floats:
        """K, shape (R, l, n), from θ, shape (R, D).

        Raises:
            ValueError: if θ has another shape.
        """
        if theta.ndim != 2 or theta.shape[1] != self.num_parameters:
            raise ValueError(
                f"theta must be of shape (R, {self.num_parameters}), got {theta.shape}"
            )
        return theta.reshape(len(theta), -1, len(self.state_matrix))

    def initial_parameters(self, normals: Floats, spread: Floats) -> Floats:
        """θ = spread · z, shape (R, D), from standard normals z (R, D), one spread per run (R,)."""
        return normals * spread[:, None]

    def transition(self, state: Floats, leader_action: Floats, follower_action: Floats) -> Floats:
        """A x + B u + C a, shape (..., n), from x (..., n), a (..., l) and u (..., m)."""
        own = matrix_vector(self.state_matrix, state)
        follower = matrix_vector(self.follower_matrix, follower_action)
        return own + follower + matrix_vector(self.leader_matrix, leader_action)

    def follower_reward(self, state: Floats, follower_action: Floats) -> Floats:
        """r_F(x, u) = -(xᵀ Q x + uᵀ R u), shape (...,), from x (..., n) and u (..., m)."""
        comfort = (state * matrix_vector(self.state_cost, state)).sum(axis=-1)
        effort = (follower_action * matrix_vector(self.control_cost, follower_action)).sum(axis=-1)
        reward: Floats = -(comfort + effort)
        return reward

    def leader_reward(self, state: Floats) -> Floats:
        """r_L(x), shape (...,), from x (..., n)."""
        distance = np.square((state - self.target) / self.target_scale).sum(axis=-1)
        reward: Floats = self.leader_reward_scale * np.exp(-0.5 * distance)
        return reward


def _array(name: str, numbers: Any) -> Any:
    """`numbers` as an array if the field `name` is one, else unchanged."""
    if name not in _AXES:
        return numbers
    kind = ("a row of numbers", "rows of numbers, all of one length")[len(_AXES[name]) - 1]
    try:
        array = np.array(numbers, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be {kind}, got {numbers!r}") from error
    if array.ndim != len(_AXES[name]) or array.size == 0:
        raise ValueError(f"{name} must be {kind}, got {numbers!r}")
    return array
