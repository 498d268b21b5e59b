"""Home batteries as params.yaml has them, and small settings of their estimators."""

from functools import partial
from typing import Any

from bilevelrl.core.problem import Problem
from bilevelrl.problems.home_battery.estimator_settings import HomeBatterySetting
from tests.problems.shipped_cells import PARAMS, build_runs, trained_runs

PROBLEM: Problem[Any] = PARAMS.problem("home_battery")
BLOCK: Any = PARAMS.block("home_battery")
#: J in $ per day of one house under the flat and the best known tariff, by L-BFGS from five starts.
FLAT, BEST = -1.200552793495, -1.059207772063


def setting(estimator: str, entry: str = "corrected", **changes: Any) -> HomeBatterySetting:
    """The first setting of an entry of `cells`, with changes."""
    key = f"problems.home_battery.cells.{estimator}.{entry}"
    found = next(each for where, each in BLOCK.settings("home_battery", estimator) if where == key)
    return type(found).model_validate(found.model_dump() | changes)  # type: ignore[no-any-return]


#: `shipped_cells.build_runs` and `trained_runs` of this problem.
build = partial(build_runs, "home_battery")
trained = partial(trained_runs, "home_battery")
