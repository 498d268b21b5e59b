"""The doubly centred covariance: a baseline for the follower's side of BC-HG, at no bias.

A_L averages to zero over the follower's actions, so subtracting any function b of state and leader
action from the sample of ∇_θ Q_F that it multiplies changes no mean:

    (1/β) E[Σ_k e_k ψ_k] = (1/β) E[Σ_k e_k ψ_k - Σ_t γ_L^t A_L(t) b(s_t, a_t)].

b ≈ E[∇_θ Q_F | s, a] removes what all actions have in common, which is most of it. It is regressed
on *earlier* batches: fitted on its own, it would take part of the covariance with it.
"""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Memory
from bilevelrl.core.seeding import Streams


@dataclass(frozen=True)
class ControlVariate:
    """Least squares of the sensitivity to come on features, with exponential forgetting.

    Attributes:
        num_features: F.
        num_coordinates: P, coordinates of a sensitivity.
        forgetting_factor: weight of all earlier batches against the newest.
        ridge: share of the mean squared feature that is added to the normal equations.
    """

    num_features: int
    num_coordinates: int
    forgetting_factor: float = 0.9
    ridge: float = 1e-6

    def start(self, streams: Streams) -> Memory:
        """Nothing seen: b = 0."""
        runs, features = len(streams.seeds), self.num_features
        return {
            "control_gram": np.zeros((runs, features, features)),
            "control_moment": np.zeros((runs, features, self.num_coordinates)),
            "control": np.zeros((runs, features, self.num_coordinates)),
        }

    def refresh(self, memory: Memory) -> None:
        """Take everything seen so far into the coefficients, shape (R, F, P)."""
        gram = memory["control_gram"]
        size = np.trace(gram, axis1=1, axis2=2)[:, None, None] / self.num_features
        damped = gram + (self.ridge * size + (size == 0.0)) * np.eye(self.num_features)
        memory["control"][:] = np.linalg.solve(damped, memory["control_moment"])

    def see(self, features: Floats, to_come: Floats, memory: Memory) -> None:
        """Remember features (R, N, F) and samples of ∇_θ Q_F (R, N, P) for the next `refresh`."""
        for name, right in (("control_gram", features), ("control_moment", to_come)):
            memory[name] *= self.forgetting_factor
            for run, (phi, other) in enumerate(zip(features, right, strict=True)):
                memory[name][run] += phi.T @ other

    def mean(self, features: Floats, weights: Floats, memory: Memory) -> Floats:
        """Σ_t w_t b(s_t, a_t), shape (R, P), for weights (R, N)."""
        total = (weights[:, :, None] * features).sum(axis=1)
        product: Floats = (total[:, :, None] * memory["control"]).sum(axis=1)
        return product
