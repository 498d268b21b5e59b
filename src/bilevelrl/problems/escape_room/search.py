"""The best known J of EscapeRoom, the price of the players' entropy, and how many equilibria."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bilevelrl.core.arrays import Floats
from bilevelrl.core.ascent import Adam, geometric_decay
from bilevelrl.core.exact import Hypergradient
from bilevelrl.core.games import AscentParams
from bilevelrl.core.problem import Problem, RunTasks
from bilevelrl.core.search import Searched, best_on_the_way, climbed
from bilevelrl.core.seeding import Streams
from bilevelrl.models.logit_equilibrium.game import PaidPlayers
from bilevelrl.models.logit_equilibrium.several import equilibria
from bilevelrl.problems.escape_room.cell import make_game, make_room
from bilevelrl.problems.escape_room.settings import EscapeRoomBlock

#: Random starts of the search for equilibria, besides the pure ones.
_STARTS = 100


@dataclass(frozen=True, eq=False)
class RoomLandscape:
    """Implements `core.search.Landscape`; `game` has as many runs as there are starts."""

    game: PaidPlayers

    def _answered(self, theta: Floats) -> Hypergradient:
        streams = Streams(range(len(theta)))
        memory = self.game.follower_memory(len(theta), streams)
        return self.game.hypergradient(theta, self.game.respond(theta, memory, streams))

    def climb(self, search: AscentParams) -> tuple[Floats, Floats, Floats]:
        """Adam along the exact hypergradient, whose length is kept: J has plateaus.

        The step size falls to a hundredth.
        """
        shape = (search.starts, self.game.payments.num_parameters)
        starts = search.spread * np.random.default_rng(search.seed).standard_normal(shape)
        decay = geometric_decay(1e-2, search.num_updates)
        rule = Adam(np.full(search.starts, search.step_size), decay=decay)
        return starts, *best_on_the_way(self._answered, starts, rule, search.num_updates)

    def initial_return(self, starts: Floats) -> float:
        """J while all pulls are paid alike, θ = 0, near which all runs start."""
        return float(self._answered(np.zeros_like(starts)).leader_return[0])


def search(problem: Problem[EscapeRoomBlock], run_tasks: RunTasks) -> Searched:
    """Exact ascent from many starts, and equilibria at θ = 0 and at the best known θ."""
    del run_tasks
    block = problem.block

    def landscape(temperature: float) -> RoomLandscape:
        beta, spread = np.full(block.search.starts, temperature), np.zeros(block.search.starts)
        return RoomLandscape(make_game(block.constants, problem.followers, beta, spread))

    first = landscape(problem.temperatures[0]).game
    model: dict[str, object] = {
        "transition": first.game.transition,
        "reward": first.game.reward,
        "initial": first.game.initial,
    }
    searched = climbed(model, block.search, landscape)
    best_total = make_room(block.constants).best_total
    for entry in searched.entries:
        best = entry["best_known"]
        assert isinstance(best, float)
        entry |= {"best_total": best_total, "price_of_entropy": best_total - best}
    searched.tables["equilibria"] = _equilibria(problem, searched, first)
    return searched


def _equilibria(
    problem: Problem[EscapeRoomBlock], searched: Searched, game: PaidPlayers
) -> pd.DataFrame:
    # Columns temperature, theta, equilibrium, leader_return, starts; the first of each is that on
    # the principal branch.
    rows: list[tuple[float, str, int, float, int]] = []
    for temperature in problem.temperatures:
        best = searched.best_theta[f"improved_{temperature}"]
        for name, theta in (("zero", np.zeros_like(best)), ("best_known", best)):
            rows += _counted(game, temperature, name, theta, problem.block.search.seed)
    columns = ["temperature", "theta", "equilibrium", "leader_return", "starts"]
    return pd.DataFrame(rows, columns=columns)


def _counted(
    game: PaidPlayers, temperature: float, name: str, theta: Floats, seed: int
) -> Sequence[tuple[float, str, int, float, int]]:
    own = game.game
    shape = own.num_players, own.num_states, own.num_actions
    found = equilibria(
        own, game.payments.table(theta[None], shape)[0], np.full(own.num_players, temperature),
        game.payments.cost, starts=_STARTS, seed=seed, tolerance=game.tolerance,
    )  # fmt: skip
    pairs = zip(found.leader_return, found.starts, strict=True)
    return [(temperature, name, k, float(j), int(n)) for k, (j, n) in enumerate(pairs)]
