"""What params.yaml says of a critic that is a table."""

from typing import Annotated, Literal

from bilevelrl.core.settings import PER_RUN, Component
from bilevelrl.core.validation import Content, Count, NonNegative, Positive, UnitInterval


class IdentifiedModel(Component):
    """A leader that identifies its model, see `models.tabular.identified`.

    Attributes:
        information: what the leader sees, see `core.observations`.
        target_visits: as in `models.tabular.identified.leader.Conduct`, like the next ones.
    """

    kind: Literal["identified"]
    information: Literal["rewards", "actions"]
    target_visits: Count
    growth: Positive
    curiosity: NonNegative

    @property
    def conditions(self) -> Content:
        """What the leader sees, and that it identifies its model."""
        return {"model": self.kind, "information": self.information}


class SarsaCritic(Component):
    """See `models.tabular.sarsa`.

    Attributes:
        step_size: α.
    """

    kind: Literal["sarsa"]
    step_size: Annotated[UnitInterval, PER_RUN]
