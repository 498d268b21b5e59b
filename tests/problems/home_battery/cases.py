"""Home batteries as params.yaml has them, and small settings of their estimators."""

from pathlib import Path
from typing import Any

from bilevelrl.core.cell import Context
from bilevelrl.core.problem import Problem
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import Trained, train
from bilevelrl.problems.home_battery import cell
from bilevelrl.problems.home_battery.estimator_settings import HomeBatterySetting
from bilevelrl.runs.chunks import maker
from bilevelrl.runs.params import read_params

PARAMS = read_params(Path(__file__).parents[3] / "params.yaml")
PROBLEM: Problem[Any] = PARAMS.problem("home_battery")
BLOCK: Any = PARAMS.block("home_battery")
#: J in $ per day of one house under the flat and the best known tariff, by L-BFGS from five starts.
FLAT, BEST = -1.200552793495, -1.059207772063


def setting(estimator: str, entry: str = "corrected", **changes: Any) -> HomeBatterySetting:
    """The first setting of an entry of `cells`, with changes."""
    key = f"problems.home_battery.cells.{estimator}.{entry}"
    found = next(each for where, each in BLOCK.settings("home_battery", estimator) if where == key)
    return type(found).model_validate(found.model_dump() | changes)  # type: ignore[no-any-return]


def build(estimator: str, settings: list[HomeBatterySetting]) -> Any:
    """What `train` needs for runs of a batch."""
    context = Context(BLOCK.constants, PROBLEM.followers, BLOCK.training)
    return cell.build(maker("home_battery", estimator, settings[0]), settings, context)


def trained(estimator: str, settings: list[HomeBatterySetting], seeds: list[int]) -> Trained:
    """A run per seed."""
    built = build(estimator, settings)
    number = settings[0].num_updates
    return train(
        built.game, built.estimator, Streams(seeds), rule=built.rule, num_updates=number,
        max_rows=number,
    )  # fmt: skip
