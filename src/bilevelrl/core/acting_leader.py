"""What the cells of all games have in common in which the leader acts itself."""

from collections.abc import Sequence
from typing import Any, Protocol

from bilevelrl.core.ascent import Adam, geometric_decay
from bilevelrl.core.cell import believed_temperature, per_run
from bilevelrl.core.games import GameSetting, SampledGameSetting
from bilevelrl.core.replay import Replay
from bilevelrl.core.score_function import ActingLeader, ScoreFunction


class Episodic(Protocol):
    """Constants that every game has; read-only."""

    @property
    def max_episode_steps(self) -> int:
        """Steps per episode."""

    @property
    def leader_discount(self) -> float:
        """γ_L."""

    @property
    def follower_discount(self) -> float:
        """γ_F."""


def ascent(settings: Sequence[GameSetting]) -> Adam:
    """The step rule of runs that train together."""
    shared = settings[0]
    return Adam(
        per_run(settings, "step_size"),
        getattr(shared, "max_gradient_norm", None),
        # J of BilevelLQR grows by three orders of magnitude on the way.
        normalise=shared.variant == "improved",
        decay=geometric_decay(
            getattr(shared, "step_size_ratio", 1.0), shared.num_updates * actor_steps(shared)
        ),
    )


def actor_steps(setting: GameSetting) -> int:
    """Steps of θ per update."""
    return getattr(setting, "actor_steps", 1)


def num_episodes(setting: SampledGameSetting, problem: Episodic) -> int:
    """Episodes per batch and run."""
    return setting.env_steps_per_update // problem.max_episode_steps


def score_function(
    leader: ActingLeader[Any],
    settings: Sequence[SampledGameSetting],
    problem: Episodic,
    return_discount: float,
    *,
    indirect: bool = True,
    keep_batches: bool = False,
) -> ScoreFunction:
    """BC-HG with the quirks of the variant; not `indirect`, Naive-PGD and Bi-AC.

    `return_discount` is that of the sampled leader return; `keep_batches` learns from every batch
    so far ("off-policy").
    """
    shared, horizon = settings[0], problem.max_episode_steps
    everything = Replay(horizon, num_episodes(shared, problem) * shared.num_updates)
    return ScoreFunction(
        leader,
        horizon,
        problem.leader_discount,
        problem.follower_discount,
        believed_temperature(settings) if indirect else None,
        replay=everything if keep_batches else None,
        minibatch=getattr(shared, "minibatch", None),
        influence_now=shared.variant == "published",
        random_updates=shared.random_updates,
        return_discount=return_discount,
    )
