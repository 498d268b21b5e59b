"""What params.yaml says of soft Q-learning."""

from typing import Annotated

from pydantic import Field

from bilevelrl.core.validation import Block, Positive


class SoftQParams(Block):
    """Tabular soft Q-learning, see `models.tabular.soft_q_learning.SoftQOptions`."""

    exploration: Annotated[float, Field(ge=0.0, le=1.0)]
    settle: Positive
    exponent: Annotated[float, Field(gt=0.5, le=1.0)]
    smallest_step: Annotated[float, Field(ge=0.0, lt=1.0)]

    def for_good(self) -> "SoftQParams":
        """The rule without the step size that keeps up with a leader that moves."""
        return self.model_copy(update={"smallest_step": 0.0})
