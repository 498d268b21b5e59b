"""BC-HG and Naive-PGD for a leader in PyTorch, from episodes that it plays with its follower."""

import warnings
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import torch

from bilevelrl.core.arrays import AnyArray, Floats
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.seeding import Streams
from bilevelrl.hypergradients.advantages import generalized_advantages
from bilevelrl.hypergradients.coefficients import (
    Agents,
    Channel,
    Coefficients,
    NotCentredWarning,
    off_centre,
    weigh,
)
from bilevelrl.hypergradients.episodes import Episodes
from bilevelrl.hypergradients.surrogate import surrogate
from bilevelrl.trainer.critics import Critic
from bilevelrl.trainer.parameters import gradient
from bilevelrl.trainer.policies import FollowerPolicy
from bilevelrl.trainer.simulation import Batch, Follower, Simulator

EstimatorName = Literal["bc_hg", "naive"]


class Acts(Protocol):
    """What θ acts through, at every valid transition of a batch, with gradients."""

    def __call__(self, batch: Batch) -> tuple[torch.Tensor | None, torch.Tensor]:
        """φ of the direct term, or None if θ is not in it, and φ of the indirect term: (n,)."""
        ...


@dataclass(frozen=True, eq=False)
class Answer:
    """The follower after it learned.

    Attributes:
        follower: itself.
        steps: transitions that it learned from.
        accuracy: NaN, nothing certifies it, shape (1,).
    """

    follower: Follower
    steps: int
    accuracy: Floats


@dataclass(frozen=True, eq=False)
class LeaderEstimator:
    """Implements `core.estimator.Estimator` for one run; what it learns lives in its parts.

    Attributes:
        simulator: where the episodes come from.
        acts: what θ acts through.
        channel: which kind of φ that is.
        agents: discounts and temperature.
        module: the leader.
        num_episodes: per batch.
        decay: λ of advantages that are sampled.
        leader_critic: of the leader's rewards.
        follower_critic: of the follower's, with its bonus for entropy; None where none is needed.
        policy: of the follower; None leaves the indirect term out (Naive-PGD).
        rng: of environments' first seeds.
        notices: that A_L is not centred, given once: a belief that lags would say it every time.
    """

    simulator: Simulator
    acts: Acts
    channel: Channel
    agents: Agents
    module: torch.nn.Module
    num_episodes: int
    decay: float
    leader_critic: Critic
    follower_critic: Critic | None
    policy: FollowerPolicy | None
    rng: np.random.Generator
    notices: list[str] = field(default_factory=list)

    def start(self, streams: Streams) -> Memory:
        """Nothing beside the parts."""
        del streams
        return {}

    def estimate(
        self, theta: Floats, response: Answer, memory: Memory, streams: Streams
    ) -> Estimate:
        """Play, estimate dJ/dθ, shape (1, D), and let critics and belief learn from the batch.

        A first batch has no critic yet, so that its indirect part is zero.

        Raises:
            FloatingPointError: an estimate is not finite.
        """
        del theta, memory, streams
        batch = self.simulator.play(response.follower, self.num_episodes, self.rng)
        episodes = Episodes.read(batch.terminated, batch.truncated, mask=batch.mask)
        coefficients = self._coefficients(batch, episodes)
        self._learn(batch)
        direct_phi, indirect_phi = self.acts(batch)
        gradients = {}
        if direct_phi is not None:
            scalar = surrogate(coefficients, direct=_scattered(batch, direct_phi))
            gradients["direct"] = gradient(self.module, scalar)
        if self.policy is not None:
            scalar = surrogate(coefficients, indirect=_scattered(batch, indirect_phi))
            gradients["indirect"] = gradient(self.module, scalar)
        for name, values in gradients.items():
            if not np.isfinite(values).all():
                raise FloatingPointError(
                    f"the {name} part of the hypergradient is not finite; the leader stays as it is"
                )
        none = np.zeros((1, sum(p.numel() for p in self.module.parameters() if p.requires_grad)))
        discounts = self.agents.leader_discount ** episodes.step.astype(np.float64)
        total = float((discounts * batch.leader_reward * batch.mask).sum())
        return Estimate(
            gradients.get("direct", none),
            gradients.get("indirect", none),
            np.array([total / self.num_episodes]),
            env_steps=batch.num_transitions,
        )

    def _coefficients(self, batch: Batch, episodes: Episodes) -> Coefficients[torch.Tensor]:
        like = next(p for p in self.module.parameters() if p.requires_grad)
        side = np.zeros(batch.mask.shape)
        follower = np.zeros_like(side)
        if self.policy is not None:
            side, follower = self._follower_side(self.policy, batch, episodes)
        advantage = like.new_tensor(side, dtype=torch.float32)
        factors: dict[str, AnyArray] = {}
        if self.channel != "rewards":
            factors["leader_advantage"] = _advantage(
                self.leader_critic, batch, episodes, batch.leader_reward, self.decay, self.channel
            )
            factors["follower_advantage"] = follower
        if not self.notices and (message := off_centre(episodes, advantage)):
            self.notices.append(message)
            warnings.warn(message, NotCentredWarning, stacklevel=2)
        return weigh(episodes, self.agents, advantage, factors, self.channel)

    def _follower_side(
        self, policy: FollowerPolicy, batch: Batch, episodes: Episodes
    ) -> tuple[Floats, Floats]:
        seen, critic = batch.valid("follower_observation"), self.leader_critic
        side = critic.gains(batch) - critic.mean_gains(batch, *policy.answers(seen))
        if self.follower_critic is None:
            return batch.scatter(side), np.zeros(batch.mask.shape)
        soft = batch.scatter(self._soft_reward(policy, batch))
        follower = _advantage(self.follower_critic, batch, episodes, soft, self.decay, self.channel)
        return batch.scatter(side), follower

    def _soft_reward(self, policy: FollowerPolicy, batch: Batch) -> Floats:
        """The follower's rewards with its bonus for entropy, shape (n,)."""
        at = batch.valid("follower_observation"), batch.valid("follower_action")
        bonus = -self.agents.temperature * policy.log_prob(*at)
        soft: Floats = batch.valid("follower_reward") + bonus
        return soft

    def _learn(self, batch: Batch) -> None:
        """After the estimate: what was fitted to a batch shares its chance."""
        self.leader_critic.learn(batch, batch.valid("leader_reward"))
        if self.policy is None:
            return
        at = batch.valid("follower_observation"), batch.valid("follower_action")
        self.policy.learn(*at)
        if self.follower_critic is not None:
            self.follower_critic.learn(batch, self._soft_reward(self.policy, batch))


def _advantage(
    critic: Critic,
    batch: Batch,
    episodes: Episodes,
    reward: Floats,
    decay: float,
    channel: Channel,
) -> Floats:
    """Over the leader's actions, or over the draw of the next state, shape (R, N)."""
    here = batch.scatter(critic.value.values([batch.valid("observation")]))
    there = batch.scatter(critic.value.values([batch.valid("next_observation")]))
    # E[r + γ V(s') | s, b], in which a follower's bonus for the entropy of b counts already.
    baseline = here + batch.scatter(critic.gains(batch)) if channel == "transitions" else None
    return generalized_advantages(
        episodes, reward, here, there, discount=critic.discount, decay=decay, baseline=baseline
    )


def _scattered(batch: Batch, phi: torch.Tensor) -> torch.Tensor:
    mask = torch.as_tensor(batch.mask, device=phi.device)
    return phi.new_zeros(batch.mask.shape).masked_scatter(mask, phi)
