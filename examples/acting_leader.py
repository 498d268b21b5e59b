"""A leader that acts, against PPO of Stable-Baselines3: with and without the follower's reaction.

The leader earns whenever the follower goes from S to A, and fines some of its visits to A: too many
fines, and the follower learns to go elsewhere. PPO's entropy bonus counts the current step alone,
so that its coefficient is the follower's temperature only roughly; the estimate gets along with it.
"""

import matplotlib.pyplot as plt
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

from bilevelrl import Agents, aec_env
from bilevelrl.trainer import BilevelTrainer, FollowerView

GAME, TEMPERATURE = "bilevelrl/DiscreteToy-v0", 0.05
torch.set_num_threads(1)  # small networks are faster without helpers


class Leader(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.logits = torch.nn.Parameter(torch.zeros(3, 2))

    def forward(self, state):
        return torch.distributions.Categorical(logits=self.logits[state])


def train(estimator):
    """A trainer that has trained."""
    leader = Leader()
    follower = PPO(
        "MlpPolicy", DummyVecEnv([lambda: FollowerView(aec_env(GAME), leader)] * 6), gamma=0.9,
        ent_coef=TEMPERATURE, n_steps=100, batch_size=100, n_epochs=5, learning_rate=2e-3,
        gae_lambda=0.9, normalize_advantage=False, policy_kwargs={"net_arch": [32]}, seed=0,
        device="cpu",
    )  # fmt: skip
    trainer = BilevelTrainer(
        leader, [aec_env(GAME) for _ in range(8)], follower,
        channel="actions", agents=Agents(0.99, 0.9, TEMPERATURE), information="full",
        estimator=estimator, episodes_per_update=8, follower_steps=600, first_follower_steps=6000,
        step_size=0.05,
    )  # fmt: skip
    return trainer.learn(30_000)


trainers = {"BC-HG": train("bc_hg"), "Naive-PGD": train("naive")}
figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
for name, trainer in trainers.items():
    steps = [(row["env_steps"] + row["follower_steps"]) / 1000 for row in trainer.history]
    axes.plot(steps, [row["leader_return_sampled"] for row in trainer.history], label=name)
axes.set(xlabel="thousand transitions of both players", ylabel="the leader's return")
axes.legend()
figure.savefig(__file__.replace(".py", ".png"), dpi=120)
