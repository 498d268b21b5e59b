"""What params.yaml says of a critic that is a table."""

from typing import Annotated, Literal

from bilevelrl.core.settings import PER_RUN, Component
from bilevelrl.core.validation import UnitInterval


class SarsaCritic(Component):
    """See `models.tabular.sarsa`.

    Attributes:
        step_size: α.
    """

    kind: Literal["sarsa"]
    step_size: Annotated[UnitInterval, PER_RUN]
