"""`import bilevelrl` registers every problem's environment with Gymnasium, by name only."""

import subprocess
import sys

import gymnasium
import pytest

from bilevelrl.problems import registry

NAMES = [name for name in registry.ENVIRONMENTS.values() if name is not None]


@pytest.mark.parametrize("kind", registry.KINDS)
def test_a_problem_has_a_name_of_its_environment_if_it_has_one(kind: str) -> None:
    name = registry.ENVIRONMENTS[kind]
    assert registry.has(kind, "gym") == (name is not None)
    if name is not None:
        environment = getattr(registry.part(kind, "gym"), f"{name}Env")
        assert type(gymnasium.make(f"bilevelrl/{name}-v0").unwrapped) is environment


@pytest.mark.parametrize(
    ("modules", "prefix"), [("gymnasium, bilevelrl", ""), ("gymnasium", "bilevelrl:")]
)
def test_environments_are_made_by_name_alone(modules: str, prefix: str) -> None:
    code = (
        f"import sys, {modules}\n"
        f"for name in {NAMES}:\n"
        f"    print(gymnasium.make(f'{prefix}bilevelrl/{{name}}-v0').spec.id)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [f"bilevelrl/{name}-v0" for name in NAMES]


def test_environments_need_nothing_of_what_checks_params() -> None:
    code = (
        "import sys\n"
        "sys.modules['pydantic'] = None\n"
        "import gymnasium, bilevelrl\n"
        f"for name in {NAMES}:\n"
        "    gymnasium.make(f'bilevelrl/{name}-v0')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
