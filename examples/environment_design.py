"""Grit on ice: a leader designs the grip of FrozenLake so that its follower passes a kiosk.

The follower plans on the ice as it is; the leader earns 1 whenever it enters the kiosk's cell.
"""

import gymnasium
import matplotlib.pyplot as plt
import numpy as np
import torch

from bilevelrl.trainer import Agents, BilevelTrainer

MAP, KIOSK, GAMMA, TEMPERATURE = "S    H H   HH  G", 6, 0.95, 0.02
PLACE = np.stack([np.arange(16) // 4, np.arange(16) % 4], axis=1)
AFTER = np.clip(PLACE[:, None] + [[0, -1], [1, 0], [0, 1], [-1, 0]], 0, 3) @ [4, 1]
AFTER = AFTER[:, (np.arange(4)[:, None] + [-1, 0, 1]) % 4]  # off to a side, as wanted, to the other


class Ice(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.grit = torch.nn.Parameter(torch.zeros(16))

    def chances(self):  # of a side, the wanted cell, the other side, in every cell
        grip = 0.4 + 0.6 * torch.sigmoid(self.grit)
        return torch.stack([(1 - grip) / 2, grip, (1 - grip) / 2], dim=1)

    def forward(self, cell, move, following):
        reached = torch.tensor(AFTER)[cell, move] == following[:, None]
        return (self.chances()[cell] * reached).sum(dim=1).log()


class Lake(gymnasium.Wrapper):
    def __init__(self, leader):
        super().__init__(gymnasium.make("FrozenLake-v1"))
        self.leader = leader

    def reset(self, **options):
        for cell, chance in enumerate(self.leader.chances().tolist()):
            for rows in filter(lambda rows: len(rows) == 3, self.unwrapped.P[cell].values()):
                rows[:] = [(p, *row[1:]) for p, row in zip(chance, rows, strict=True)]
        return self.env.reset(**options)

    def step(self, move):
        cell, reward, ended, cut, info = self.env.step(move)
        return cell, reward, ended, cut, {**info, "leader_reward": float(cell == KIOSK)}


class Planner:
    def __init__(self, leader):
        self.leader, self.rng = leader, np.random.default_rng(0)

    def learn(self, steps):
        chances, value = self.leader.chances().detach().numpy(), np.zeros(16)
        for _ in range(150):  # soft value iteration
            ahead = np.where([mark in "HG" for mark in MAP], np.eye(16)[15], GAMMA * value)
            quality = (chances[:, None] * ahead[AFTER]).sum(axis=2)
            value = TEMPERATURE * np.logaddexp.reduce(quality / TEMPERATURE, axis=1)
        self.policy = np.exp((quality - value[:, None]) / TEMPERATURE).cumsum(axis=1)

    def predict(self, cells):
        return (self.policy[cells, :3] < self.rng.random((len(cells), 1))).sum(axis=1)


leader = Ice()
trainer = BilevelTrainer(
    leader, [Lake(leader) for _ in range(16)], Planner(leader), channel="transitions",
    agents=Agents(GAMMA, GAMMA, TEMPERATURE), episodes_per_update=64, step_size=0.1,
).learn(50_000)  # fmt: skip

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
left.plot([row["leader_return_sampled"] for row in trainer.history])
left.set(xlabel="update", ylabel="the leader's return")
right.pcolormesh(leader.chances()[:, 1].detach().reshape(4, 4), cmap="Blues_r", vmin=0.4)
for (row, column), mark in zip(PLACE, MAP[:KIOSK] + "K" + MAP[KIOSK + 1 :], strict=True):
    right.text(column + 0.5, row + 0.5, mark, ha="center", va="center")
right.set(title="grip, from .4 (dark) to 1", xticks=[], yticks=[], aspect=1, ylim=(4, 0))
figure.savefig(__file__.replace(".py", ".png"), dpi=120)
