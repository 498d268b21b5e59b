"""PettingZoo view of EscapeRoom: the players as agents that move at the same time."""

from typing import TYPE_CHECKING, Any

from bilevelrl.problems.escape_room.gym import EscapeRoomEnv

if TYPE_CHECKING:
    from pettingzoo import ParallelEnv


def parallel_env(**options: Any) -> "ParallelEnv[str, Any, Any]":
    """EscapeRoom as a parallel environment with agents "player_0", "player_1", ...

    Every agent observes where all are, shape (N,), and chooses where to go. Its reward is its own,
    payments included; the leader's is the sum of `infos[agent]["without_payment"]`.

    Args:
        options: those of `gym.EscapeRoomEnv`.

    Raises:
        ImportError: if PettingZoo is not installed.
        ValueError: see `gym.EscapeRoomEnv`.
    """
    try:
        import pettingzoo  # noqa: F401
    except ModuleNotFoundError as error:
        raise ImportError(
            "parallel_env needs PettingZoo: pip install 'bilevelrl[pettingzoo]'", name="pettingzoo"
        ) from error
    from bilevelrl.problems.escape_room.agents import EscapeRoomParallelEnv

    return EscapeRoomParallelEnv(EscapeRoomEnv(**options))
