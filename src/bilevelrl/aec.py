"""Games of an acting leader and a follower as AEC environments of PettingZoo, made by name."""

from typing import TYPE_CHECKING, Any

import gymnasium

if TYPE_CHECKING:
    from pettingzoo import AECEnv


def aec_env(name: str, **options: Any) -> "AECEnv[str, Any, Any]":
    """A two-player environment of Gymnasium as an AEC environment with a leader and a follower.

    The agents are called "leader" and "follower". In every round the leader moves first. It
    observes the state; the follower observes the state and, if it sees it, the leader's action:
    (state, action) of a MultiDiscrete space, or their concatenation in one of Box. After the
    follower's move the environment takes its step, and both are rewarded.

    Any registered environment will do that has, beside an action space of pairs, the attributes
    `leader_action_space`, `follower_action_space` and `follower_sees_action`, and that returns the
    follower's reward as `info["follower_reward"]`.

    Args:
        name: what `gymnasium.make` takes, such as "bilevelrl/DiscreteToy-v0".
        options: passed on to `gymnasium.make`; among them `render_mode` and `max_episode_steps`.

    Raises:
        ImportError: if PettingZoo is not installed.
        ValueError: if the environment is no such game. A name that Gymnasium does not know raises
            as `gymnasium.make` does.
    """
    try:
        import pettingzoo  # noqa: F401
    except ModuleNotFoundError as error:
        raise ImportError(
            "aec_env needs PettingZoo: pip install 'bilevelrl[pettingzoo]'", name="pettingzoo"
        ) from error
    from pettingzoo.utils import wrappers

    from bilevelrl.aec_game import LeaderFollowerEnv

    return wrappers.OrderEnforcingWrapper(LeaderFollowerEnv(gymnasium.make(name, **options)))
