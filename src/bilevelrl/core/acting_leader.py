"""What the cells of all games have in common in which the leader acts itself."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from bilevelrl.core.ascent import Adam, geometric_decay
from bilevelrl.core.cell import Training, believed_temperature, per_run
from bilevelrl.core.estimator import Estimator
from bilevelrl.core.exact import Exact
from bilevelrl.core.replay import Replay
from bilevelrl.core.score_function import ActingLeader, ScoreFunction
from bilevelrl.core.settings import GameSetting
from bilevelrl.core.zero_order import ZeroOrder


class Episodic(Protocol):
    """Constants that every game has; read-only."""

    @property
    def max_episode_steps(self) -> int:
        """Steps per episode."""
        ...

    @property
    def leader_discount(self) -> float:
        """γ_L."""
        ...

    @property
    def follower_discount(self) -> float:
        """γ_F."""
        ...


def training(
    estimator: str,
    settings: Sequence[GameSetting],
    game: Any,
    sampled: Callable[[str, Sequence[GameSetting], Any], Estimator[Any]],
) -> Training[Any]:
    """Estimator and ascent rule of runs that train together.

    Args:
        estimator: name in params.yaml.
        settings: of the runs.
        game: implements `core.training.Game` and what exact and zero-order estimates need.
        sampled: builds all other estimators.
    """
    shared = settings[0]
    steps = shared.actor_steps or 1
    rule = Adam(
        per_run(settings, "step_size"),
        shared.max_gradient_norm,
        # J of BilevelLQR grows by three orders of magnitude on the way.
        normalise=shared.variant == "improved",
        decay=geometric_decay(shared.step_size_ratio, shared.num_updates * steps),
    )
    if estimator == "exact":
        return Training(game, Exact(game), rule)
    if estimator == "zero_order":
        return Training(game, ZeroOrder(game, per_run(settings, "radius")), rule)
    return Training(game, sampled(estimator, settings, game), rule, steps)


def num_episodes(settings: Sequence[GameSetting], problem: Episodic) -> int:
    """Episodes per batch and run."""
    assert settings[0].env_steps_per_update is not None  # checked by config
    return settings[0].env_steps_per_update // problem.max_episode_steps


def score_function(
    leader: ActingLeader[Any],
    estimator: str,
    settings: Sequence[GameSetting],
    problem: Episodic,
    return_discount: float,
) -> ScoreFunction:
    """BC-HG, or Naive-PGD and Bi-AC, which have no indirect term, with the quirks of the variant.

    Args:
        leader: policy and critic.
        estimator: name in params.yaml; those that end in "_off" keep every batch.
        settings: of the runs.
        problem: episode length and discounts.
        return_discount: of the sampled leader return.
    """
    shared, horizon = settings[0], problem.max_episode_steps
    everything = Replay(horizon, num_episodes(settings, problem) * shared.num_updates)
    return ScoreFunction(
        leader,
        horizon,
        problem.leader_discount,
        problem.follower_discount,
        believed_temperature(settings) if estimator == "bc_hg" else None,
        replay=everything if estimator.endswith("_off") else None,
        minibatch=shared.minibatch,
        influence_now=shared.variant == "published",
        random_updates=shared.random_updates or 0,
        return_discount=return_discount,
    )
