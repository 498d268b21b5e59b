"""params.yaml, read once into frozen models that refuse what they do not know.

No model has a default for anything that can change a result: the value stands in params.yaml only.
"""

from bilevelrl.config.blocks import (
    EvaluateParams,
    FollowerParams,
    FourRoomsLeaders,
    FourRoomsParams,
    GradientParams,
    LearningParams,
    Runtime,
    SacParams,
    SearchParams,
    SoftQParams,
)
from bilevelrl.config.families import FAMILIES
from bilevelrl.config.games import (
    AscentParams,
    BilevelLQRLeaders,
    BilevelLQRParams,
    DiscreteToyLeaders,
    DiscreteToyParams,
    GameGradientParams,
    LandscapeParams,
    LinearGradientParams,
)
from bilevelrl.config.params import GridItem, Params, read_params
from bilevelrl.config.settings import FourRoomsSetting, GameSetting, Setting, ThermalSetting
from bilevelrl.config.thermal import (
    ThermalControlParams,
    ThermalGradientParams,
    ThermalLeaders,
    ThermalSearchParams,
)
from bilevelrl.config.tuning import TuningCell, TuningParams, read_tuning_params
from bilevelrl.config.validation import ConfigError, Variant, refusing, shown
from bilevelrl.config.yaml_files import mapping_text, parse_mapping, read_mapping

__all__ = [
    "FAMILIES",
    "AscentParams",
    "BilevelLQRLeaders",
    "BilevelLQRParams",
    "ConfigError",
    "DiscreteToyLeaders",
    "DiscreteToyParams",
    "EvaluateParams",
    "FollowerParams",
    "FourRoomsLeaders",
    "FourRoomsParams",
    "FourRoomsSetting",
    "GameGradientParams",
    "GameSetting",
    "GradientParams",
    "GridItem",
    "LandscapeParams",
    "LearningParams",
    "LinearGradientParams",
    "Params",
    "Runtime",
    "SacParams",
    "SearchParams",
    "Setting",
    "SoftQParams",
    "ThermalControlParams",
    "ThermalGradientParams",
    "ThermalLeaders",
    "ThermalSearchParams",
    "ThermalSetting",
    "TuningCell",
    "TuningParams",
    "Variant",
    "mapping_text",
    "parse_mapping",
    "read_mapping",
    "read_params",
    "read_tuning_params",
    "refusing",
    "shown",
]
