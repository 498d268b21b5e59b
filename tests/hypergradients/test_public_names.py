"""`import bilevelrl` gives a dozen names, and costs next to nothing."""

import subprocess
import sys

import pytest

import bilevelrl
from bilevelrl import hypergradients


def test_every_public_name_is_found_and_documented() -> None:
    for name in bilevelrl.__all__:
        assert getattr(bilevelrl, name).__doc__
        assert name in dir(bilevelrl)
    assert bilevelrl.__all__ == sorted([*hypergradients.__all__, "aec_env"])


def test_what_is_no_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        bilevelrl.no_such_name  # noqa: B018


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, bilevelrl\n"
        "heavy = {'numba', 'torch', 'pettingzoo', 'mlflow', 'dvc', 'pandas', 'pydantic'}\n"
        "own = {name for name in sys.modules if name.startswith('bilevelrl')}\n"
        "print(heavy & sys.modules.keys(), sorted(own))\n"
        "bilevelrl.action_coefficients\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "set() ['bilevelrl', 'bilevelrl.problems', 'bilevelrl.problems.registry']",
        "['numba']",
    ]
