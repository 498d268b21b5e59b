"""From a block of params.yaml to a SAC agent in building thermal control."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bilevelrl.followers.sac_thermal import SacPlayer, learning_curve
from bilevelrl.followers.soft_actor_critic import SacAgent, SacOptions
from bilevelrl.problems.follower_view import ThermalFollowerView, ViewOptions
from bilevelrl.problems.thermal_control import ThermalControl


def split_options(block: Mapping[str, Any]) -> tuple[SacOptions, ViewOptions, int]:
    """Options of the agent and of its view, and the episodes of an evaluation."""
    rest = dict(block)
    view = ViewOptions(rest.pop("action_bound"), rest.pop("training_horizon"))
    episodes: int = rest.pop("episodes")
    return SacOptions(**rest), view, episodes


def learn_thermal(
    problem: ThermalControl,
    temperature: float,
    block: Mapping[str, Any],
    seed: int,
    checkpoints: Sequence[int],
) -> tuple[pd.DataFrame, dict[str, NDArray[Any]]]:
    """An agent at θ = 0.

    Args:
        problem: the bi-level problem.
        temperature: β.
        block: `config.SacParams` as a dictionary.
        seed: of the agent.
        checkpoints: transitions, increasing.

    Returns:
        Columns steps, value_gap, relative_gap and kl, one row a checkpoint; and the trained actor.
    """
    options, view, episodes = split_options(block)
    theta = np.zeros(problem.num_parameters)
    agent = SacAgent(
        lambda: ThermalFollowerView(problem, theta, view),
        temperature=temperature,
        discount=problem.discount,
        options=options,
        seed=seed,
    )
    curve = learning_curve(
        SacPlayer(agent, problem, view), theta, temperature, checkpoints, episodes=episodes
    )
    return curve[["steps", "value_gap", "relative_gap", "kl"]], agent.policy()
