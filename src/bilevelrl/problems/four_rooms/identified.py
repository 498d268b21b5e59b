"""FourRooms: a leader that identifies its model."""

from bilevelrl.core.batches import TabularObservations
from bilevelrl.core.sampled import Sampled
from bilevelrl.models.tabular.game import TabularSampler
from bilevelrl.models.tabular.identified.leader import Conduct, IdentifiedLeader
from bilevelrl.problems.four_rooms.cell import FourRoomsGroup, rollout
from bilevelrl.problems.four_rooms.settings import IdentifiedSetting


def bc_hg(g: FourRoomsGroup[IdentifiedSetting]) -> Sampled[TabularObservations]:
    """BC-HG in the model that the leader identifies."""
    own, problem = g.shared.model, g.problem
    return Sampled(
        TabularSampler(problem, rollout(g), own.information),
        IdentifiedLeader(
            problem.influence,
            (problem.planner.num_states, problem.planner.num_actions),
            g.temperature,
            problem.discount,
            Conduct(own.target_visits, own.growth, own.curiosity),
        ),
    )
