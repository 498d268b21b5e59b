"""The best known J of a finite game: exact ascent of a table of logits from many starts."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.blocks import FollowerParams
from bilevelrl.core.exact import Hypergradient
from bilevelrl.core.finite_settings import SoftQParams
from bilevelrl.core.games import AscentParams
from bilevelrl.core.search import Searched, climb, climbed
from bilevelrl.core.seeding import Streams
from bilevelrl.models.finite_game.game import FiniteGame
from bilevelrl.models.finite_game.markov_game import MarkovGame
from bilevelrl.models.finite_game.policies import TabularPolicy
from bilevelrl.models.finite_game.soft_q_iteration import SoftQIteration


@dataclass(frozen=True, eq=False)
class GameLandscape:
    """J of a finite game with its exact follower; implements `core.search.Landscape`."""

    game: MarkovGame
    followers: FollowerParams[SoftQParams]
    temperature: float
    discount: float

    def _solved(self, number: int) -> FiniteGame:
        solver, temperature = self.followers, np.full(number, self.temperature)
        exact = SoftQIteration(self.game, temperature, solver.tolerance, solver.max_iterations)
        policy = TabularPolicy(self.game.num_states, self.game.num_leader_actions)
        return FiniteGame(self.game, policy, exact, exact, self.discount)

    def climb(self, search: AscentParams) -> tuple[Floats, Floats, Floats]:
        """Exact ascent, see `core.search.climb`; J is that of the leader's own discount."""
        solved = self._solved(search.starts)
        memory = solved.follower_memory(search.starts, Streams([]))

        def hypergradient(theta: Floats) -> Hypergradient:
            return solved.hypergradient(theta, solved.respond(theta, memory, Streams([])))

        starts, best, _ = climb(hypergradient, solved.policy.num_parameters, search)
        return starts, best, self._returns(best)

    def initial_return(self, starts: Floats) -> float:
        """Reported J of a leader whose actions are all as likely, near which networks start."""
        return float(self._returns(np.zeros_like(starts[:1]))[0])

    def _returns(self, theta: Floats) -> Floats:
        solved = self._solved(len(theta))
        memory = solved.follower_memory(len(theta), Streams([]))
        return solved.leader_return(theta, solved.respond(theta, memory, Streams([])))


def search_game(
    game: MarkovGame,
    followers: FollowerParams[SoftQParams],
    search: AscentParams,
    variants: Sequence[str],
    discount: float,
) -> Searched:
    """The best known J at every temperature, the same for all `variants` of estimators.

    `followers` is the accuracy of best responses, `discount` that of the J that is reported.
    """
    return climbed(
        asdict(game), search, lambda beta: GameLandscape(game, followers, beta, discount), variants
    )
