"""Which kinds of problems there are: names of folders, nothing else.

What a folder has is found by the names of its modules, and imported when it is asked for, so that a
new kind changes no run key of the others. `docs/extending.md` lists the modules.
"""

import importlib
import importlib.util
from types import ModuleType
from typing import Any

#: Folders beside this file.
KINDS = ("four_rooms", "discrete_toy", "bilevel_lqr", "thermal_control", "guided_cartpole")


def module_name(kind: str, part: str) -> str:
    """Dotted name, below the package, of a module of a kind."""
    return f"problems.{kind}.{part}"


def has(kind: str, part: str) -> bool:
    """Whether a kind has such a module."""
    if kind not in KINDS:
        return False
    return importlib.util.find_spec(f"bilevelrl.{module_name(kind, part)}") is not None


def part(kind: str, name: str) -> Any:
    """The module of a kind.

    Raises:
        ModuleNotFoundError: if it has none of that name.
    """
    module: ModuleType = importlib.import_module(f"bilevelrl.{module_name(kind, name)}")
    return module
