"""Players at an equilibrium and a leader that pays them, ready for the training loop."""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.exact import Hypergradient
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import GroundTruth
from bilevelrl.models.logit_equilibrium.equilibrium import (
    Equilibrium,
    equilibrium,
    spectral_radius,
)
from bilevelrl.models.logit_equilibrium.hypergradient import Reaction, evaluate, hypergradient
from bilevelrl.models.logit_equilibrium.payments import Payments
from bilevelrl.models.logit_equilibrium.stochastic_game import StochasticGame


@dataclass(frozen=True, eq=False)
class Answer:
    """How all players answer.

    Attributes:
        reached: their equilibrium.
        steps: 0, for nobody has to learn.
    """

    reached: Equilibrium
    steps: int = 0

    @property
    def accuracy(self) -> Floats:
        """Largest |Q_i - E[u_i]| at any step and state, shape (R,)."""
        return self.reached.residual


@dataclass(frozen=True, eq=False)
class PaidPlayers:
    """Implements `core.training.Game`; equilibria are those of the principal branch.

    Attributes:
        game: what is played.
        payments: what θ means.
        temperature: β of all players, shape (R,).
        initial_spread: standard deviation of θ at the start, shape (R,). Players who are paid alike
            stay alike under exact gradients, and so it should not be 0.
        tolerance: of `Answer.accuracy`.
    """

    game: StochasticGame
    payments: Payments
    temperature: Floats
    initial_spread: Floats
    tolerance: float = 1e-12

    @property
    def temperatures(self) -> Floats:
        """β by player, shape (R, N)."""
        return np.repeat(self.temperature[:, None], self.game.num_players, axis=1)

    def start(self, streams: Streams) -> tuple[Floats, Floats]:
        """First θ, shape (R, D), and the players' memory, which is empty."""
        drawn = streams.normals("initial_parameters", (self.payments.num_parameters,))
        return self.initial_spread[:, None] * drawn, self.follower_memory(len(drawn), streams)

    def follower_memory(self, num_runs: int, streams: Streams) -> Floats:
        """Nothing is remembered."""
        del streams
        return np.zeros((num_runs, 0))

    def respond(self, theta: Floats, memory: Floats, streams: Streams) -> Answer:
        """The equilibrium under θ.

        Raises:
            NotConverged: see `equilibrium`.
        """
        del memory, streams
        return Answer(self._reached(theta))

    def _reached(self, theta: Floats) -> Equilibrium:
        shape = self.game.num_players, self.game.num_states, self.game.num_actions
        paid = self.payments.table(theta, shape)
        return equilibrium(self.game, paid, self.temperatures, tolerance=self.tolerance)

    def leader_return(self, theta: Floats, response: Answer) -> Floats:
        """J(θ), shape (R,)."""
        del theta
        return evaluate(response.reached, self.payments.cost).leader_return

    def optimal_return(self, theta: Floats) -> Floats:
        """J(θ), shape (R,)."""
        return self.leader_return(theta, Answer(self._reached(theta)))

    def objective(self, theta: Floats, response: Answer) -> Floats:
        """The J that the leader climbs: the one that is reported."""
        return self.leader_return(theta, response)

    def hypergradient(self, theta: Floats, response: Answer) -> Hypergradient:
        """dJ/dθ, shape (R, D)."""
        return self.with_reaction(theta, response, "coupled")

    def with_reaction(self, theta: Floats, response: Answer, reaction: Reaction) -> Hypergradient:
        """The same, or what it would be if no player reacted to another."""
        return hypergradient(response.reached, self.payments, theta, reaction)

    def ground_truth(self, theta: Floats, response: Answer) -> GroundTruth:
        """Of the answer itself, which is the best one up to its accuracy."""
        truth = self.hypergradient(theta, response)
        nothing = np.zeros(len(theta))
        return GroundTruth(truth.total, truth.leader_return, nothing, nothing)

    def coordinates(self, theta: Floats, response: Answer) -> dict[str, Floats]:
        """What is paid in an episode, how long it lasts, and what the coupling does.

        `payment` and `steps` are means, `coupling_radius` is spectral; without coupling
        the hypergradient has a cosine with the exact one and a share of its length.
        """
        reached = response.reached
        found = evaluate(reached, self.payments.cost)
        weight = found.occupancy.transpose(0, 2, 1)  # (R, S, H)
        paid = np.einsum("rnsa,rhsna->rsh", reached.payments, reached.policy)
        exact = self.hypergradient(theta, response).total
        other = self.with_reaction(theta, response, "uncoupled").total
        norms = [np.sqrt(np.square(each).sum(axis=1)) for each in (exact, other)]
        tiny = np.finfo(np.float64).tiny
        return {
            "payment": (weight * paid).sum(axis=(1, 2)),
            "steps": found.occupancy.sum(axis=(1, 2)),
            "coupling_radius": spectral_radius(reached),
            "uncoupled_cosine": (exact * other).sum(axis=1) / np.maximum(norms[0] * norms[1], tiny),
            "uncoupled_length": norms[1] / np.maximum(norms[0], tiny),
        }

    def extremes(self, theta: Floats, response: Answer) -> dict[str, Floats]:
        """Nothing."""
        del theta, response
        return {}
