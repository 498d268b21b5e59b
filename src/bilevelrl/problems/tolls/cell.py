"""Road pricing: from settings to the travellers and the estimator that a name stands for."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from bilevelrl.core.ascent import Adam, AscentRule, Chosen, geometric_decay
from bilevelrl.core.blocks import FollowerParams
from bilevelrl.core.cell import Context, Group, Training, per_run
from bilevelrl.core.projected_ascent import Projected
from bilevelrl.core.validation import refusing
from bilevelrl.models.network_flow.day_to_day import DayToDayGame
from bilevelrl.models.network_flow.direct_only import DirectOnly
from bilevelrl.models.network_flow.externality import Externality
from bilevelrl.models.network_flow.game import RoadGame
from bilevelrl.models.network_flow.learned_road_covariance import LearnedRoadCovariance
from bilevelrl.models.network_flow.perturbed_travel import PerturbedTravel
from bilevelrl.models.network_flow.road_covariance import RoadCovariance
from bilevelrl.models.network_flow.seen_trips import SeenTrips
from bilevelrl.problems.tolls.estimator_settings import (
    DayToDayFollower,
    ExternalitySetting,
    LearnedTripSetting,
    PerturbedSetting,
    SeenTripSetting,
    TollsAscentSetting,
    TollsSetting,
    TripSetting,
)
from bilevelrl.problems.tolls.problem import NETWORKS, Pricing
from bilevelrl.problems.tolls.settings import TollsLeaders, TollsParams

Own_co = TypeVar("Own_co", bound=TollsSetting, covariant=True)
Runs = Group[Own_co, RoadGame]


def make_problem(constants: TollsParams) -> Pricing:
    """The problem with the constants of params.yaml."""
    links = np.array(constants.toll_links, dtype=np.int64)
    with refusing("params.yaml: problems.tolls.constants"):
        return Pricing(NETWORKS[constants.network](), links, constants.highest_toll)


def make_game(
    settings: Sequence[TollsSetting], constants: TollsParams, followers: FollowerParams[Any]
) -> RoadGame:
    """Roads and travellers of runs that can share a batch."""
    shared = settings[0]
    roads = make_problem(constants).roads(shared.objective, shared.tollable)
    return RoadGame(
        roads, np.array([each.rationality for each in settings]), tolerance=followers.tolerance
    )


def build(
    make: Callable[[Runs[Any]], Any],
    settings: Sequence[TollsSetting],
    context: Context[TollsParams, Any, TollsLeaders],
) -> Training[Any]:
    """All that the training loop needs for runs that can share a batch."""
    shared, game = settings[0], make_game(settings, context.constants, context.followers)
    rule: AscentRule = Chosen()
    if isinstance(shared, TollsAscentSetting):
        decay = geometric_decay(shared.step_size_ratio, shared.num_updates)
        rule = Projected(Adam(per_run(settings, "step_size"), decay=decay), 0.0, game.roads.highest)
    estimator = make(Group(settings, game))
    follower = getattr(shared, "follower", None)
    if isinstance(follower, DayToDayFollower):
        share = per_run(settings, "follower.step_size")
        learning = DayToDayGame(game, follower.days, share, follower.start == "carry")
        return Training(learning, estimator, rule)
    return Training(game, estimator, rule)


def _seen(g: Runs[SeenTripSetting]) -> SeenTrips:
    return SeenTrips(g.game.roads, g.shared.trips_per_update, g.game.rationality)


def direct(g: Runs[TripSetting]) -> DirectOnly:
    """The direct part alone."""
    return DirectOnly(_seen(g))


def covariance(g: Runs[TripSetting]) -> RoadCovariance:
    """BC-HG of one traveller after the other, to whom the others are a fixed environment."""
    return RoadCovariance(_seen(g), adjoint=False)


def bc_hg(g: Runs[TripSetting]) -> RoadCovariance:
    """BC-HG with the adjoint of the congestion, from the newest trips."""
    return RoadCovariance(_seen(g))


def learned_covariance(g: Runs[LearnedTripSetting]) -> LearnedRoadCovariance:
    """The improved BC-HG without the adjoint."""
    identifies = g.shared.model is not None
    return LearnedRoadCovariance(
        _seen(g), g.shared.forgetting_factor, adjoint=False, identifies=identifies
    )


def learned_bc_hg(g: Runs[LearnedTripSetting]) -> LearnedRoadCovariance:
    """The improved BC-HG: control variates, W learned across updates, and maybe delay curves."""
    identifies = g.shared.model is not None
    return LearnedRoadCovariance(_seen(g), g.shared.forgetting_factor, identifies=identifies)


def perturbed(g: Runs[PerturbedSetting]) -> PerturbedTravel:
    """How flows move if everybody is charged a little for the loss."""
    return PerturbedTravel(
        _seen(g), per_run(g.settings, "epsilon"), g.shared.two_sided, tolerance=g.game.tolerance
    )


def externality(g: Runs[ExternalitySetting]) -> Externality:
    """Tolls towards what everybody costs all others."""
    return Externality(_seen(g), per_run(g.settings, "step_size"))
