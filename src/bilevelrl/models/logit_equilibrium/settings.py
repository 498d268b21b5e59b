"""What params.yaml says of leaders that pay players at an equilibrium."""

from typing import Annotated

from pydantic import Field

from bilevelrl.core.settings import PER_RUN, AscentSetting, BatchSetting
from bilevelrl.core.validation import Content, Positive, UnitInterval


class PlayersSetting(AscentSetting):
    """Settings of leaders of several players.

    Attributes:
        initial_spread: standard deviation of θ at the start.
        step_size_ratio: what the step size falls to in the end, geometrically, as a share of the
            first one.
    """

    initial_spread: Annotated[Positive, PER_RUN]
    step_size_ratio: UnitInterval


class SampledPlayersSetting(PlayersSetting, BatchSetting):
    """Of leaders that see states, actions and the players' rewards, and nothing else."""

    def conditions(self, shared: Content) -> Content:
        """What the leader sees."""
        return super().conditions(shared) | {"information": "rewards"}


class CovarianceSetting(SampledPlayersSetting):
    """Of BC-HG.

    Attributes:
        largest_weight: see `covariance.weights`.
    """

    largest_weight: Annotated[float, Field(ge=1.0)]


class ZeroOrderPlayersSetting(PlayersSetting):
    """Of the zero-order estimator, which evaluates J 2 `radius` apart."""

    radius: Annotated[Positive, PER_RUN]
