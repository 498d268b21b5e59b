"""The guided cart-pole with followers that learn, ready for the training loop."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.observations import discounted_return
from bilevelrl.core.seeding import Streams, stream
from bilevelrl.core.training import GroundTruth
from bilevelrl.models.deep.agent import SacAgent
from bilevelrl.models.deep.game import AgentResponse, learned_answer
from bilevelrl.models.deep.settings import SacFollower, SacParams
from bilevelrl.problems.guided_cartpole.planning.grid import GridParams
from bilevelrl.problems.guided_cartpole.planning.mechanics import TrueMechanics
from bilevelrl.problems.guided_cartpole.planning.planner import Planner
from bilevelrl.problems.guided_cartpole.planning.reference import Reference
from bilevelrl.problems.guided_cartpole.rollout import CartPoleBatch, CartPoleRollout
from bilevelrl.problems.guided_cartpole.view import CartPoleView

#: Of the random numbers that J is estimated with, the same in every run and update.
_EVALUATION_SEED = 0
_OUTCOMES = ("episode_length", "final_position", "share_in_goal")


@dataclass(frozen=True, eq=False)
class CartPoleGame:
    """Implements `core.training.Game`.

    J has no closed form: it is the mean over `evaluation_episodes` simulated ones whose random
    numbers are the same for all runs, updates and estimators. The best response and the exact
    hypergradient are those of a grid, see `planning.hypergradient`.

    Attributes:
        rollout: problem, policy and winds.
        temperature: β of each run, shape (R,).
        rule: of the followers.
        follower: how long they learn.
        evaluation_episodes: behind every J.
        grid: nodes of the ground truth.
    """

    rollout: CartPoleRollout
    temperature: Floats
    rule: SacParams
    follower: SacFollower
    evaluation_episodes: int
    grid: GridParams
    _outcomes: dict[bytes, dict[str, Floats]] = field(default_factory=dict, init=False)

    def start(self, streams: Streams) -> tuple[Floats, list[SacAgent]]:
        """First θ, shape (R, D), and a follower for each run."""
        theta = self.rollout.policy.initial_parameters(streams)
        runs = zip(theta, self.temperature, streams.seeds, strict=True)
        return theta, [self._agent(*own) for own in runs]

    def _agent(self, theta: Floats, temperature: float, seed: int) -> SacAgent:
        rollout = self.rollout
        return SacAgent(
            lambda: CartPoleView(rollout.problem, rollout.policy, rollout.winds, theta),
            temperature=float(temperature),
            discount=rollout.problem.follower_discount,
            options=self.rule,
            seed=int(stream(seed, "follower").integers(2**31)),
        )

    def respond(self, theta: Floats, memory: list[SacAgent], streams: Streams) -> AgentResponse:
        """See `learned_answer`."""
        del streams
        return learned_answer(theta, memory, self.follower)

    @cached_property
    def numbers(self) -> tuple[Floats, Floats]:
        """Uniform (E, 4 + T) and normal numbers (E, T) of the episodes behind every J."""
        horizon = self.rollout.problem.max_episode_steps
        numbers = stream(_EVALUATION_SEED, "oracle")
        uniforms = numbers.random((self.evaluation_episodes, 4 + horizon))
        return uniforms, numbers.standard_normal((self.evaluation_episodes, horizon))

    @cached_property
    def reference(self) -> Reference:
        """Ground truth."""
        rollout = self.rollout
        mechanics = TrueMechanics(rollout.problem)
        planner = Planner(mechanics, rollout.policy, rollout.winds, self.grid)
        return Reference(rollout, planner, *self.numbers)

    def leader_return(self, theta: Floats, response: AgentResponse) -> Floats:
        """J by simulation with common random numbers, shape (R,)."""
        problem, num_runs = self.rollout.problem, len(theta)
        horizon = problem.max_episode_steps
        uniforms, normals = self.numbers
        batch = self.rollout.play(
            theta, response.agents, [uniforms] * num_runs, [normals] * num_runs
        )
        self._outcomes.clear()
        self._outcomes[theta.tobytes()] = outcomes(batch, horizon)
        return discounted_return(batch.leader_reward, horizon, problem.leader_discount)

    def optimal_return(self, theta: Floats) -> Floats:
        """J against the best response of the grid, likewise by simulation, shape (R,)."""
        return self.reference.leader_return(theta, self.temperature)

    def ground_truth(self, theta: Floats, response: AgentResponse) -> GroundTruth:
        """Of the grid; the follower's gap and KL are means over the same episodes."""
        return self.reference.truth(theta, self.temperature, response.agents)

    def coordinates(self, theta: Floats, response: AgentResponse) -> dict[str, Floats]:
        """What the last evaluation of `leader_return` saw; NaN if that was of another θ."""
        del response
        unknown = dict.fromkeys(_OUTCOMES, np.full(len(theta), np.nan))
        return self._outcomes.get(theta.tobytes(), unknown)

    def extremes(self, theta: Floats, response: AgentResponse) -> dict[str, Floats]:
        """Nothing."""
        del theta, response
        return {}


def outcomes(batch: CartPoleBatch, horizon: int) -> dict[str, Floats]:
    """Mean steps per episode, where the cart ended, and the share of all T steps in the goal."""
    num_runs = len(batch.leader_reward)
    length = batch.alive.reshape(num_runs, -1, horizon).sum(axis=2).mean(axis=1)
    position = batch.next_state[:, horizon - 1 :: horizon, 0].mean(axis=1)
    share = batch.leader_reward.mean(axis=1)
    return dict(zip(_OUTCOMES, (length, position, share), strict=True))


@dataclass(frozen=True, eq=False)
class CartPoleSampler:
    """Implements `sampled.Sampler` at the level "rewards".

    Attributes:
        rollout: simulator.
        num_episodes: per batch and run.
    """

    rollout: CartPoleRollout
    num_episodes: int

    def observe(
        self, theta: Floats, response: AgentResponse, streams: Streams, *, at_random: bool
    ) -> CartPoleBatch:
        """Whole episodes under θ; the leader never ignores it."""
        del at_random
        horizon = self.rollout.problem.max_episode_steps
        uniforms = streams.uniforms("rollout", (self.num_episodes, 4 + horizon))
        normals = streams.normals("rollout", (self.num_episodes, horizon))
        return self.rollout.play(theta, response.agents, uniforms, normals)
