"""What params.yaml says of the evaluation."""

from typing import Annotated

from pydantic import Field

from bilevelrl.core.validation import Apart, Block, Choices, Count, Distinct, Positive, UnitInterval


class EvaluateParams(Block):
    """Statistics: intervals, thresholds (fractions of the best known J), what counts as stuck."""

    confidence: Annotated[float, Field(gt=0.0, lt=1.0)]
    power: Annotated[float, Field(gt=0.0, lt=1.0)]
    thresholds: Annotated[Distinct[UnitInterval], Apart]
    return_thresholds: dict[str, Annotated[Choices[float], Apart]]
    stuck_radius: Positive
    published_updates: Distinct[Count]
    final_fraction: UnitInterval
