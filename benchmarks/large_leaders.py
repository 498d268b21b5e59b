"""Leaders with more than 100,000 parameters, trained from samples: FourRooms and the cart-pole.

FourRooms: a convolutional network reads the map and spreads the penalties over it; the follower
plans exactly; J is exact. `python benchmarks/large_leaders.py` prints a row for every window of
updates: problem, estimator, seed, transitions so far, the sampled return and J.
"""

import argparse
import csv
import sys
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bilevelrl import Agents
from bilevelrl.models.tabular.exact import leader_return
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration
from bilevelrl.problems.four_rooms.problem import MAP, FourRooms
from bilevelrl.trainer import BilevelTrainer

TEMPERATURE = 0.003


class MapLeader(nn.Module):
    """One logit per free cell from the map around it, and one for the budget that is kept."""

    def __init__(self, problem: FourRooms, start: float) -> None:
        """Penalties that are spread evenly, `start` being the logit of the budget that is kept."""
        super().__init__()
        self.problem = problem
        planes = [[[float(mark == kind) for mark in line] for line in MAP] for kind in "x SG+"]
        rows = torch.linspace(-1.0, 1.0, len(MAP))
        places = torch.stack(torch.meshgrid(rows, rows, indexing="ij"))
        self.register_buffer("map", torch.cat([torch.tensor(planes), places])[None])
        self.net = nn.Sequential(
            nn.Conv2d(7, 64, 3, padding=1), nn.ReLU(),
            nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(),
            nn.Conv2d(128, 64, 3, padding=1), nn.ReLU(),
            nn.Conv2d(64, 1, 1),
        )  # fmt: skip
        self.kept = nn.Parameter(torch.tensor([start]))

    def theta(self) -> Tensor:
        """The problem's θ, shape (S + 1,)."""
        logits = self.net(self.map)[0, 0]
        cells = torch.tensor(self.problem.cells)
        free = logits[cells[:, 0], cells[:, 1]]
        return torch.cat([free - free.mean(), self.kept])

    def forward(self, cell: Tensor, move: Tensor, following: Tensor) -> tuple[Tensor, Tensor]:
        """What θ adds to the leader's and to the follower's reward."""
        del move, following
        paid = self.problem.incentive_scale * torch.softmax(self.theta(), dim=0)[:-1]
        others = torch.ones(len(paid))
        others[self.problem.goal] = 0.0
        at_goal = (cell == self.problem.goal).float()
        return -self.problem.incentive_cost * paid.sum() * at_goal, -(paid * others)[cell]


class Rooms(gymnasium.Wrapper[Any, Any, Any, Any]):
    """FourRooms with the θ that the leader has when an episode starts."""

    def __init__(self, leader: MapLeader) -> None:
        """In the environment of `bilevelrl`."""
        super().__init__(gymnasium.make("bilevelrl/FourRooms-v0"))
        self.leader = leader

    def reset(self, **options: Any) -> Any:
        """Read the leader."""
        theta = self.leader.theta().detach().double().numpy()[None]
        game: Any = self.unwrapped
        game._follower_reward = self.leader.problem.follower_reward(theta)[0]
        game._leader_reward = self.leader.problem.leader_reward(theta)[0]
        return self.env.reset(**options)


class Planner:
    """The follower: soft policy iteration against the penalties as they are."""

    def __init__(self, leader: MapLeader, seed: int) -> None:
        """Of one leader."""
        self.leader, self.rng = leader, np.random.default_rng(seed)
        model = leader.problem.planner
        self.solver = SoftPolicyIteration(model, np.array([TEMPERATURE]), 1e-9, 300)

    def learn(self, steps: int) -> None:
        """Plan."""
        del steps
        self.theta = self.leader.theta().detach().double().numpy()[None]
        reward = self.leader.problem.follower_reward(self.theta)
        self.response = self.solver.respond(reward, self.solver.start(1))

    def predict(self, cells: NDArray[Any]) -> NDArray[Any]:
        """Draw moves."""
        chances = self.response.policy[0][cells].cumsum(axis=1)[:, :-1]
        moves: NDArray[Any] = (chances < self.rng.random((len(cells), 1))).sum(axis=1)
        return moves

    def leader_return(self) -> float:
        """Exact J."""
        self.learn(1)
        return float(leader_return(self.leader.problem, self.theta, self.response.policy)[0])


def four_rooms(estimator: Any, seed: int, updates: int, **options: Any) -> list[list[Any]]:
    """Rows of a training."""
    torch.manual_seed(seed)
    leader = MapLeader(FourRooms(), 0.0)
    follower = Planner(leader, seed)
    follower.learn(1)
    trainer = BilevelTrainer(
        leader, [Rooms(leader) for _ in range(16)], follower, channel="rewards",
        agents=Agents(0.99, 0.99, TEMPERATURE), estimator=estimator, information="actions",
        episodes_per_update=16, max_gradient_norm=1.0, seed=seed, **options,
    )  # fmt: skip
    rows: list[list[Any]] = []

    def record(trainer: BilevelTrainer) -> bool:
        if trainer.num_updates % 10 == 0:
            newest = trainer.history[-1]
            row = [trainer.env_steps, newest["leader_return_sampled"], follower.leader_return()]
            rows.append(["four_rooms", estimator, seed, *row])
            print(rows[-1], file=sys.stderr, flush=True)
        return trainer.num_updates < updates

    trainer.learn(10**9, record)
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=300)
    parser.add_argument("--step-size", type=float, default=1e-3)
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["problem", "estimator", "seed", "env_steps", "sampled", "leader_return"])
    for estimator in ("bc_hg", "naive"):
        for seed in range(arguments.seeds):
            rows = four_rooms(estimator, seed, arguments.updates, step_size=arguments.step_size)
            table.writerows(rows)


if __name__ == "__main__":
    main()
