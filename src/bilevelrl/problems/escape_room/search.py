"""The best known J of EscapeRoom, the price of the players' entropy, and how many equilibria."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bilevelrl.core.arrays import Floats
from bilevelrl.core.ascent import Adam, geometric_decay
from bilevelrl.core.exact import Hypergradient
from bilevelrl.core.games import AscentParams
from bilevelrl.core.problem import Problem, RunTasks
from bilevelrl.core.search import Searched, best_on_the_way
from bilevelrl.core.seeding import Streams
from bilevelrl.models.logit_equilibrium.game import PaidPlayers
from bilevelrl.models.logit_equilibrium.several import equilibria
from bilevelrl.models.logit_equilibrium.stochastic_game import StochasticGame
from bilevelrl.problems.escape_room.cell import make_game, make_room
from bilevelrl.problems.escape_room.settings import EscapeRoomBlock, RoomSearchParams, case_of

#: Columns of the table `equilibria`; the first one of each θ is that on the principal branch.
EQUILIBRIA_TABLE = ("temperature", "case", "theta", "equilibrium", "leader_return", "starts")
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
        """J while all pulls are paid alike, θ = 0, of which the first θ of runs are perturbations.

        It is that of the principal branch, which may be another branch at such a θ.
        """
        return float(self._answered(np.zeros_like(starts)).leader_return[0])


def search(problem: Problem[EscapeRoomBlock], run_tasks: RunTasks) -> Searched:
    """Exact ascent from many starts in every room, and equilibria at θ = 0 and the best known θ."""
    del run_tasks
    block, counted = problem.block, list[tuple[float, str, str, int, float, int]]()
    searched = Searched({})
    for place, room in enumerate(block.search.rooms.values()):
        rules, own = make_room(block.constants, room), block.search.ascent(room)
        searched.model |= _arrays(rules.game(block.constants.discount), room, place)
        for temperature in problem.temperatures:
            landscape = _landscape(problem, room, temperature)
            starts, best, highest = landscape.climb(own)
            initial = landscape.initial_return(starts)
            top = int(np.argmax(highest))
            facts: dict[str, float] = {}
            for name, theta in (("zero", np.zeros_like(best[top])), ("best_known", best[top])):
                found = _counted(landscape.game, temperature, name, theta, own.seed)
                counted += [(temperature, case_of(room), *row) for row in found]
                facts |= _told(name, [each[2] for each in found])
            for variant in ("published", "corrected", "improved"):
                searched.add(
                    variant, temperature, initial_return=initial,
                    best_known=float(highest[top]), best_known_start=f"random {top}",
                    num_starts=own.starts, case=case_of(room), best_total=rules.best_total,
                    price_of_entropy=rules.best_total - float(highest[top]), **facts,
                )  # fmt: skip
                searched.best_theta[_stored(f"{variant}_{temperature}", room, place)] = best[top]
                if place == 0:
                    searched.starts += [
                        (variant, temperature, f"spread {own.spread:g}", f"{start}", float(value))
                        for start, value in enumerate(highest)
                    ]
    searched.tables["equilibria"] = pd.DataFrame(counted, columns=list(EQUILIBRIA_TABLE))
    return searched


def _told(name: str, returns: list[float]) -> dict[str, float]:
    """Of the equilibria at a θ: how many, and J on the principal branch, lowest and highest."""
    return {
        f"equilibria_at_{name}": len(returns),
        f"principal_return_at_{name}": returns[0],
        f"lowest_return_at_{name}": min(returns),
        f"highest_return_at_{name}": max(returns),
    }


def _landscape(
    problem: Problem[EscapeRoomBlock], room: RoomSearchParams, temperature: float
) -> RoomLandscape:
    beta, spread = np.full(room.starts, temperature), np.zeros(room.starts)
    return RoomLandscape(make_game(problem.block.constants, room, problem.followers, beta, spread))


def _arrays(game: StochasticGame, room: RoomSearchParams, place: int) -> dict[str, object]:
    names = ("transition", "reward", "initial")
    return {_stored(name, room, place): getattr(game, name) for name in names}


def _stored(name: str, room: RoomSearchParams, place: int) -> str:
    # The first room has the names that all problems use.
    return name if place == 0 else f"{name}_{room.players}_{room.levers_needed}"


def _counted(
    game: PaidPlayers, temperature: float, name: str, theta: Floats, seed: int
) -> list[tuple[str, int, float, int]]:
    own = game.game
    shape = own.num_players, own.num_states, own.num_actions
    found = equilibria(
        own, game.payments.table(theta[None], shape)[0], np.full(own.num_players, temperature),
        game.payments.cost, starts=_STARTS, seed=seed, tolerance=game.tolerance,
    )  # fmt: skip
    pairs = zip(found.leader_return, found.starts, strict=True)
    return [(name, k, float(j), int(n)) for k, (j, n) in enumerate(pairs)]
