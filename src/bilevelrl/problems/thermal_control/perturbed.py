"""The perturbed follower of a building: pay it ε of the leader's reward, and let it answer.

What the paid follower expects, W(θ, ε), has ∂W/∂ε = J less the design's own cost at ε = 0, so that

    dJ/dθ = d/dε|_0 G(ε) - cost of the design,   G(ε) = E_{π_ε}[Σ_t γ^{t+1} ∇_θ E[V_ε(s') | s, a]],

V_ε(s) = -(sᵀ P_ε s + v) the value of a regulator with costs Q + ε k_S (spread over the zones) and
R + ε k_E. The leader's own part comes with it. θ acts through s' = A(θ) s + B a + σ z, hence ∇_θ is
pathwise, ∂V_ε/∂s'ᵀ (∂A/∂θ) s. Payments go on after the episode, as the follower's plans do: its T
steps weigh all but γ^T. It is the derivative behind penalty methods (arXiv 2402.06886).
"""

from dataclasses import dataclass, replace

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.observations import discounted_return
from bilevelrl.core.perturbed_follower import derivative
from bilevelrl.core.seeding import Streams
from bilevelrl.core.trace import powers
from bilevelrl.problems.thermal_control.exact import loop_sums, spread_over
from bilevelrl.problems.thermal_control.follower import RegulatorResponse, ThermalRegulator
from bilevelrl.problems.thermal_control.problem import ThermalControl
from bilevelrl.problems.thermal_control.rollout import ThermalBatch, ThermalRollout


def largest_epsilon(problem: ThermalControl) -> float:
    """The share of its reward at which a charged follower's energy, or comfort, is free, or ∞."""
    limits = [np.inf]
    if problem.energy_weight > 0.0:
        limits.append(float(np.linalg.eigvalsh(problem.control_cost)[0]) / problem.energy_weight)
    if problem.stability_weight > 0.0:
        # 1 over the largest eigenvalue of L⁻¹ S L⁻ᵀ, Q = L Lᵀ.
        inverse = np.linalg.inv(np.linalg.cholesky(problem.state_cost))
        spread = problem.stability_weight * spread_over(problem.num_zones)
        limits.append(1.0 / float(np.linalg.eigvalsh(inverse @ spread @ inverse.T)[-1]))
    return min(limits)


def paid_answer(
    problem: ThermalControl, follower: ThermalRegulator, theta: Floats, epsilon: float
) -> RegulatorResponse:
    """The best response to θ, shape (R, D), and pay ε of either sign.

    Raises:
        ValueError: if the follower is charged so much that something costs it nothing.
        NotConverged: see `ThermalRegulator.respond`.
    """
    if not -largest_epsilon(problem) < epsilon:
        raise ValueError(
            f"epsilon = {abs(epsilon):g} must be below {largest_epsilon(problem):g}, where a "
            "charged follower's energy or comfort costs nothing"
        )
    spread = problem.stability_weight * spread_over(problem.num_zones)
    energy = problem.energy_weight * np.eye(len(problem.control_cost))
    paid = replace(
        problem,
        state_cost=problem.state_cost + epsilon * spread,
        control_cost=problem.control_cost + epsilon * energy,
    )
    return replace(follower, problem=paid).respond(theta)


@dataclass(frozen=True, eq=False)
class PerturbedRegulator:
    """Implements `core.estimator.Estimator`, by `core.perturbed_follower`.

    The direct part is the cost of the design; all else is in `indirect`: the quotient cannot be
    split. The sampled return is off by O(ε²), O(ε) one-sided.

    Attributes:
        problem: the building.
        rollout: how each answer is watched; None takes exact means, without the state's clip.
        follower: answers to pay.
        epsilon: ε of each run, without unit, shape (R,); `largest_epsilon` is a bound.
        two_sided: the quotient of error O(ε²), from a follower that is paid and charged.
        common: whether the answers share their random numbers.
    """

    problem: ThermalControl
    rollout: ThermalRollout | None
    follower: ThermalRegulator
    epsilon: Floats
    two_sided: bool = True
    common: bool = True

    def start(self, streams: Streams) -> Memory:
        """Nothing is remembered."""
        del streams
        return {}

    def estimate(
        self, theta: Floats, response: RegulatorResponse, memory: Memory, streams: Streams
    ) -> Estimate:
        """Two answers, and how the building moves under them.

        Raises:
            ValueError: if an ε is not positive, or too large.
            NotConverged: see `ThermalRegulator.respond`.
        """
        del memory
        problem = self.problem
        answers = [self._paid(theta, self.epsilon)]
        answers.append(self._paid(theta, -self.epsilon) if self.two_sided else response)
        (ahead, behind), returned, steps = self._seen(theta, answers, streams)

        def moved(epsilon: Floats) -> Floats:
            return ahead if (epsilon > 0.0).all() else behind

        indirect = derivative(moved, self.epsilon, None if self.two_sided else behind)
        discounts = powers(problem.discount, problem.max_episode_steps)
        cost = -discounts.sum() * problem.design.configuration_cost_slope(theta)
        sampled = 0.5 * (returned[0] + returned[1]) if self.two_sided else returned[1]
        return Estimate(cost, indirect, sampled, env_steps=steps)

    def _paid(self, theta: Floats, epsilon: Floats) -> RegulatorResponse:
        # Runs with one ε have costs in common.
        places, found = [], []
        for each in np.unique(epsilon):
            runs = np.flatnonzero(epsilon == each)
            own = replace(self.follower, temperature=self.follower.temperature[runs])
            places.append(runs)
            found.append(paid_answer(self.problem, own, theta[runs], float(each)))
        order = np.argsort(np.concatenate(places))
        return RegulatorResponse(
            gain=np.concatenate([each.gain for each in found])[order],
            covariance=np.concatenate([each.covariance for each in found])[order],
            quadratic=np.concatenate([each.quadratic for each in found])[order],
            offset=np.concatenate([each.offset for each in found])[order],
            accuracy=np.concatenate([each.accuracy for each in found])[order],
            iterations=np.concatenate([each.iterations for each in found])[order],
        )

    def _seen(
        self, theta: Floats, answers: list[RegulatorResponse], streams: Streams
    ) -> tuple[list[Floats], list[Floats], int]:
        # G of every answer, each (R, D), the leader's returns, NaN of exact means, and transitions.
        problem = self.problem
        if self.rollout is None:
            slopes = problem.dynamics_slopes(theta)
            moved = []
            for each in answers:
                closed = problem.dynamics(theta) - problem.input_matrix @ each.gain
                pushed = each.quadratic @ closed @ loop_sums(problem, theta, each).moment
                moved.append(-2.0 * problem.discount * (slopes * pushed[:, None]).sum(axis=(2, 3)))
            return moved, [np.full(len(theta), np.nan)] * 2, 0
        normals, moved, returned = self.rollout.draw(streams), [], []
        for number, each in enumerate(answers):
            if number and not self.common:
                normals = self.rollout.draw(streams)
            batch = self.rollout.follow(theta, each, normals)
            moved.append(self._moved(theta, each, batch))
            reward, horizon = batch.leader_reward, problem.max_episode_steps
            returned.append(discounted_return(reward, horizon, problem.discount))
        return moved, returned, len(answers) * self.rollout.num_episodes * problem.max_episode_steps

    def _moved(self, theta: Floats, answer: RegulatorResponse, batch: ThermalBatch) -> Floats:
        problem, horizon = self.problem, self.problem.max_episode_steps
        assert batch.innovation is not None  # a `follow` tells it
        push = answer.value_slope(batch.next_state)
        push = np.where(batch.innovation == 0.0, 0.0, push)  # a clipped mean does not move
        episodes = push.shape[1] // horizon
        later = problem.discount * powers(problem.discount, horizon)
        weights = np.broadcast_to(np.tile(later / episodes, episodes), push.shape[:2])
        return problem.design.pull_back(theta, batch.state, push, weights)
