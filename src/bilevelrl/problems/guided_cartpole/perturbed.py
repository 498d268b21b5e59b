"""The perturbed follower of the guided cart-pole: pay it ε of the leader's reward, and watch it.

Its answers are planned on a grid with the true dynamics, and the cart-pole itself is watched:

    G(ε) = E_{π_ε}[Σ_t γ_F^t Σ_w ∇f(w|s_t) V_t(s_t, w)],   dJ/dθ = G'(0),

see `planning.paid_response`. V_t is the paid follower's own; steps t < T are watched, and what
comes after them is expected from where the episodes ended.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.observations import discounted_return
from bilevelrl.core.perturbed_follower import derivative
from bilevelrl.core.seeding import Streams
from bilevelrl.models.deep.game import AgentResponse
from bilevelrl.problems.guided_cartpole.planning.best_response import best_response
from bilevelrl.problems.guided_cartpole.planning.grid import Stencils
from bilevelrl.problems.guided_cartpole.planning.paid_response import PaidFollower
from bilevelrl.problems.guided_cartpole.planning.planner import Planner
from bilevelrl.problems.guided_cartpole.planning.player import PlannedPlayer
from bilevelrl.problems.guided_cartpole.rollout import CartPoleBatch, CartPoleRollout
from bilevelrl.problems.guided_cartpole.view import follower_observation, scaled


@dataclass(frozen=True, eq=False)
class StepwisePlayer:
    """Implements `players.Player` for one round of episodes: another player at every step.

    Attributes:
        steps: the players of t = 0, 1, ...
    """

    steps: Iterator[PlannedPlayer]

    def act(self, state: Floats, normals: Floats) -> tuple[Floats, Floats]:
        """See `Player`; every call is the next step."""
        return next(self.steps).act(state, normals)


@dataclass(frozen=True, eq=False)
class PerturbedPole:
    """Implements `core.estimator.Estimator`, by `core.perturbed_follower`.

    The direct part comes with the quotient, which cannot be split: all is in `indirect`. Both
    answers share their random numbers. The sampled return is off by O(ε²), O(ε) one-sided.

    Attributes:
        rollout: the cart-pole and its leader.
        planner: grid of the answers.
        temperature: β of each run, shape (R,).
        epsilon: ε of each run, without unit, shape (R,).
        two_sided: the quotient of error O(ε²), from a follower that is paid and charged.
        num_episodes: of both answers together, half of them each; an odd one is not played.

    Raises:
        ValueError: if there are fewer than two episodes.
    """

    rollout: CartPoleRollout
    planner: Planner
    temperature: Floats
    epsilon: Floats
    two_sided: bool
    num_episodes: int
    _known: dict[tuple[bytes, float], PaidFollower] = field(default_factory=dict, init=False)
    _answers: dict[tuple[bytes, float, float], list[PlannedPlayer]] = field(
        default_factory=dict, init=False
    )

    def __post_init__(self) -> None:
        if self.num_episodes < 2:
            raise ValueError(
                f"num_episodes = {self.num_episodes}: both answers need one, allowed is 2 or more"
            )

    def start(self, streams: Streams) -> Memory:
        """Nothing is remembered."""
        del streams
        return {}

    def estimate(
        self, theta: Floats, response: AgentResponse, memory: Memory, streams: Streams
    ) -> Estimate:
        """Two answers to θ, shape (R, D), and how the cart-pole moves under them.

        Raises:
            ValueError: if an ε is not positive.
        """
        del response, memory
        episodes, horizon = self.num_episodes // 2, self.rollout.problem.max_episode_steps
        uniforms = streams.uniforms("rollout", (episodes, 4 + horizon))
        normals = streams.normals("rollout", (episodes, horizon))
        agents = [self._paid(*own) for own in zip(theta, self.temperature.tolist(), strict=True)]
        returns = []

        def answer(epsilon: Floats) -> Floats:
            rows = []
            for run, paid in enumerate(agents):
                players = self._answer(paid, float(epsilon[run]))
                batch = self.rollout.play(
                    theta[run, None], [StepwisePlayer(iter(players))],
                    [uniforms[run]], [normals[run]],
                )  # fmt: skip
                rows.append(np.concatenate([self._pulled(paid, players, batch),
                                            self._arrived(batch)]))  # fmt: skip
                earned = discounted_return(batch.leader_reward, horizon, paid.discounts[0])
                returns.append(earned[0])
            return np.stack(rows)

        at_zero = None if self.two_sided else answer(np.zeros(len(theta)))
        watched, arrived = np.split(
            derivative(answer, self.epsilon, at_zero), [theta.shape[1]], axis=1
        )
        later = [self._later(*own) for own in zip(agents, arrived, strict=True)]
        earned = np.reshape(returns, (2, len(theta)))
        return Estimate(
            np.zeros_like(watched),
            watched + np.stack(later),
            earned.mean(axis=0) if self.two_sided else earned[0],
            env_steps=2 * episodes * horizon,
        )

    def _paid(self, theta: Floats, temperature: float) -> PaidFollower:
        """Who may be paid; the last one is remembered: runs may share a θ."""
        key = (theta.tobytes(), temperature)
        if key not in self._known:
            problem = self.rollout.problem
            discounts = problem.leader_discount, problem.follower_discount
            response = best_response(self.planner, theta, temperature, discounts[1])
            self._known.clear()
            self._known[key] = PaidFollower(
                self.planner, theta, response, temperature, discounts, problem.max_episode_steps
            )
        return self._known[key]

    def _answer(self, paid: PaidFollower, epsilon: float) -> list[PlannedPlayer]:
        """The paid follower at every step; the last answer is remembered."""
        key = (paid.theta.tobytes(), paid.temperature, epsilon)
        if key not in self._answers:
            self._answers.clear()
            self._answers[key] = [
                PlannedPlayer(self.planner, value, paid.temperature, paid.discounts[1])
                for value in paid.values(epsilon)[1:]
            ]
        return self._answers[key]

    def _pulled(
        self, paid: PaidFollower, players: list[PlannedPlayer], batch: CartPoleBatch
    ) -> Floats:
        """What the steps of the episodes contribute to G, shape (D,)."""
        weights = self._weights(paid, players, batch)
        weights /= len(weights) // paid.horizon
        states = scaled(batch.state[0])
        pulled: Floats = self.rollout.policy.pull_back(paid.theta, states, weights[None])[0]
        return pulled

    def _arrived(self, batch: CartPoleBatch) -> Floats:
        """Where episodes that went on are at the end, as mass on all nodes, shape (K L N,)."""
        horizon = self.rollout.problem.max_episode_steps
        last = np.arange(horizon - 1, batch.alive.shape[1], horizon)
        on = last[batch.alive[0, last] & ~batch.terminated[0, last]]
        return on_nodes(self.planner.grid, batch.next_state[0, on]).ravel() / len(last)

    def _later(self, paid: PaidFollower, arrived: Floats) -> Floats:
        """What mass at the end of an episode, shape (K L N,), adds to G, shape (D,)."""
        response = paid.response
        mass = arrived.reshape(response.value.shape).astype(np.float32)
        return self.planner.pull_back(paid.theta, response.leader, paid.afterwards(mass))

    def _weights(
        self, paid: PaidFollower, players: list[PlannedPlayer], batch: CartPoleBatch
    ) -> Floats:
        """γ_F^t f(w|s) (V_t(s, w) - Σ_w f V_t) of every transition, shape (E T, A)."""
        winds, states, alive = self.rollout.winds, batch.state[0], batch.alive[0]
        weights = np.zeros((len(states), len(winds)))
        for t, player in enumerate(players):
            rows = np.arange(t, len(states), paid.horizon)
            rows = rows[alive[rows]]
            if len(rows):
                each = np.repeat(states[rows], len(winds), axis=0)
                seen = follower_observation(each, np.tile(winds, len(rows)))
                own = player.soft_value(seen).reshape(len(rows), len(winds))
                chosen = self.rollout.policy.probabilities(paid.theta, scaled(states[rows]))
                mean = (chosen * own).sum(axis=1, keepdims=True)
                weights[rows] = paid.discounts[1] ** t * chosen * (own - mean)
        return weights


def on_nodes(grid: Stencils, states: Floats) -> Floats:
    """Weights of all nodes, shape (K, L, I, X), that stand for the states (n, 4), linearly.

    What is beyond the grid counts as its edge.
    """
    corners = []
    for own, at in zip(grid.nodes, states[:, [2, 3, 1, 0]].T, strict=True):
        inside = np.clip(at, own[0], own[-1])
        first = np.clip(np.searchsorted(own, inside, side="right") - 1, 0, len(own) - 2)
        share = (inside - own[first]) / (own[first + 1] - own[first])
        rows = np.zeros((len(at), len(own)))
        every = np.arange(len(at))
        rows[every, first], rows[every, first + 1] = 1.0 - share, share
        corners.append(rows)
    total: Floats = np.einsum("nk,nl,ni,nx->klix", *corners, optimize=True)
    return total
