"""Leaders with more than 100,000 parameters, trained from samples alone.

FourRooms: a network reads a one for the cell and gives its logit; penalties are the softmax over
all cells, as of the tabular leader, so that the chain rule carries the sampled hypergradient of the
table on to the network. Guided cart-pole: the pipeline's own leader, with two wide hidden layers.

Follower, critic, belief and transitions per update are those of params.yaml; step sizes were tried
by hand on other seeds, two in FourRooms, one in the cart-pole. `python benchmarks/large_leaders.py`
prints the table of benchmarks/results/large_leaders.csv, in a quarter of an hour on one core.
"""

import argparse
import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from bilevelrl.core.ascent import Adam
from bilevelrl.core.cell import AnyContext, Context, Training
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import ascend
from bilevelrl.runs.chunks import cell_of, maker
from bilevelrl.runs.params import read_params

PARAMS = read_params(Path(__file__).parents[1] / "params.yaml")
SEEDS = (10, 11, 12)
#: Problem, estimator, cell of params.yaml.
RUNS = (
    ("four_rooms", "bc_hg", "corrected_1000"),
    ("guided_cartpole", "bc_hg", "improved"),
    ("guided_cartpole", "naive", "improved"),
)
UPDATES = {"four_rooms": 3000, "guided_cartpole": 30}
STEP_SIZE = {"four_rooms": 3e-4, "guided_cartpole": 1e-3}
UNITS = {"four_rooms": 300, "guided_cartpole": 320}


class Penalties(nn.Module):
    """θ of FourRooms: a logit for every cell, of mean zero, and one for what the leader keeps."""

    def __init__(self, num_cells: int, units: int, seed: int) -> None:
        """Random weights, zeros in the last layer."""
        super().__init__()
        torch.manual_seed(seed)
        layers = nn.Linear(num_cells, units), nn.Linear(units, units), nn.Linear(units, 1)
        nn.init.normal_(layers[0].weight)
        nn.init.zeros_(layers[2].weight)
        self.layers = nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])
        self.kept = nn.Parameter(torch.zeros(1))
        self.cells = torch.eye(num_cells)

    def forward(self) -> torch.Tensor:
        """θ, shape (cells + 1,)."""
        logits = self.layers(self.cells)[:, 0]
        return torch.cat([logits - logits.mean(), self.kept])


def built(problem: str, estimator: str, cell: str) -> Training[Any]:
    """Game and estimator, as the pipeline builds them, for one run."""
    block = PARAMS.block(problem)
    setting = block.expanded(estimator, block.cells[estimator][cell], cell)[0]
    if problem == "guided_cartpole":
        units = (UNITS[problem],) * 2
        setting = setting.model_copy(update={"units": units})
    followers = PARAMS.followers.model_copy(update={"learner": block.learner})
    context: AnyContext = Context(block.constants, followers, block.training)
    return cell_of(block.kind).build(maker(block.kind, estimator, setting), [setting], context)


def four_rooms(training: Training[Any], seed: int) -> Iterator[tuple[int, float, int]]:
    """D, J and transitions of every update of a network that is trained by PyTorch's Adam."""
    game, estimator, streams = training.game, training.estimator, Streams([seed])
    theta, follower = game.start(streams)
    memory = estimator.start(streams)
    leader = Penalties(theta.shape[1] - 1, UNITS["four_rooms"], seed)
    optimiser = torch.optim.Adam(leader.parameters(), STEP_SIZE["four_rooms"], maximize=True)
    size = sum(each.numel() for each in leader.parameters())
    for _ in range(UPDATES["four_rooms"]):
        output = leader()
        theta = output.detach().double().numpy()[None]
        response = game.respond(theta, follower, streams)
        estimate = estimator.estimate(theta, response, memory, streams)
        optimiser.zero_grad()
        output.backward(torch.as_tensor(estimate.gradient[0], dtype=output.dtype))
        optimiser.step()
        yield size, float(game.leader_return(theta, response)[0]), estimate.env_steps


def guided_cartpole(training: Training[Any], seed: int) -> Iterator[tuple[int, float, int]]:
    """D, J and transitions of every update of the pipeline's loop."""
    rule = Adam(np.array([STEP_SIZE["guided_cartpole"]]), 100.0)
    number = UPDATES["guided_cartpole"]
    for step in ascend(
        training.game, training.estimator, Streams([seed]), rule=rule, num_updates=number
    ):
        leader_return = float(training.game.leader_return(step.theta, step.response)[0])
        yield step.theta.shape[1], leader_return, step.estimate.env_steps


def main() -> None:
    """Print the table, a row per seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("problems", nargs="*", default=[*UPDATES], help="all of them if none")
    problems = parser.parse_args().problems
    torch.set_num_threads(1)
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["problem", "estimator", "parameters", "seed", "transitions", "updates",
                    "first_return", "final_return"])  # fmt: skip
    train = {"four_rooms": four_rooms, "guided_cartpole": guided_cartpole}
    for problem, estimator, cell in (run for run in RUNS if run[0] in problems):
        for seed in SEEDS:
            rows = list(train[problem](built(problem, estimator, cell), seed))
            sizes, returns, steps = (np.array(column) for column in zip(*rows, strict=True))
            final = returns[-len(returns) // 10 :].mean()
            table.writerow([problem, estimator, sizes[0], seed, steps.sum(), len(rows),
                            f"{returns[0]:.3f}", f"{final:.3f}"])  # fmt: skip
            sys.stdout.flush()


if __name__ == "__main__":
    main()
