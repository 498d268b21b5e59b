"""A network fines cells of a grid until its follower lingers where the leader wants it.

The follower heads for the goal in a corner by the softly best policy; the leader earns 1 in every
step that it spends in the middle, pays for its fines, and learns from episodes alone.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

from bilevelrl import Agents, Episodes, choice_advantages, reward_coefficients, surrogate

SIDE, START, GOAL, MIDDLE, STEPS, EPISODES = 5, 0, 4, 12, 30, 64
AGENTS = Agents(leader_discount=0.95, follower_discount=0.95, temperature=0.1)
PLACE = np.stack([np.arange(SIDE**2) % SIDE, np.arange(SIDE**2) // SIDE], axis=1)
MOVES = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
NEXT = np.clip(PLACE[:, None] + MOVES, 0, SIDE - 1) @ [1, SIDE]  # of every cell and move
rng = np.random.default_rng(0)
torch.manual_seed(0)

leader = torch.nn.Sequential(torch.nn.Linear(2, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1))
optimizer = torch.optim.Adam(leader.parameters(), lr=0.01, maximize=True)
critic, curve, seen = np.zeros((SIDE**2, 4)), [], []
for _ in range(300):
    fines = 0.2 * torch.sigmoid(leader(torch.tensor(PLACE / 2 - 1).float())[:, 0])
    cost = 0.1 * fines
    value = np.zeros(SIDE**2)  # the follower: soft value iteration
    for _ in range(200):
        quality = np.where(NEXT == GOAL, 1.0, 0.95 * value[NEXT]) - fines.detach().numpy()[:, None]
        value = 0.1 * np.log(np.exp(quality / 0.1).sum(axis=1))
    policy = np.exp((quality - value[:, None]) / 0.1)
    here, rows = np.full(EPISODES, START), []  # episodes, padded behind the goal
    for _ in range(STEPS):
        move = (policy[here].cumsum(axis=1) < rng.random((EPISODES, 1))).sum(axis=1).clip(0, 3)
        rows.append((here, move, here != GOAL, (here != GOAL) & (NEXT[here, move] == GOAL)))
        here = np.where(here == GOAL, GOAL, NEXT[here, move])
    state, action, alive, reached = (np.stack(part, axis=1) for part in zip(*rows, strict=True))
    earned = (state == MIDDLE) - cost.detach().numpy()[state]
    number = np.zeros_like(critic)
    np.add.at(number, (state, action), alive)
    for _ in range(20):  # the leader's critic: expected Sarsa
        ahead = (policy * critic).sum(axis=1)[NEXT[state, action]] * ~reached
        error = (earned + 0.95 * ahead - critic[state, action]) * alive
        np.add.at(critic, (state, action), error / np.maximum(number, 1)[state, action])
    advantage = choice_advantages(critic[state], policy[state], action)
    coefficients = reward_coefficients(
        Episodes.read(torch.tensor(reached), mask=torch.tensor(alive)),
        AGENTS,
        follower_side_advantage=torch.tensor(advantage).float(),
    )
    optimizer.zero_grad()
    surrogate(coefficients, direct=-cost[state], indirect=-fines[state]).backward()
    optimizer.step()
    seen.append(alive.sum())
    curve.append((earned * alive * 0.95 ** np.arange(STEPS)).sum(axis=1).mean())

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
left.plot(np.cumsum(seen) / 1000, curve)
left.set(xlabel="thousand transitions", ylabel="the leader's return")
image = right.pcolormesh(fines.detach().numpy().reshape(SIDE, SIDE), cmap="Reds", vmin=0)
for cell, name, colour in ((START, "start", "w"), (GOAL, "goal", "w"), (MIDDLE, "wanted", "k")):
    right.text(*PLACE[cell] + 0.5, name, ha="center", va="center", color=colour)
right.set(xticks=[], yticks=[], aspect=1)
figure.colorbar(image, label="fine per step")
figure.savefig(__file__.replace(".py", ".png"), dpi=120)
