"""Who plays in which environment, against which leader: looked at before anything is played."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from bilevelrl.trainer.acting import FollowerView
from bilevelrl.trainer.designing import WithIncentives

#: Where wrappers keep what they wrap.
_INNER = ("env", "_env")


def check_wiring(leader: torch.nn.Module, envs: Sequence[Any], follower: object) -> None:
    """Raise unless trainer and follower have environments of their own, with this leader in them.

    The follower's are known if it is an agent of Stable-Baselines3 in this process.

    Raises:
        ValueError: an environment serves both, or holds another module as the leader.
    """
    learned_in = _environments(follower)
    own = {id(layer) for env in envs for layer in _layers(env)}
    for i, env in enumerate(learned_in):
        if any(id(layer) in own for layer in _layers(env)):
            raise ValueError(
                f"the follower's environment {i} is one of env too; expected environments of its "
                "own, as both would play in the middle of the other's episodes"
            )
    named = [(f"env[{i}]", env) for i, env in enumerate(envs)]
    named += [(f"the follower's environment {i}", env) for i, env in enumerate(learned_in)]
    for name, env in named:
        for layer in _layers(env):
            if isinstance(layer, FollowerView | WithIncentives) and layer.module is not leader:
                raise ValueError(
                    f"{name} holds another module as the leader, a {type(layer.module).__name__}; "
                    "expected the leader that is trained"
                )


def _environments(follower: object) -> list[Any]:
    asked = getattr(follower, "get_env", None)
    together: Any = asked() if callable(asked) else None
    while hasattr(together, "venv"):
        together = together.venv
    return list(getattr(together, "envs", ()))


def _layers(env: Any) -> Iterator[Any]:
    """The environment and all that it wraps, outermost first."""
    while env is not None:
        yield env
        held = getattr(env, "__dict__", {})
        env = next((held[name] for name in _INNER if name in held), None)
