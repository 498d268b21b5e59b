"""Road pricing as params.yaml has it, and small settings of its estimators."""

from functools import partial
from typing import Any

from bilevelrl.core.problem import Problem
from bilevelrl.problems.tolls.estimator_settings import TollsSetting
from tests.problems.shipped_cells import PARAMS, build_runs, trained_runs

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


#: `shipped_cells.build_runs` and `trained_runs` of this problem.
build = partial(build_runs, "tolls")
trained = partial(trained_runs, "tolls")
