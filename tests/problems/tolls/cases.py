"""Road pricing as params.yaml has it, and small settings of its estimators."""

from pathlib import Path
from typing import Any

from bilevelrl.core.cell import Context
from bilevelrl.core.problem import Problem
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import Trained, train
from bilevelrl.problems.tolls import cell
from bilevelrl.problems.tolls.settings import TollsSetting
from bilevelrl.runs.chunks import maker
from bilevelrl.runs.params import read_params

PARAMS = read_params(Path(__file__).parents[3] / "params.yaml")
PROBLEM: Problem[Any] = PARAMS.problem("tolls")
BLOCK: Any = PARAMS.block("tolls")
#: J in vehicle-minutes at a rationality of 1: no toll, and the best of 18 tolls (independent code).
NO_TOLL, BEST = -7_433_601.93, -7_305_771.26


def setting(estimator: str, **changes: Any) -> TollsSetting:
    """The first shipped setting of an estimator and its variant, with changes."""
    changes.setdefault("variant", "improved" if "forgetting_factor" in changes else "corrected")
    found = next(
        each for each in PARAMS.settings("tolls", estimator) if each.variant == changes["variant"]
    )
    known = type(found)
    return known.model_validate(found.model_dump() | changes)  # type: ignore[return-value]


def build(estimator: str, settings: list[TollsSetting]) -> Any:
    """What `train` needs for runs of a batch."""
    context = Context(BLOCK.constants, PROBLEM.followers, BLOCK.training)
    return cell.build(maker("tolls", estimator, settings[0]), settings, context)


def trained(estimator: str, settings: list[TollsSetting], seeds: list[int]) -> Trained:
    """A run per seed."""
    built = build(estimator, settings)
    number = settings[0].num_updates
    return train(
        built.game, built.estimator, Streams(seeds), rule=built.rule, num_updates=number,
        max_rows=number,
    )  # fmt: skip
