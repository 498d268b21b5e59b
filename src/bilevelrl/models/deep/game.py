"""Games whose followers are agents of Stable-Baselines3 that go on learning."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

import gymnasium
import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import GroundTruth
from bilevelrl.models.deep.agent import SacAgent, SacOptions
from bilevelrl.models.deep.players import (
    FollowerTask,
    Player,
    SacPlayer,
    Seen,
    discounted,
    evaluate,
)
from bilevelrl.models.deep.view import FollowerView, ViewOptions

Floats = NDArray[np.float64]
View = TypeVar("View", bound=gymnasium.Env[Any, Any])


@dataclass(frozen=True, eq=False)
class AgentResponse:
    """What followers play that go on learning; it holds until they answer again.

    Attributes:
        agents: one per run.
        accuracy: NaN, because nothing certifies it, shape (R,).
        steps: transitions that each agent learned this answer from.
    """

    agents: Sequence[Player]
    accuracy: Floats
    steps: int

    def act(self, state: Floats, normals: Floats) -> Floats:
        """Actions, shape (R, N, m), at s (R, N, n), from standard normals (R, N, m)."""
        played = zip(self.agents, state, normals, strict=True)
        return np.stack([agent.act(here, numbers)[0] for agent, here, numbers in played])


@dataclass(frozen=True, eq=False)
class LearningAgent(Generic[View]):
    """One run's follower between two answers.

    Attributes:
        agent: learns.
        views: its environments.
        face: puts the leader θ, shape (D,), into one of them.
    """

    agent: SacAgent
    views: Sequence[View]
    face: Callable[[View, Floats], None]

    @classmethod
    def new(
        cls,
        make_view: Callable[[], View],
        face: Callable[[View, Floats], None],
        *,
        temperature: float,
        discount: float,
        options: SacOptions,
        seed: int,
    ) -> "LearningAgent[View]":
        """An agent that knows nothing; the arguments are those of `SacAgent`."""
        views = list[View]()

        def make() -> View:
            views.append(make_view())
            return views[-1]

        agent = SacAgent(
            make, temperature=temperature, discount=discount, options=options, seed=seed
        )
        return cls(agent, views, face)


def learn_answers(
    theta: Floats, memory: Sequence[LearningAgent[Any]], first_steps: int, steps: int
) -> int:
    """Let every agent learn against its leader, from where it is; the transitions that it had.

    Args:
        theta: leaders, shape (R, D).
        memory: an agent per run.
        first_steps: transitions of an agent that has not learned yet.
        steps: and of any other.

    Raises:
        FollowerDiverged: if one cannot go on.
    """
    taken = steps if memory[0].agent.steps else first_steps
    for row, follower in zip(theta, memory, strict=True):
        own = row.copy()
        for view in follower.views:
            follower.face(view, own)
        follower.agent.learn(taken)
    return taken


class ExactGame(Protocol):
    """The same game with the exact best response; read-only."""

    @property
    def follower(self) -> Any:
        """The exact solver, which knows the temperature of each run, shape (R,)."""
        ...

    def start(self, streams: Streams) -> tuple[Floats, Floats]:
        """First θ, shape (R, D), and the follower's memory."""
        ...

    def follower_memory(self, num_runs: int, streams: Streams) -> Floats:
        """What the follower remembers before its first answer."""
        ...

    def respond(self, theta: Floats, memory: Floats, streams: Streams) -> Any:
        """The best response."""
        ...

    def leader_return(self, theta: Floats, response: Any) -> Floats:
        """The J that is reported, shape (R,)."""
        ...

    def ground_truth(self, theta: Floats, response: Any) -> GroundTruth:
        """Exact hypergradient and J."""
        ...

    def coordinates(self, theta: Floats) -> dict[str, Floats]:
        """What is recorded of θ."""
        ...

    def extremes(self, theta: Floats) -> dict[str, Floats]:
        """What is looked at in every update."""
        ...


@dataclass(frozen=True, eq=False)
class SacGame:
    """Implements `core.training.Game`.

    Attributes:
        exact: the ground truth.
        follower_task: the problem, as single followers play it.
        options: of the agents.
        view: how they see the problem.
        first_steps: transitions before the first answer.
        steps: transitions before each later one.
        episodes: of each evaluation, always from the same random numbers.
    """

    exact: ExactGame
    follower_task: FollowerTask[Any]
    options: SacOptions
    view: ViewOptions
    first_steps: int
    steps: int
    episodes: int = 500

    @property
    def temperature(self) -> Floats:
        """β of each run, shape (R,)."""
        temperature: Floats = self.exact.follower.temperature
        return temperature

    def start(self, streams: Streams) -> tuple[Floats, list[LearningAgent[FollowerView]]]:
        """First θ, shape (R, D), and agents that know nothing."""
        theta, _ = self.exact.start(streams)
        return theta, self.follower_memory(theta, streams)

    def follower_memory(self, theta: Floats, streams: Streams) -> list[LearningAgent[FollowerView]]:
        """Agents before their first answer, each with the seed of its run."""
        runs = zip(theta, self.temperature, streams.seeds, strict=True)
        return [self._follower(*own) for own in runs]

    def _follower(
        self, theta: Floats, temperature: float, seed: int
    ) -> LearningAgent[FollowerView]:
        task = self.follower_task
        return LearningAgent.new(
            lambda: task.view(theta, self.view),
            FollowerView.face,
            temperature=float(temperature),
            discount=task.follower_discount,
            options=self.options,
            seed=seed,
        )

    def respond(
        self, theta: Floats, memory: list[LearningAgent[FollowerView]], streams: Streams
    ) -> AgentResponse:
        """Let the agents learn against θ, shape (R, D), from where they are."""
        del streams
        taken = learn_answers(theta, memory, self.first_steps, self.steps)
        scale, bound = self.follower_task.scale, self.view.action_bound
        players = [SacPlayer(follower.agent, scale, bound) for follower in memory]
        return AgentResponse(players, np.full(len(theta), np.nan), taken)

    def leader_return(self, theta: Floats, response: AgentResponse) -> Floats:
        """An estimate of J over an episode, shape (R,).

        J under the best response, which is exact, and the mean difference to it over `episodes`
        that both followers play from the same random numbers.
        """
        returns = self.exact.leader_return(theta, self._best(theta))
        shape = (self.episodes, self.follower_task.numbers_per_episode)
        normals = np.random.default_rng(0).standard_normal(shape)
        for run, agent in enumerate(response.agents):
            best, _ = self.follower_task.best(theta[run], float(self.temperature[run]))
            own, other = (self._return(theta[run], player, normals) for player in (agent, best))
            returns[run] += (own - other).mean()
        return returns

    def _best(self, theta: Floats) -> Any:
        memory = self.exact.follower_memory(len(theta), Streams([]))
        return self.exact.respond(theta, memory, Streams([]))

    def _return(self, theta: Floats, player: Player, normals: Floats) -> Floats:
        reward = self.follower_task.leader_reward(self.follower_task.play(theta, player, normals))
        return discounted(self.follower_task.return_discount, reward)

    def ground_truth(self, theta: Floats, response: AgentResponse) -> GroundTruth:
        """Hypergradient and J at the best response, exact; the agents' errors, estimated."""
        found = [
            evaluate(self.follower_task, own, float(temperature), agent, episodes=self.episodes)
            for own, temperature, agent in zip(
                theta, self.temperature, response.agents, strict=True
            )
        ]
        return replace(
            self.exact.ground_truth(theta, self._best(theta)),
            follower_kl=np.array([each.kl for each in found]),
            follower_value_gap=np.array([each.value_gap for each in found]),
        )

    def coordinates(self, theta: Floats) -> dict[str, Floats]:
        """As of the exact game."""
        return self.exact.coordinates(theta)

    def extremes(self, theta: Floats) -> dict[str, Floats]:
        """As of the exact game."""
        return self.exact.extremes(theta)


@dataclass(frozen=True, eq=False)
class SacSampler(Generic[Seen]):
    """Implements `sampled.Sampler` at the level "rewards".

    Attributes:
        follower_task: the problem.
        num_episodes: per batch and run.
    """

    follower_task: FollowerTask[Seen]
    num_episodes: int

    def observe(
        self, theta: Floats, response: AgentResponse, streams: Streams, *, at_random: bool
    ) -> Seen:
        """Whole episodes; the leader never ignores θ."""
        if at_random:
            raise NotImplementedError("random_updates must be 0 against SAC")
        follower_task = self.follower_task
        normals = streams.normals("rollout", (self.num_episodes, follower_task.numbers_per_episode))
        runs = zip(theta, response.agents, normals, strict=True)
        return follower_task.observations(theta, [follower_task.play(*own) for own in runs])
