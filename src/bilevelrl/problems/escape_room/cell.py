"""EscapeRoom: from settings to the game that is trained."""

from collections.abc import Callable, Sequence
from typing import Any

from bilevelrl.core.arrays import Floats
from bilevelrl.core.ascent import Adam, geometric_decay
from bilevelrl.core.blocks import FollowerParams
from bilevelrl.core.cell import Context, Group, Training, per_run
from bilevelrl.models.logit_equilibrium.game import PaidPlayers
from bilevelrl.models.logit_equilibrium.settings import PlayersSetting
from bilevelrl.problems.escape_room.problem import EscapeRoom
from bilevelrl.problems.escape_room.settings import EscapeRoomLeaders, EscapeRoomParams


def make_room(constants: EscapeRoomParams) -> EscapeRoom:
    """The rules with the constants of params.yaml."""
    return EscapeRoom(
        constants.players, constants.levers_needed, constants.door_reward, constants.move_cost,
        constants.max_episode_steps,
    )  # fmt: skip


def make_game(
    constants: EscapeRoomParams,
    followers: FollowerParams[Any],
    temperature: Floats,
    initial_spread: Floats,
) -> PaidPlayers:
    """The room and its players, at temperatures and starts of each run, both (R,)."""
    room = make_room(constants)
    return PaidPlayers(
        room.game(constants.discount),
        room.payments(constants.highest_payment, constants.payment_cost),
        temperature,
        initial_spread,
        followers.tolerance,
    )


def group_of(
    constants: EscapeRoomParams, followers: FollowerParams[Any], settings: Sequence[PlayersSetting]
) -> Group[Any, PaidPlayers]:
    """Runs that train together."""
    numbers = (per_run(settings, key) for key in ("temperature", "initial_spread"))
    return Group(settings, make_game(constants, followers, *numbers))


def build(
    make: Callable[[Group[Any, PaidPlayers]], Any],
    settings: Sequence[PlayersSetting],
    context: Context[EscapeRoomParams, None, EscapeRoomLeaders],
) -> Training[Any]:
    """All that the training loop needs for runs that can share a batch."""
    group, shared = group_of(context.constants, context.followers, settings), settings[0]
    decay = geometric_decay(shared.step_size_ratio, shared.num_updates)
    rule = Adam(per_run(settings, "step_size"), decay=decay)
    return Training(group.game, make(group), rule)
