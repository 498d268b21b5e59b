"""Games against SAC, from settings; importing this imports torch."""

from typing import Any

from bilevelrl.config import SacParams, Setting
from bilevelrl.followers.players import Duel
from bilevelrl.followers.sac_settings import split_options
from bilevelrl.sac_game import ExactGame, SacGame


def sac_game(exact: ExactGame, duel: Duel[Any], setting: Setting, rule: SacParams) -> SacGame:
    """The game of runs with equal `group_key`, with agents in the exact follower's place."""
    assert setting.follower_steps is not None  # checked by config
    options, view, episodes = split_options(rule.model_dump())
    first = setting.first_follower_steps or setting.follower_steps
    return SacGame(exact, duel, options, view, first, setting.follower_steps, episodes)
