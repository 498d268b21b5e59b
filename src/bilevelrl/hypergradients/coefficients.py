"""Scalar coefficients of BC-HG and Naive-PGD, for the three channels of a leader.

θ acts through a scalar φ_k(θ) per transition. With A_L the leader's advantage over the follower's
actions, i_k = γ_L^k A_L(k) and β the follower's temperature (arXiv 2603.14867),

    dJ/dθ = E[Σ_k d_k ∇φ_k(θ) + Σ_k (1/β) e_k V_k ∇φ_k(θ)],   e_k = γ_F e_{k-1} + i_k,

e = 0 before an episode. The channels differ in φ, in d and in V, the follower's factor:

- the leader acts: φ = log f_θ(a | s); d is γ_L^k times its advantage over its own actions, V the
  follower's advantage over the leader's actions;
- it sets rewards: φ = r_L and d = γ_L^k in the first sum, φ = r_F and V = 1 in the second;
- it shapes the environment: φ = log p_θ(s' | s, b); d is γ_L^k times its advantage over the draw of
  s', V the follower's advantage over that draw.

A_L has to be a function of what is known when the follower chooses, and of its choice: a critic's
Q_L(s, b) - E[Q_L(s, b') | s]. A sampled return in its place shares later chance with V_k ∇φ_k(θ),
and biases the covariance. What happens after an episode was cut is left out of the second sum.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Literal

import numpy as np

from bilevelrl.core.compilation import kernel
from bilevelrl.hypergradients.advantages import fraction
from bilevelrl.hypergradients.arrays import AnyArray, Array, like, numbers
from bilevelrl.hypergradients.episodes import Carry, Counts, Episodes

#: A_L is called off its centre if its mean is that many standard errors from zero, and at least
#: that share of its root mean square.
STANDARD_ERRORS, SHARE = 5.0, 0.1
#: What θ acts through.
Channel = Literal["actions", "rewards", "transitions"]


class NotCentredWarning(UserWarning):
    """The mean of A_L is not zero, which biases the indirect term."""


@dataclass(frozen=True)
class Agents:
    """How the two agents weigh time, and the follower chance.

    Attributes:
        leader_discount: γ_L, 0 to 1.
        follower_discount: γ_F, 0 to 1.
        temperature: β > 0, the weight of the follower's entropy.
        follower_sees_action: the follower chooses when it has seen the leader's action, so that
            its choice hangs together with later actions only. False for simultaneous moves.
    """

    leader_discount: float
    follower_discount: float
    temperature: float
    follower_sees_action: bool = True

    def __post_init__(self) -> None:
        for name in ("leader_discount", "follower_discount", "temperature"):
            object.__setattr__(self, name, float(getattr(self, name)))
        fraction("leader_discount", self.leader_discount)
        fraction("follower_discount", self.follower_discount)
        if not 0.0 < self.temperature < np.inf:
            raise ValueError(f"temperature is {self.temperature}; expected a number above 0")


@dataclass(frozen=True, eq=False)
class Coefficients(Generic[Array]):
    """Detached coefficients of ∇φ_k(θ), which `surrogate` puts together.

    Attributes:
        direct: d_k, shape (N,) or (R, N).
        indirect: (1/β) e_k V_k, same shape.
        num_episodes: episodes that start in each row, shape (R,).
        carry: for `Episodes.read` of the batch that follows in the same rows.
        channel: what θ acts through.
    """

    direct: Array
    indirect: Array
    num_episodes: Counts
    carry: Carry
    channel: Channel

    @property
    def total(self) -> Array:
        """Their sum, for a θ that acts through a single φ.

        Raises:
            ValueError: the leader sets rewards, its own and the follower's.
        """
        if self.channel == "rewards":
            raise ValueError("the coefficients are of two rewards; expected direct and indirect")
        total: Array = self.direct + self.indirect
        return total


def action_coefficients(
    episodes: Episodes,
    agents: Agents,
    *,
    leader_advantage: AnyArray,
    follower_side_advantage: Array,
    follower_advantage: AnyArray,
) -> Coefficients[Array]:
    """Coefficients of log f_θ(a_k | s_k) of a leader that acts.

    Args:
        episodes: of all arrays here.
        agents: discounts and temperature.
        leader_advantage: of the leader over its own actions, shape (N,) or (R, N).
        follower_side_advantage: A_L, of the leader over the follower's actions, same shape.
        follower_advantage: of the follower over the leader's actions, same shape, with the
            follower's entropy, see `generalized_advantages`.

    Raises:
        TypeError: an argument holds no floating-point numbers.
        ValueError: shapes differ, a number is not finite, or a discount is 1 where nothing ends.
    """
    factors = {"leader_advantage": leader_advantage, "follower_advantage": follower_advantage}
    return _warned(episodes, agents, follower_side_advantage, factors, "actions")


def reward_coefficients(
    episodes: Episodes, agents: Agents, *, follower_side_advantage: Array
) -> Coefficients[Array]:
    """Coefficients of rewards that a leader sets: `direct` of r_L, `indirect` of r_F.

    Args:
        episodes: of all arrays here.
        agents: discounts and temperature.
        follower_side_advantage: A_L, of the leader over the follower's actions, (N,) or (R, N).

    Raises:
        TypeError: an argument holds no floating-point numbers.
        ValueError: shapes differ, a number is not finite, or a discount is 1 where nothing ends.
    """
    return _warned(episodes, agents, follower_side_advantage, {}, "rewards")


def transition_coefficients(
    episodes: Episodes,
    agents: Agents,
    *,
    leader_advantage: AnyArray,
    follower_side_advantage: Array,
    follower_advantage: AnyArray,
) -> Coefficients[Array]:
    """Coefficients of log p_θ(s_{k+1} | s_k, b_k) of a leader that shapes the environment.

    Args:
        episodes: of all arrays here.
        agents: discounts and temperature.
        leader_advantage: of the leader over the draw of the next state,
            r_L + γ_L V_L(s') - Q_L(s, b), shape (N,) or (R, N).
        follower_side_advantage: A_L, of the leader over the follower's actions, same shape.
        follower_advantage: of the follower over that draw, r_F + γ_F V_F(s') - Q_F(s, b).

    Raises:
        TypeError: an argument holds no floating-point numbers.
        ValueError: shapes differ, a number is not finite, or a discount is 1 where nothing ends.
    """
    factors = {"leader_advantage": leader_advantage, "follower_advantage": follower_advantage}
    return _warned(episodes, agents, follower_side_advantage, factors, "transitions")


def _warned(
    episodes: Episodes,
    agents: Agents,
    follower_side_advantage: Array,
    factors: Mapping[str, AnyArray],
    channel: Channel,
) -> Coefficients[Array]:
    found = weigh(episodes, agents, follower_side_advantage, factors, channel)
    if message := off_centre(episodes, follower_side_advantage):
        warnings.warn(message, NotCentredWarning, stacklevel=3)
    return found


def weigh(
    episodes: Episodes,
    agents: Agents,
    follower_side_advantage: Array,
    factors: Mapping[str, AnyArray],
    channel: Channel,
) -> Coefficients[Array]:
    """Coefficients of any channel, whatever the mean of A_L; see the functions of the channels."""
    shape, valid = episodes.shape, episodes.valid
    advantage = numbers("follower_side_advantage", follower_side_advantage, shape, valid)
    read = {name: numbers(name, given, shape, valid) for name, given in factors.items()}
    _check_ends(episodes, agents)
    weight = valid * agents.leader_discount ** episodes.step.astype(np.float64)
    trace, left = np.empty_like(advantage), np.empty(len(advantage))
    _trace(
        weight * advantage,
        episodes.start | ~valid,
        episodes.carry.trace,
        agents.follower_discount,
        channel == "actions" and agents.follower_sees_action,
        trace,
        left,
    )
    direct = weight * read.get("leader_advantage", 1.0)
    indirect = valid * trace * read.get("follower_advantage", 1.0) / agents.temperature
    return Coefficients(
        like(direct, follower_side_advantage),
        like(indirect, follower_side_advantage),
        episodes.num_started,
        Carry(np.where(episodes.goes_on, episodes.step[:, -1] + 1, 0), left * episodes.goes_on),
        channel,
    )


@kernel
def _trace(injection, start, carried, discount, later, trace, left):  # type: ignore[no-untyped-def]
    num_rows, num_steps = injection.shape
    for r in range(num_rows):
        e = carried[r]
        for n in range(num_steps):
            e = 0.0 if start[r, n] else discount * e
            trace[r, n] = e if later else e + injection[r, n]
            e += injection[r, n]
        left[r] = e


def _check_ends(episodes: Episodes, agents: Agents) -> None:
    endless = episodes.goes_on & ~episodes.last[:, :-1].any(axis=1)
    for name in ("leader_discount", "follower_discount"):
        if getattr(agents, name) == 1.0 and endless.any() and not episodes.pieces:
            raise ValueError(
                f"{name} is 1, and neither terminated nor truncated is ever true in row "
                f"{int(np.argmax(endless))}; expected episodes that end, a discount below 1, or "
                "carry=Carry.start(...) for rows that later batches go on with"
            )


def off_centre(episodes: Episodes, follower_side_advantage: AnyArray) -> str:
    """What is wrong with the mean of A_L, shape (N,) or (R, N); empty if nothing."""
    shape, valid = episodes.shape, episodes.valid
    advantage = numbers("follower_side_advantage", follower_side_advantage, shape, valid)
    # Given the past A_L has mean zero, so that its sum has the variance of its squares' sum.
    number, scale = valid.sum(), np.sqrt(np.sum(advantage**2) / valid.sum())
    mean, error = advantage.sum() / number, scale / np.sqrt(number)
    if abs(mean) <= max(STANDARD_ERRORS * error, SHARE * scale):
        return ""
    return (
        f"follower_side_advantage has mean {mean:.3g} ± {error:.2g} where its root mean square is "
        f"{scale:.3g}; expected mean 0 under the follower's policy: subtract the mean over the "
        "follower's actions, as `choice_advantages` does (if it is subtracted, an action that "
        "matters is too rare to be in this batch)"
    )
