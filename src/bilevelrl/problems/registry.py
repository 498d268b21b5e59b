"""Which kinds of problems there are: names of folders and of environments, nothing else.

What a folder has is found by the names of its modules, and imported when it is asked for, so that a
new kind changes no run key of the others. `docs/extending.md` lists the modules.
"""

import importlib
import importlib.util
from types import ModuleType
from typing import Any

#: Folders beside this file, each with the name of its Gymnasium environment, None if it has none:
#: "FourRooms" is `FourRoomsEnv` in its module `gym`, which is made as bilevelrl/FourRooms-v0.
ENVIRONMENTS: dict[str, str | None] = {
    "four_rooms": "FourRooms",
    "discrete_toy": "DiscreteToy",
    "bilevel_lqr": "BilevelLQR",
    "thermal_control": "ThermalControl",
    "guided_cartpole": "GuidedCartPole",
    "tolls": "Tolls",
    "escape_room": "EscapeRoom",
    "home_battery": "HomeBattery",
}
KINDS = tuple(ENVIRONMENTS)


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


def function_name(kind: str, path: str) -> tuple[str, str]:
    """Module, below the package, and function of "module:function".

    Args:
        kind: whose folder the module lies in, if its name has no dots.
        path: with dots, of any module of the package.
    """
    module, name = path.split(":")
    return module if "." in module else module_name(kind, module), name


def function(kind: str, path: str) -> Any:
    """What `function_name` names.

    Raises:
        ModuleNotFoundError: if there is no such module.
        AttributeError: if it has no such function.
    """
    module, name = function_name(kind, path)
    return getattr(importlib.import_module(f"bilevelrl.{module}"), name)
