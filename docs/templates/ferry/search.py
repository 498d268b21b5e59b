"""The best known J of the ferry."""

from bilevelrl.core.problem import Problem, RunTasks
from bilevelrl.core.search import Searched
from bilevelrl.models.finite_game.search import search_game
from bilevelrl.problems.ferry.cell import make_game
from bilevelrl.problems.ferry.settings import FerryBlock


def search(problem: Problem[FerryBlock], run_tasks: RunTasks) -> Searched:
    """Exact ascent from many starts."""
    del run_tasks
    block, game = problem.block, make_game(problem.block.constants)
    discount = 1.0 if block.reported_return == "undiscounted" else game.leader_discount
    return search_game(game, problem.followers, block.search, ("published", "corrected"), discount)
