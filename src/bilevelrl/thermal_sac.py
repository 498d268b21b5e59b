"""Building thermal control with a follower that learns by Stable-Baselines3's SAC."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bilevelrl.followers.sac_thermal import (
    Player,
    RegulatorPlayer,
    SacPlayer,
    discounted,
    evaluate,
    numbers_per_episode,
    play,
)
from bilevelrl.followers.soft_actor_critic import SacAgent, SacOptions
from bilevelrl.problems.follower_view import ThermalFollowerView, ViewOptions
from bilevelrl.problems.thermal_control import ThermalControl
from bilevelrl.problems.thermal_rollout import ThermalBatch
from bilevelrl.seeding import Streams
from bilevelrl.thermal_game import ThermalGame
from bilevelrl.training import GroundTruth

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
    views: list[ThermalFollowerView]

    def learn(self, theta: Floats, steps: int) -> None:
        """Face the leader θ, shape (D,), for so many transitions."""
        for view in self.views:
            view.theta = theta
        self.player.agent.learn(steps)


@dataclass(frozen=True, eq=False)
class ThermalSacGame:
    """Implements `training.Game`.

    Attributes:
        exact: the same game with the exact best response: the ground truth.
        options: of the agents.
        view: how they see the problem.
        first_steps: transitions before the first answer.
        steps: transitions before each later one.
        episodes: of each evaluation, always from the same random numbers.
    """

    exact: ThermalGame
    options: SacOptions
    view: ViewOptions
    first_steps: int
    steps: int
    episodes: int = 500

    @property
    def problem(self) -> ThermalControl:
        """The bi-level problem."""
        return self.exact.problem

    def start(self, streams: Streams) -> tuple[Floats, list[LearningFollower]]:
        """First θ, shape (R, D), and agents that know nothing."""
        theta, _ = self.exact.start(streams)
        return theta, self.follower_memory(theta, streams)

    def follower_memory(self, theta: Floats, streams: Streams) -> list[LearningFollower]:
        """Agents before their first answer, each with the seed of its run."""
        temperature = self.exact.follower.temperature
        return [self._follower(*own) for own in zip(theta, temperature, streams.seeds, strict=True)]

    def _follower(self, theta: Floats, temperature: float, seed: int) -> LearningFollower:
        views: list[ThermalFollowerView] = []

        def make_view() -> ThermalFollowerView:
            views.append(ThermalFollowerView(self.problem, theta, self.view))
            return views[-1]

        agent = SacAgent(
            make_view,
            temperature=float(temperature),
            discount=self.problem.discount,
            options=self.options,
            seed=seed,
        )
        return LearningFollower(SacPlayer(agent, self.problem, self.view), views)

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
        best = self.exact.respond(theta, np.empty((len(theta), 0)), Streams([]))
        returns = self.exact.leader_return(theta, best)
        normals = self._normals()
        for run, agent in enumerate(response.agents):
            own, other = (
                self._operating_return(theta[run], player, normals)
                for player in (agent, RegulatorPlayer.of_run(best, run))
            )
            returns[run] += (own - other).mean()
        return returns

    def _operating_return(self, theta: Floats, player: Player, normals: Floats) -> Floats:
        episodes = play(self.problem, theta, player, normals)
        reward = self.problem.operating_reward(episodes.state, episodes.action)
        return discounted(self.problem, reward)

    def _normals(self) -> Floats:
        shape = (self.episodes, numbers_per_episode(self.problem))
        return np.random.default_rng(0).standard_normal(shape)

    def ground_truth(self, theta: Floats, response: SacResponse) -> GroundTruth:
        """Hypergradient and J at the best response, exact; the agents' errors, estimated."""
        best = self.exact.respond(theta, np.empty((len(theta), 0)), Streams([]))
        truth = self.exact.hypergradient(theta, best)
        found = [
            evaluate(self.problem, own, float(temperature), agent, episodes=self.episodes)
            for own, temperature, agent in zip(
                theta, self.exact.follower.temperature, response.agents, strict=True
            )
        ]
        return GroundTruth(
            truth.total,
            truth.leader_return,
            np.array([each.kl for each in found]),
            np.array([each.value_gap for each in found]),
        )

    def coordinates(self, theta: Floats) -> dict[str, Floats]:
        """As of the exact game."""
        return self.exact.coordinates(theta)


@dataclass(frozen=True, eq=False)
class SacThermalWorld:
    """Implements `sampled.World` at the level "rewards": the building's noise is not seen.

    Attributes:
        problem: the bi-level problem.
        num_episodes: per batch and run.
    """

    problem: ThermalControl
    num_episodes: int

    def observe(
        self, theta: Floats, response: SacResponse, streams: Streams, *, at_random: bool
    ) -> ThermalBatch:
        """Whole episodes; the leader has no actions besides its design."""
        del at_random
        problem = self.problem
        normals = streams.normals("rollout", (self.num_episodes, numbers_per_episode(problem)))
        played = [play(problem, *own) for own in zip(theta, response.agents, normals, strict=True)]

        def rows(name: str) -> Any:
            # Episodes one after the other, though they were played side by side.
            columns = [getattr(each, name).swapaxes(0, 1) for each in played]
            return np.stack([each.reshape(-1, each.shape[2]) for each in columns])

        state, action = rows("state"), rows("action")
        reward = problem.operating_reward(state, action)
        reward -= problem.configuration_cost(theta)[:, None]
        paid = problem.follower_reward(state, action)
        none = np.empty((*reward.shape, 0))
        return ThermalBatch(state, none, action, rows("next_state"), reward, paid)
