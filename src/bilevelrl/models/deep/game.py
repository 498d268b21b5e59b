"""A problem with continuous actions whose follower learns by Stable-Baselines3's SAC."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import GroundTruth
from bilevelrl.models.deep.agent import SacAgent, SacOptions
from bilevelrl.models.deep.players import Duel, Player, SacPlayer, Seen, discounted, evaluate
from bilevelrl.models.deep.view import FollowerView, ViewOptions

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SacResponse:
    """What the agents play; it holds until they learn again.

    Attributes:
        agents: one per run.
        accuracy: nothing is certified: NaN, shape (R,).
        steps: transitions that each agent learned this answer from.
    """

    agents: tuple[Player, ...]
    accuracy: Floats
    steps: int

    def act(self, state: Floats, normals: Floats) -> Floats:
        """Actions, shape (R, N, m), at s (R, N, n), from standard normals (R, N, m)."""
        played = zip(self.agents, state, normals, strict=True)
        return np.stack([agent.act(here, numbers)[0] for agent, here, numbers in played])


@dataclass(frozen=True, eq=False)
class LearningFollower:
    """One run's follower between two answers.

    Attributes:
        player: acts as its agent has learned to.
        views: the agent's environments.
    """

    player: SacPlayer
    views: Sequence[FollowerView]

    def learn(self, theta: Floats, steps: int) -> None:
        """Face the leader θ, shape (D,), for so many transitions."""
        for view in self.views:
            view.theta = theta
        self.player.agent.learn(steps)


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
        duel: the problem, as single followers play it.
        options: of the agents.
        view: how they see the problem.
        first_steps: transitions before the first answer.
        steps: transitions before each later one.
        episodes: of each evaluation, always from the same random numbers.
    """

    exact: ExactGame
    duel: Duel[Any]
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

    def start(self, streams: Streams) -> tuple[Floats, list[LearningFollower]]:
        """First θ, shape (R, D), and agents that know nothing."""
        theta, _ = self.exact.start(streams)
        return theta, self.follower_memory(theta, streams)

    def follower_memory(self, theta: Floats, streams: Streams) -> list[LearningFollower]:
        """Agents before their first answer, each with the seed of its run."""
        runs = zip(theta, self.temperature, streams.seeds, strict=True)
        return [self._follower(*own) for own in runs]

    def _follower(self, theta: Floats, temperature: float, seed: int) -> LearningFollower:
        views = list[FollowerView]()

        def make_view() -> FollowerView:
            views.append(self.duel.view(theta, self.view))
            return views[-1]

        agent = SacAgent(
            make_view,
            temperature=float(temperature),
            discount=self.duel.follower_discount,
            options=self.options,
            seed=seed,
        )
        return LearningFollower(SacPlayer(agent, self.duel.scale, self.view.action_bound), views)

    def respond(
        self, theta: Floats, memory: list[LearningFollower], streams: Streams
    ) -> SacResponse:
        """Let the agents learn against θ, shape (R, D), from where they are."""
        del streams
        first = memory[0].player.agent.steps == 0
        steps = self.first_steps if first else self.steps
        for own, follower in zip(theta, memory, strict=True):
            follower.learn(own, steps)
        players = tuple(follower.player for follower in memory)
        return SacResponse(players, np.full(len(theta), np.nan), steps)

    def leader_return(self, theta: Floats, response: SacResponse) -> Floats:
        """An estimate of J over an episode, shape (R,).

        J under the best response, which is exact, and the mean difference to it over `episodes`
        that both followers play from the same random numbers.
        """
        returns = self.exact.leader_return(theta, self._best(theta))
        shape = (self.episodes, self.duel.numbers_per_episode)
        normals = np.random.default_rng(0).standard_normal(shape)
        for run, agent in enumerate(response.agents):
            best, _ = self.duel.best(theta[run], float(self.temperature[run]))
            own, other = (self._return(theta[run], player, normals) for player in (agent, best))
            returns[run] += (own - other).mean()
        return returns

    def _best(self, theta: Floats) -> Any:
        memory = self.exact.follower_memory(len(theta), Streams([]))
        return self.exact.respond(theta, memory, Streams([]))

    def _return(self, theta: Floats, player: Player, normals: Floats) -> Floats:
        reward = self.duel.leader_reward(self.duel.play(theta, player, normals))
        return discounted(self.duel.return_discount, reward)

    def ground_truth(self, theta: Floats, response: SacResponse) -> GroundTruth:
        """Hypergradient and J at the best response, exact; the agents' errors, estimated."""
        found = [
            evaluate(self.duel, own, float(temperature), agent, episodes=self.episodes)
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
class SacWorld(Generic[Seen]):
    """Implements `sampled.World` at the level "rewards".

    Attributes:
        duel: the problem.
        num_episodes: per batch and run.
    """

    duel: Duel[Seen]
    num_episodes: int

    def observe(
        self, theta: Floats, response: SacResponse, streams: Streams, *, at_random: bool
    ) -> Seen:
        """Whole episodes; the leader never ignores θ."""
        if at_random:
            raise NotImplementedError("random_updates must be 0 against SAC")
        duel = self.duel
        normals = streams.normals("rollout", (self.num_episodes, duel.numbers_per_episode))
        runs = zip(theta, response.agents, normals, strict=True)
        return duel.observations(theta, [duel.play(*own) for own in runs])
