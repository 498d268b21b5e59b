"""From a block of params.yaml to SAC agents and games against them; imports torch."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bilevelrl.core.sampled import Sampled
from bilevelrl.models.deep.agent import SacAgent, SacOptions
from bilevelrl.models.deep.game import ExactGame, SacGame, SacSampler
from bilevelrl.models.deep.players import FollowerTask, SacPlayer, evaluate, learning_curve
from bilevelrl.models.deep.settings import ComparedSacParams, SacFollower
from bilevelrl.models.deep.view import ViewOptions


def split_options(block: Mapping[str, Any]) -> tuple[SacOptions, ViewOptions, int]:
    """Options of the agent and of its view, and the episodes of an evaluation."""
    rest = dict(block)
    view = ViewOptions(rest.pop("action_bound"), rest.pop("training_horizon"))
    episodes: int = rest.pop("episodes")
    return SacOptions(**rest), view, episodes


def learn(
    follower_task: FollowerTask[Any],
    temperature: float,
    block: Mapping[str, Any],
    seed: int,
    checkpoints: Sequence[int],
) -> tuple[pd.DataFrame, dict[str, NDArray[Any]]]:
    """An agent at θ = 0.

    Args:
        follower_task: the problem.
        temperature: β.
        block: `models.deep.settings.ComparedSacParams` as a dictionary.
        seed: of the agent.
        checkpoints: transitions, increasing.

    Returns:
        Columns steps, value_gap, relative_gap and kl, one row a checkpoint; and the trained actor.
    """
    options, view, episodes = split_options(block)
    theta = np.zeros(follower_task.problem.num_parameters)
    agent = SacAgent(
        lambda: follower_task.view(theta, view),
        temperature=temperature,
        discount=follower_task.follower_discount,
        options=options,
        seed=seed,
    )
    player = SacPlayer(agent, follower_task.scale, view.action_bound)
    curve = learning_curve(
        agent,
        checkpoints,
        lambda: evaluate(follower_task, theta, temperature, player, episodes=episodes),
    )
    return curve[["steps", "value_gap", "relative_gap", "kl"]], agent.policy()


def against_sac(
    exact: ExactGame,
    estimator: Sampled[Any],
    follower_task: FollowerTask[Any],
    num_episodes: int,
    follower: SacFollower,
    rule: ComparedSacParams,
) -> tuple[SacGame, Sampled[Any]]:
    """A game with agents in the exact follower's place, and an estimator that watches them.

    Args:
        exact: the game with the best response.
        estimator: built for that game.
        follower_task: the problem, as single followers play it.
        num_episodes: per batch and run.
        follower: of the runs.
        rule: hyper-parameters of the agents.
    """
    options, view, episodes = split_options(rule.model_dump())
    first = follower.first_steps or follower.steps
    game = SacGame(exact, follower_task, options, view, first, follower.steps, episodes)
    return game, replace(estimator, sampler=SacSampler(follower_task, num_episodes))
