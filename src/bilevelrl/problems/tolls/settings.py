"""What params.yaml says of road pricing: constants, search, studies, estimators."""

from typing import Annotated, Literal

from pydantic import Field

from bilevelrl.core.blocks import SearchBlock, StudyParams
from bilevelrl.core.entries import Estimators, Registered
from bilevelrl.core.problem import Constants, ProblemBlock, TrainingBlock
from bilevelrl.core.settings import Setting
from bilevelrl.core.validation import (
    Choices,
    ConfigError,
    Count,
    Positive,
    UnitInterval,
    Whole,
)
from bilevelrl.problems.tolls.estimator_settings import (
    ExternalitySetting,
    LearnedTripSetting,
    NumTrips,
    Objective,
    PerturbedSetting,
    TollsAscentSetting,
    TollsBlackBoxSetting,
    TollsSetting,
    TollsZeroOrderSetting,
    TripSetting,
)

#: L of each network, which nobody has to load to read params.yaml.
NUM_LINKS = {"sioux_falls": 76}


class TollsParams(Constants):
    """Constants of road pricing, see `problems.tolls.problem.Pricing`.

    Attributes:
        network: a network of `models.network_flow`.
        toll_links: the links that have a toll where not all have, from 0.
        highest_toll: in minutes.
    """

    network: Literal["sioux_falls"]
    toll_links: Choices[Whole]
    highest_toll: Positive


class TollsLeaders(TrainingBlock):
    """What all cells share and an entry may override."""

    objective: Objective
    tollable: Count
    temperature: Positive
    trips_per_update: NumTrips
    step_size_ratio: UnitInterval


class TollsSearchParams(SearchBlock):
    """Search by L-BFGS within bounds, from no toll and from random tolls.

    Attributes:
        seed: of the random tolls.
        random_starts: how many; they are uniform up to `largest_start` minutes.
        num_evaluations: of J and its hypergradient from one start, at most.
    """

    seed: Whole
    random_starts: Whole
    largest_start: Positive
    num_evaluations: Count


class TollsGradientParams(StudyParams):
    """The estimator-error study, from how many trips, with so many tolls.

    Attributes:
        best_fractions: of the best known tolls, where estimates are made, at most 1.
        radius: of the zero-order estimator, in minutes.
    """

    tollable: Count
    budgets: Choices[NumTrips]
    best_fractions: Choices[Annotated[float, Field(ge=0.0, le=1.0)]]
    radius: Positive


ESTIMATORS: Estimators = {
    ("bc_hg", "corrected"): Registered(TripSetting, "cell:bc_hg"),
    ("bc_hg", "improved"): Registered(LearnedTripSetting, "cell:learned_bc_hg"),
    ("covariance", "corrected"): Registered(TripSetting, "cell:covariance"),
    ("covariance", "improved"): Registered(LearnedTripSetting, "cell:learned_covariance"),
    ("direct", "corrected"): Registered(TripSetting, "cell:direct"),
    ("externality", "corrected"): Registered(ExternalitySetting, "cell:externality"),
    ("perturbed", "corrected"): Registered(PerturbedSetting, "cell:perturbed"),
    ("zero_order", "corrected"): Registered(TollsZeroOrderSetting, "core.model_based:zero_order"),
    ("cma_es", "corrected"): Registered(TollsBlackBoxSetting, "black_box:cma_es"),
    ("exact", "corrected"): Registered(TollsAscentSetting, "core.model_based:exact"),
}


class TollsBlock(ProblemBlock):
    """See `ProblemBlock`."""

    estimators = ESTIMATORS

    constants: TollsParams
    search: TollsSearchParams
    learner: None
    learning: None
    training: TollsLeaders
    gradients: TollsGradientParams

    def check(self, setting: Setting, where: str) -> None:
        """Refuse a number of tolls that is neither that of `toll_links` nor that of all links.

        Raises:
            ConfigError: if so; the message starts with `where`.
        """
        assert isinstance(setting, TollsSetting)
        links = NUM_LINKS[self.constants.network]
        if (last := max(self.constants.toll_links)) >= links:
            raise ConfigError(
                f"constants.toll_links = {last}: links of {self.constants.network} are 0 to "
                f"{links - 1}"
            )
        allowed = [len(self.constants.toll_links), links]
        if setting.tollable not in allowed:
            raise ConfigError(f"{where}: tollable = {setting.tollable}: allowed are {allowed}")


BLOCK = TollsBlock
