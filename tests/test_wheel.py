"""What a user gets: the wheel, in an environment that has what it asks for and nothing else."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from bilevelrl.problems import registry

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
#: What the sdist is made of.
SOURCES = (
    "CHANGELOG.md", "CITATION.cff", "LICENSE", "MANIFEST.in", "README.md", "docs/library.md",
    "examples", "pyproject.toml", "src", "tests",
)  # fmt: skip
LIBRARY = {
    "bilevelrl", "cloudpickle", "farama-notifications", "gymnasium", "llvmlite", "numba", "numpy",
    "typing-extensions",
}  # fmt: skip


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def required(listed: Iterable[str], extra: str = "") -> dict[str, metadata.Distribution]:
    """The installed distributions that pip would install for requirements, by name."""
    found: dict[str, metadata.Distribution] = {}
    waiting = [*named(listed, extra)]
    while waiting:
        if (name := waiting.pop()) not in found:
            found[name] = metadata.distribution(name)
            waiting += named(found[name].requires or ())
    return found


def named(listed: Iterable[str], extra: str = "") -> Iterator[str]:
    for one in map(Requirement, listed):
        if not one.marker or one.marker.evaluate({"extra": extra}):
            yield normalised(one.name)


class User:
    """A virtual environment without pip, and how a user runs Python in it."""

    def __init__(self, folder: Path, wheels: Path) -> None:
        self.folder, self.wheels = folder, wheels
        self.python = folder / "env" / "bin" / "python"
        command = [sys.executable, "-m", "venv", "--without-pip", str(folder / "env")]
        subprocess.run(command, check=True)
        (self.site,) = (folder / "env" / "lib").glob("python*/site-packages")
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("NUMBA", "PYTHON", "VIRTUAL_ENV"))
        }
        self.environment = kept | {"XDG_CACHE_HOME": str(folder / "cache")}

    def link(self, distributions: dict[str, metadata.Distribution]) -> None:
        """Put packages there as they are installed here; whole folders, for they are large."""
        owners = metadata.packages_distributions()
        for one in distributions.values():
            for top in {file.parts[0] for file in one.files or ()} - {"..", "__pycache__"}:
                # A folder of several packages would bring those that nobody asked for.
                assert {*map(normalised, owners.get(top, []))} <= distributions.keys(), top
                if not (self.site / top).exists():
                    (self.site / top).symlink_to(one.locate_file(top))

    def install(self, what: str) -> None:
        """Let pip find that all is there that the wheel requires, and install it."""
        pip = [sys.executable, "-m", "pip", "--python", str(self.python)]
        options = ["--quiet", "--no-index", "--no-compile", "--find-links", str(self.wheels)]
        self.call(*pip, "install", *options, what)

    def installed(self) -> set[str]:
        found = metadata.distributions(path=[str(self.site)])
        return {normalised(one.metadata["Name"]) for one in found}

    def run(self, code: str) -> str:
        """What a script prints; warnings are errors."""
        script = self.folder / "script.py"
        script.write_text(code, encoding="utf-8")
        return self.call(str(self.python), "-W", "error", str(script))

    def call(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the sdist, which is built from a copy: setuptools leaves files behind."""
    folder = tmp_path_factory.mktemp("project")
    for name in SOURCES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy2(ROOT / name, folder / name)
    # PyTorch requires a setuptools that is new enough.
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", "dist", "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = (folder / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def user(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> User:
    """Somebody who ran `pip install bilevelrl`."""
    (one,) = metadata.distributions(name="bilevelrl", path=[str(wheel)])
    user = User(tmp_path_factory.mktemp("user"), wheel.parent)
    user.link(required(one.requires or ()))
    user.install("bilevelrl")
    return user


@pytest.fixture(scope="module")
def user_of_torch(user: User) -> User:
    """Somebody who then ran `pip install bilevelrl[torch]`."""
    (one,) = metadata.distributions(name="bilevelrl", path=[str(user.site)])
    user.link(required(one.requires or (), "torch"))
    user.install("bilevelrl[torch]")
    return user


def files(archive: Path) -> Iterator[str]:
    folder = archive.parent / "unpacked" / archive.name
    shutil.unpack_archive(archive, folder, "zip" if archive.suffix == ".whl" else "gztar")
    yield from (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_archives_hold_the_package_and_what_describes_it(wheel: Path) -> None:
    here = {
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src" / "bilevelrl").rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }
    names = {*files(wheel)}
    assert {name for name in names if ".dist-info/" not in name} == here
    (sdist,) = wheel.parent.glob("*.tar.gz")
    names = {name.partition("/")[2] for name in files(sdist)}
    assert {name[4:] for name in names if name.startswith("src/bilevelrl/")} == here
    tops = {name.partition("/")[0] for name in names}
    assert tops == {*SOURCES} - {"tests", "docs/library.md"} | {"PKG-INFO", "setup.cfg", "docs"}


def test_only_what_the_library_needs_is_installed(user: User) -> None:
    assert user.installed() == LIBRARY


def test_importing_it_takes_less_than_a_second(user: User) -> None:
    code = "import time\nt = time.perf_counter()\nimport bilevelrl\nprint(time.perf_counter() - t)"
    assert min(float(user.run(code)) for _ in range(3)) < 1.0


def test_every_environment_takes_a_step(user: User) -> None:
    names = [name for name in registry.ENVIRONMENTS.values() if name]
    code = (
        "import bilevelrl, gymnasium\n"
        f"for name in {names}:\n"
        "    env = gymnasium.make(f'bilevelrl/{name}-v0')\n"
        "    env.reset(seed=0)\n"
        "    observation, *_ = env.step(env.action_space.sample())\n"
        "    print(env.observation_space.contains(observation))\n"
    )
    assert user.run(code).split() == ["True"] * len(names)


def test_the_public_functions_take_arrays(user: User) -> None:
    code = (
        "import numpy as np\n"
        "from bilevelrl import *\n"
        "ones, none = np.ones(2), np.zeros(2)\n"
        "episodes = Episodes.read(np.array([False, True]))\n"
        "agents = Agents(leader_discount=0.5, follower_discount=0.5, temperature=0.25)\n"
        "advantage = choice_advantages(np.array([[0.0, 2.0], [4.0, 0.0]]), np.full((2, 2), 0.5),\n"
        "                              np.array([0, 0]))\n"
        "print(advantage, generalized_advantages(episodes, ones, none, none, discount=0.5,\n"
        "                                        decay=1.0))\n"
        "seen = dict(leader_advantage=ones, follower_advantage=ones,\n"
        "            follower_side_advantage=advantage)\n"
        "print(reward_coefficients(episodes, agents, follower_side_advantage=advantage).indirect,\n"
        "      action_coefficients(episodes, agents, **seen).indirect,\n"
        "      transition_coefficients(episodes, agents, **seen).indirect)\n"
        "try:\n"
        "    aec_env('bilevelrl/DiscreteToy-v0')\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    assert user.run(code).splitlines() == [
        "[-1.  2.] [1.5 1. ]",
        "[-4.  2.] [ 0. -2.] [-4.  2.]",
        "aec_env needs PettingZoo: pip install 'bilevelrl[pettingzoo]'",
    ]


def test_the_extra_brings_pytorch(user_of_torch: User) -> None:
    assert user_of_torch.installed() >= LIBRARY | {"torch"}
    assert not user_of_torch.installed() & {"dvc", "mlflow", "pandas", "pydantic", "scipy"}


@pytest.mark.parametrize("page", ["README.md", "docs/library.md"])
def test_the_first_example_of_a_page_runs(user_of_torch: User, page: str) -> None:
    _, *blocks = (ROOT / page).read_text(encoding="utf-8").split("```python\n")
    assert blocks, f"{page} has no example in Python"
    user_of_torch.run(blocks[0].split("```")[0])
