"""Games whose followers are agents of Stable-Baselines3 that go on learning."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.follower import Response
from bilevelrl.core.observations import Observations
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import Game, GroundTruth
from bilevelrl.models.deep.agent import SacAgent
from bilevelrl.models.deep.players import Evaluation, FollowerTask, Player, Seen_co, evaluate
from bilevelrl.models.deep.settings import ComparedSacParams, SacFollower


@dataclass(frozen=True, eq=False)
class AgentResponse:
    """What followers play that go on learning; it holds until they answer again.

    Attributes:
        agents: one per run.
        steps: transitions that each agent learned this answer from.
    """

    agents: Sequence[Player]
    steps: int

    @property
    def accuracy(self) -> Floats:
        """NaN, because nothing certifies it, shape (R,)."""
        return np.full(len(self.agents), np.nan)


def learned_answer(
    theta: Floats, agents: Sequence[SacAgent], follower: SacFollower
) -> AgentResponse:
    """Let every agent learn against its leader, a row of θ, shape (R, D), from where it is.

    Raises:
        FollowerDiverged: if one cannot go on.
    """
    first = follower.first_steps or follower.steps
    steps = follower.steps if agents[0].steps else first
    for row, agent in zip(theta, agents, strict=True):
        for view in agent.views:
            view.face(row)
        agent.learn(steps)
    return AgentResponse(agents, steps)


@dataclass(frozen=True, eq=False)
class SacGame(Generic[Response]):
    """Implements `core.training.Game`.

    Attributes:
        exact: the same game with the best response, the ground truth.
        temperature: β of each run, shape (R,).
        follower_task: the problem, as single followers play it.
        rule: of the agents.
        follower: how long they learn.
    """

    exact: Game[Response]
    temperature: Floats
    follower_task: FollowerTask[Observations]
    rule: ComparedSacParams
    follower: SacFollower

    def start(self, streams: Streams) -> tuple[Floats, list[SacAgent]]:
        """First θ, shape (R, D), and agents that know nothing, each with the seed of its run."""
        theta, _ = self.exact.start(streams)
        runs = zip(theta, self.temperature, streams.seeds, strict=True)
        return theta, [self._agent(*own) for own in runs]

    def _agent(self, theta: Floats, temperature: float, seed: int) -> SacAgent:
        task = self.follower_task
        return SacAgent(
            lambda: task.view(theta, self.rule),
            temperature=float(temperature),
            discount=task.follower_discount,
            options=self.rule,
            seed=seed,
        )

    def respond(self, theta: Floats, memory: list[SacAgent], streams: Streams) -> AgentResponse:
        """See `learned_answer`."""
        del streams
        return learned_answer(theta, memory, self.follower)

    def leader_return(self, theta: Floats, response: AgentResponse) -> Floats:
        """An estimate of J over an episode, shape (R,).

        J under the best response, which is exact, and the mean difference to it over episodes that
        both followers play from the same random numbers.
        """
        gains = [each.leader_gain for each in self._evaluations(theta, response)]
        return self.exact.leader_return(theta, self._best(theta)) + gains

    def optimal_return(self, theta: Floats) -> Floats:
        """J at the best response, exact, shape (R,)."""
        return self.exact.optimal_return(theta)

    def ground_truth(self, theta: Floats, response: AgentResponse) -> GroundTruth:
        """Hypergradient and J at the best response, exact; the agents' errors, estimated."""
        found = self._evaluations(theta, response)
        return replace(
            self.exact.ground_truth(theta, self._best(theta)),
            follower_kl=np.array([each.kl for each in found]),
            follower_value_gap=np.array([each.value_gap for each in found]),
        )

    def _best(self, theta: Floats) -> Response:
        return self.exact.respond(theta, None, Streams([]))

    def _evaluations(self, theta: Floats, response: AgentResponse) -> list[Evaluation]:
        task, episodes = self.follower_task, self.rule.episodes
        runs = zip(theta, self.temperature.tolist(), response.agents, strict=True)
        return [evaluate(task, *own, episodes) for own in runs]

    def coordinates(self, theta: Floats, response: AgentResponse) -> dict[str, Floats]:
        """As of the exact game."""
        del response
        return self.exact.coordinates(theta, self._best(theta))

    def extremes(self, theta: Floats, response: AgentResponse) -> dict[str, Floats]:
        """As of the exact game."""
        del response
        return self.exact.extremes(theta, self._best(theta))


@dataclass(frozen=True, eq=False)
class SacSampler(Generic[Seen_co]):
    """Implements `sampled.Sampler` at the level "rewards".

    Attributes:
        follower_task: the problem.
        num_episodes: per batch and run.
    """

    follower_task: FollowerTask[Seen_co]
    num_episodes: int

    def observe(
        self, theta: Floats, response: AgentResponse, streams: Streams, *, at_random: bool
    ) -> Seen_co:
        """Whole episodes; the leader never ignores θ."""
        del at_random
        task = self.follower_task
        normals = streams.normals("rollout", (self.num_episodes, task.numbers_per_episode))
        runs = zip(theta, response.agents, normals, strict=True)
        return task.observations(theta, [task.play(*own) for own in runs])
