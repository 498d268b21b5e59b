"""What params.yaml says of leaders that pay players at an equilibrium."""

from typing import Annotated

from pydantic import Field

from bilevelrl.core.entries import Estimators, Registered
from bilevelrl.core.settings import PER_RUN, BatchSetting, Setting
from bilevelrl.core.validation import Content, Count, Positive, UnitInterval


class PlayersSetting(Setting):
    """Settings of leaders of several players.

    Attributes:
        players: N, as in the problem's constants.
        initial_spread: standard deviation of θ at the start.
        step_size_ratio: what the step size falls to in the end, geometrically, as a share of the
            first one.
    """

    players: Count
    initial_spread: Annotated[Positive, PER_RUN]
    step_size_ratio: UnitInterval

    def conditions(self, shared: Content) -> Content:
        """How many players, and the study: "main" if it is no other."""
        return {"study": "main"} | super().conditions(shared) | {"players": self.players}


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


_HERE = "models.logit_equilibrium.estimators"
ESTIMATORS: Estimators = {
    ("bc_hg", "improved"): Registered(CovarianceSetting, f"{_HERE}:bc_hg"),
    ("uncoupled", "improved"): Registered(SampledPlayersSetting, f"{_HERE}:uncoupled"),
    ("naive", "improved"): Registered(SampledPlayersSetting, f"{_HERE}:naive"),
    ("zero_order", "improved"): Registered(ZeroOrderPlayersSetting, "core.model_based:zero_order"),
    ("exact", "improved"): Registered(PlayersSetting, "core.model_based:exact"),
    ("exact_uncoupled", "improved"): Registered(PlayersSetting, f"{_HERE}:exact_uncoupled"),
}
