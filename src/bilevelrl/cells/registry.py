"""Which module builds the runs of a problem.

A list of names only: a new problem must not change the keys of the runs of all others.
"""

from collections.abc import Mapping
from types import MappingProxyType

#: Problem to module, below the package.
MODULES: Mapping[str, str] = MappingProxyType(
    {
        "four_rooms": "cells.four_rooms",
        "discrete_toy_r1": "cells.discrete_toy",
        "discrete_toy_r2": "cells.discrete_toy",
        "bilevel_lqr": "cells.bilevel_lqr",
        "thermal_control": "cells.thermal_control",
        "guided_cartpole": "cells.guided_cartpole",
    }
)
