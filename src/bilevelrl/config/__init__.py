"""params.yaml, read once into frozen models that refuse what they do not know.

No model has a default for anything that can change a result: the value stands in params.yaml only.
"""

from bilevelrl.config.blocks import (
    EvaluateParams,
    FollowerParams,
    FourRoomsParams,
    GradientParams,
    LeaderParams,
    ProblemParams,
    Runtime,
    SearchParams,
)
from bilevelrl.config.params import GridItem, Params, read_params
from bilevelrl.config.settings import REQUIRED_KEYS, SUPPORTED, Setting
from bilevelrl.config.tuning import TuningCell, TuningParams, read_tuning_params
from bilevelrl.config.validation import ConfigError, Variant

__all__ = [
    "REQUIRED_KEYS",
    "SUPPORTED",
    "ConfigError",
    "EvaluateParams",
    "FollowerParams",
    "FourRoomsParams",
    "GradientParams",
    "GridItem",
    "LeaderParams",
    "Params",
    "ProblemParams",
    "Runtime",
    "SearchParams",
    "Setting",
    "TuningCell",
    "TuningParams",
    "Variant",
    "read_params",
    "read_tuning_params",
]
