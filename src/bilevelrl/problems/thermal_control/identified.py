"""What a leader of building thermal control makes of what it sees: a building to plan in.

It knows its levers α and β, the form of both rewards but none of their weights, and that dynamics
are affine in the levers:

    s' = (C₀ + Σ_k ℓ_k C_k) s + B a + σ z,  ℓ = (α, β) - 1/2.

Which lever acts on which zones, and how much, it learns from transitions, Q and R from the
follower's rewards, the weights k from its own. Both rewards have no noise.
"""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.core.estimator import Memory
from bilevelrl.core.observations import Observations
from bilevelrl.core.random_features import fit, sums
from bilevelrl.core.random_features import regression as normal_equations
from bilevelrl.core.seeding import Streams
from bilevelrl.models.linear_gaussian.least_squares import quadratic_form
from bilevelrl.models.linear_gaussian.relevance import Posterior, Sums, regression
from bilevelrl.problems.thermal_control.design import Levers

#: Relative penalty of the regression of the leader's reward.
_RIDGE = 1e-12
#: No lever costs anything that is known.
_FREE = (0.0, 0.0)


@dataclass(frozen=True, eq=False)
class IdentifiedBuilding:
    """Implements `Building`, whatever the levers do.

    Attributes:
        effects: C₀ and every C_k, shape (1 + D, n, n).
        input_matrix: see `Building`, like the next ones.
    """

    effects: Floats
    input_matrix: Floats
    state_cost: Floats
    control_cost: Floats
    noise: float
    initial_deviation: float
    max_episode_steps: int
    discount: float
    stability_weight: float
    energy_weight: float
    design: Levers

    def dynamics(self, theta: Floats) -> Floats:
        """See `Building`."""
        levels = np.concatenate(self.design.levels(theta), axis=1)
        moved: Floats = ((levels - 0.5)[:, :, None, None] * self.effects[1:]).sum(axis=1)
        dynamics: Floats = self.effects[0] + moved
        return dynamics

    def dynamics_slopes(self, theta: Floats) -> Floats:
        """See `Building`."""
        levels = np.concatenate(self.design.levels(theta), axis=1)
        slopes: Floats = (levels * (1.0 - levels))[:, :, None, None] * self.effects[1:]
        return slopes


@dataclass(frozen=True, eq=False)
class BuildingBelief:
    """What every run's leader has learned; takes the place of the follower's answer.

    The best guess of the dynamics has a prior variance for each coefficient, by which it finds the
    few that are not zero. It is too sure of the others: the spread of what they may be has a prior
    variance for each kind of coefficients, C₀, all C_k, and B.

    Attributes:
        guess: coefficients of (s, ℓ ⊗ s, a) in s', shape (R, p, n).
        mean, covariance: of what they may be, shapes (R, p, n) and (R, n, p, p).
        noise: σ, shape (R,).
        initial_deviation: shape (R,).
        state_cost, control_cost: Q and R, shapes (R, n, n) and (R, m, m).
        weights: k_S, k_E, k_I and k_A, shape (R, 4).
        discount: γ.
        horizon: T.
    """

    guess: Floats
    mean: Floats
    covariance: Floats
    noise: Floats
    initial_deviation: Floats
    state_cost: Floats
    control_cost: Floats
    weights: Floats
    discount: float
    horizon: int

    def expected(self, run: int) -> IdentifiedBuilding:
        """The best guess of one run."""
        return self._building(run, self.guess[run])

    def drawn(self, run: int, normals: Floats) -> IdentifiedBuilding:
        """What the building of one run may be, from normals (p, n)."""
        may_be = Posterior(self.mean[run], self.covariance[run], float(self.noise[run]))
        return self._building(run, may_be.drawn(normals))

    def doubt(self, run: int, theta: Floats) -> Floats:
        """How little of A(θ) one run knows, for θ (N, D), shape (N,).

        The variance of A(θ) s, in sum over zones, for states s of unit variance.
        """
        levels, zones = np.concatenate(self._levers(theta), axis=1), self.state_cost.shape[1]
        factors = np.hstack([np.ones((len(theta), 1)), levels - 0.5])
        size = factors.shape[1]
        of_states = self.covariance[run, :, : size * zones, : size * zones].sum(axis=0)
        blocks = of_states.reshape(size, zones, size, zones).trace(axis1=1, axis2=3)
        variance: Floats = ((factors @ blocks) * factors).sum(axis=1)
        return variance

    def _levers(self, theta: Floats) -> tuple[Floats, Floats]:
        return Levers(self.state_cost.shape[1], *_FREE).levels(theta)

    def _building(self, run: int, coefficients: Floats) -> IdentifiedBuilding:
        zones = self.state_cost.shape[1]
        last = len(coefficients) - self.control_cost.shape[1]
        # Kernels are compiled for one order of an array's numbers.
        effects = np.ascontiguousarray(coefficients[:last].reshape(-1, zones, zones).mT)
        actuator = np.ascontiguousarray(coefficients[last:].T)
        stability, energy, insulation, airflow = self.weights[run].tolist()
        return IdentifiedBuilding(
            effects, actuator, self.state_cost[run], self.control_cost[run],
            float(self.noise[run]), float(self.initial_deviation[run]), self.horizon,
            self.discount, stability, energy, Levers(zones, insulation, airflow),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class IdentifiedBelief:
    """Implements `sampled.Belief`.

    Zones are taken to start alike, normal around zero, and to have noise of the same size. The
    building may saturate where its loop is unstable, which is not linear: where a zone gets farther
    away than any has begun is left out.

    Attributes:
        shape: (n, m).
        discount: γ.
        horizon: T.
    """

    shape: tuple[int, int]
    discount: float
    horizon: int

    def start(self, streams: Streams) -> Memory:
        """Nothing seen."""
        number, (zones, units) = len(streams.seeds), self.shape
        size = zones * (1 + 2 * zones) + units
        return {
            "gram": np.zeros((number, zones, size, size)),
            "moment": np.zeros((number, size, zones)),
            "squares": np.zeros((number, zones)),
            "equations": np.zeros(number),
            "starts": np.zeros((number, 2)),  # how many zones, and the sum of their squares
            "farthest": np.zeros(number),  # of the starts
            **sums(4, 1, number, "paid"),
        }

    def learn(self, theta: Floats, seen: Observations, memory: Memory) -> BuildingBelief:
        """A belief from all transitions so far; updates `memory` in place.

        Raises:
            ValueError: if the follower's rewards were not seen.
        """
        rewards = seen.follower_rewards()
        # Run by run: the same bits in any batch.
        learned = [
            self._one(run, theta[run : run + 1], seen, rewards[run], memory)
            for run in range(len(theta))
        ]
        arrays = {name: np.stack([each[name] for each in learned]) for name in learned[0]}
        return BuildingBelief(**arrays, discount=self.discount, horizon=self.horizon)

    def _one(
        self, run: int, theta: Floats, seen: Observations, reward: Floats, memory: Memory
    ) -> dict[str, Floats]:
        """The arrays of a `BuildingBelief`, of one run."""
        zones, units = self.shape
        levels = np.concatenate(Levers(zones, *_FREE).levels(theta), axis=1)[0]
        self._remember(run, levels, seen, memory)
        starts = memory["starts"][run]
        gram, moment, squares = (memory[name][run] for name in ("gram", "moment", "squares"))
        known = Sums(gram, moment, squares, float(memory["equations"][run]))
        guess = regression(known, np.arange(moment.size).reshape(moment.shape))
        may_be = regression(known, _kinds(zones, units))
        cost = quadratic_form(np.hstack([seen.state[run], seen.follower_action[run]]), -reward)
        return {
            "guess": guess.mean,
            "mean": may_be.mean,
            "covariance": may_be.covariance,
            "noise": np.array(guess.noise),
            "initial_deviation": np.sqrt(starts[1] / starts[0]),
            "state_cost": cost[:zones, :zones],
            "control_cost": cost[zones:, zones:],
            "weights": memory["paid_coefficients"][run][:, 0],
        }

    def _remember(self, run: int, levels: Floats, seen: Observations, memory: Memory) -> None:
        state, action, after = (
            array[run] for array in (seen.state, seen.follower_action, seen.next_state)
        )
        first, farthest = state[:: self.horizon], memory["farthest"]
        memory["starts"][run] += first.size, np.square(first).sum()
        farthest[run] = max(farthest[run], np.abs(first).max())
        inputs = np.hstack([np.kron(np.append(1.0, levels - 0.5), state), action])
        for zone, inside in enumerate((np.abs(after) <= farthest[run]).T):
            rows, outputs = inputs[inside], after[inside, zone]
            memory["gram"][run, zone] += rows.T @ rows
            memory["moment"][run, :, zone] += rows.T @ outputs
            memory["squares"][run, zone] += outputs @ outputs
            memory["equations"][run] += len(rows)
        apart, effort = state.var(axis=1), np.square(action).sum(axis=1)
        design = np.square(levels).reshape(2, -1).sum(axis=1)
        paid = -np.column_stack([apart, effort, np.tile(design, (len(state), 1))])
        own = normal_equations(paid, seen.leader_reward[run][:, None], np.ones(len(paid)))
        fit(memory, "paid", run, own, keep=1.0, ridge=_RIDGE)


def _kinds(zones: int, units: int) -> Index:
    """0 of C₀, 1 of every C_k, 2 of B, shape (p, n)."""
    kinds = np.repeat([0, 1, 2], [zones, 2 * zones**2, units])
    return np.repeat(kinds[:, None], zones, axis=1)
