"""The guided cart-pole with followers that learn, ready for the training loop."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.observations import Information, discounted_return
from bilevelrl.core.seeding import Streams, stream
from bilevelrl.core.training import GroundTruth
from bilevelrl.models.deep.agent import SacOptions
from bilevelrl.models.deep.game import AgentResponse, LearningAgent, learn_answers
from bilevelrl.problems.guided_cartpole.policy import StateNetwork
from bilevelrl.problems.guided_cartpole.rollout import CartPoleBatch, CartPoleRollout
from bilevelrl.problems.guided_cartpole.view import CartPoleView, Leader

Floats = NDArray[np.float64]
#: Of the random numbers that J is estimated with, the same in every run and update.
_EVALUATION_SEED = 0


@dataclass(frozen=True, eq=False)
class CartPoleGame:
    """Implements `core.training.Game`.

    J has no closed form: it is the mean over `evaluation_episodes` simulated ones whose random
    numbers are the same for all runs, updates and estimators.

    Attributes:
        rollout: problem, policy and winds.
        policy: the rollout's, which starts the leader.
        temperature: β of each run, shape (R,).
        options: of the followers.
        first_steps: transitions that a follower has before its first answer.
        steps: and before every later one.
        evaluation_episodes: behind every J.
    """

    rollout: CartPoleRollout
    policy: StateNetwork
    temperature: Floats
    options: SacOptions
    first_steps: int
    steps: int
    evaluation_episodes: int
    _outcomes: dict[bytes, dict[str, Floats]] = field(default_factory=dict, init=False)

    def start(self, streams: Streams) -> tuple[Floats, list[LearningAgent[CartPoleView]]]:
        """First θ, shape (R, D), and a follower for each run."""
        runs = zip(streams.seeds, self.temperature, strict=True)
        agents = [self._agent(seed, float(temperature)) for seed, temperature in runs]
        return self.policy.initial_parameters(streams), agents

    def _agent(self, seed: int, temperature: float) -> LearningAgent[CartPoleView]:
        problem = self.rollout.problem
        return LearningAgent.new(
            lambda: CartPoleView(problem),
            self._face,
            temperature=temperature,
            discount=problem.follower_discount,
            options=self.options,
            seed=int(stream(seed, "follower").integers(2**31)),
        )

    def _face(self, view: CartPoleView, theta: Floats) -> None:
        view.leader = _frozen(self.rollout, theta)

    def respond(
        self, theta: Floats, memory: list[LearningAgent[CartPoleView]], streams: Streams
    ) -> AgentResponse:
        """Let every follower learn against its leader.

        Raises:
            FollowerDiverged: if one cannot go on.
        """
        del streams
        taken = learn_answers(theta, memory, self.first_steps, self.steps)
        agents = [follower.agent for follower in memory]
        return AgentResponse(agents, np.full(len(theta), np.nan), taken)

    def leader_return(self, theta: Floats, response: AgentResponse) -> Floats:
        """J by simulation with common random numbers, shape (R,)."""
        problem, shape = self.rollout.problem, theta.shape
        horizon = problem.max_episode_steps
        numbers = stream(_EVALUATION_SEED, "oracle")
        uniforms = numbers.random((self.evaluation_episodes, 4 + horizon))
        normals = numbers.standard_normal((self.evaluation_episodes, horizon))
        batch = self.rollout.play(
            theta,
            response.agents,
            np.broadcast_to(uniforms, (shape[0], *uniforms.shape)),
            np.broadcast_to(normals, (shape[0], *normals.shape)),
        )
        self._outcomes.clear()
        self._outcomes[theta.tobytes()] = outcomes(batch, horizon)
        return discounted_return(batch.leader_reward, horizon, problem.leader_discount)

    def ground_truth(self, theta: Floats, response: AgentResponse) -> GroundTruth:
        """NaN: nothing is known exactly."""
        del response
        unknown = np.full(len(theta), np.nan)
        return GroundTruth(np.full_like(theta, np.nan), unknown, unknown, unknown)

    def coordinates(self, theta: Floats) -> dict[str, Floats]:
        """What the last evaluation of `leader_return` saw; NaN if that was of another θ."""
        unknown = np.full(len(theta), np.nan)
        found = self._outcomes.get(theta.tobytes(), {})
        return {name: found.get(name, unknown) for name in _OUTCOMES}

    def extremes(self, theta: Floats) -> dict[str, Floats]:
        """Nothing."""
        del theta
        return {}


_OUTCOMES = ("episode_length", "final_position", "share_in_goal")


def outcomes(batch: CartPoleBatch, horizon: int) -> dict[str, Floats]:
    """Mean steps per episode, where the cart ended, and the share of all T steps in the goal."""
    num_runs = len(batch.leader_reward)
    length = batch.alive.reshape(num_runs, -1, horizon).sum(axis=2).mean(axis=1)
    position = batch.next_state[:, horizon - 1 :: horizon, 0].mean(axis=1)
    share = batch.leader_reward.mean(axis=1)
    return dict(zip(_OUTCOMES, (length, position, share), strict=True))


def _frozen(rollout: CartPoleRollout, theta: Floats) -> Leader:
    def leader(state: Floats, uniforms: Floats) -> Floats:
        blown: Floats = rollout.winds[rollout.policy.choose(theta, state, uniforms)]
        return blown

    return leader


@dataclass(frozen=True, eq=False)
class CartPoleSampler:
    """Implements `sampled.Sampler`.

    Attributes:
        rollout: simulator.
        num_episodes: per batch and run.
        information: what the leader sees; "rewards" adds the follower's.
    """

    rollout: CartPoleRollout
    num_episodes: int
    information: Information

    def observe(
        self, theta: Floats, response: AgentResponse, streams: Streams, *, at_random: bool
    ) -> CartPoleBatch:
        """Whole episodes under θ; at random means θ with no output, so every wind is as likely."""
        horizon = self.rollout.problem.max_episode_steps
        uniforms = streams.uniforms("rollout", (self.num_episodes, 4 + horizon))
        normals = streams.normals("rollout", (self.num_episodes, horizon))
        played = np.zeros_like(theta) if at_random else theta
        batch = self.rollout.play(played, response.agents, uniforms, normals)
        return batch if self.information == "rewards" else replace(batch, follower_reward=None)
