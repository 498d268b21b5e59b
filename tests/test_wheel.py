"""What a user gets: the wheel, in an environment that has what it asks for and nothing else."""

import json
import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from bilevelrl.problems import registry
from tests.installed import ROOT, SOURCES, User, built, required

pytestmark = pytest.mark.slow

EXAMPLES = ROOT / "examples"

LIBRARY = {
    "bilevelrl", "cloudpickle", "farama-notifications", "gymnasium", "llvmlite", "numba", "numpy",
    "typing-extensions",
}  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def user(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> User:
    """Somebody who ran `pip install bilevelrl`."""
    (one,) = metadata.distributions(name="bilevelrl", path=[str(wheel)])
    user = User(tmp_path_factory.mktemp("user"), wheel.parent)
    user.link(required(one.requires or ()))
    user.install("bilevelrl")
    return user


def with_extra(user: User, extra: str) -> User:
    (one,) = metadata.distributions(name="bilevelrl", path=[str(user.site)])
    user.link(required(one.requires or (), extra))
    user.install(f"bilevelrl[{extra}]")
    return user


@pytest.fixture(scope="module")
def user_of_torch(user: User) -> User:
    """Somebody who then ran `pip install bilevelrl[torch]`."""
    return with_extra(user, "torch")


@pytest.fixture(scope="module")
def user_of_examples(user_of_torch: User) -> User:
    """Somebody who then ran `pip install bilevelrl[examples]`."""
    return with_extra(user_of_torch, "examples")


def files(archive: Path) -> Iterator[str]:
    folder = archive.parent / "unpacked" / archive.name
    shutil.unpack_archive(archive, folder, "zip" if archive.suffix == ".whl" else "gztar")
    yield from (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_archives_hold_the_package_and_what_describes_it(wheel: Path) -> None:
    here = {
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src" / "bilevelrl").rglob("*")
        if path.suffix in (".py", ".html", ".css")
        or path.name == "py.typed"
        or (path.parent.name == "data" and path.is_file())
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


def example(user: User, name: str, ignored: str, *results: str) -> list[Any]:
    """What expressions in the names of an example are worth; it draws beside itself."""
    copy = Path(shutil.copy(EXAMPLES / f"{name}.py", user.folder))
    code = (
        "import json, os, runpy, warnings\n"
        "os.environ['MPLBACKEND'] = 'Agg'\n"
        "import bilevelrl, numpy as np\n"
        f"{ignored}\n"
        f"names = runpy.run_path({str(copy)!r})\n"
        f"print(json.dumps([eval(each, names | {{'np': np}}) for each in {results!r}]))\n"
    )
    found: list[Any] = json.loads(user.run(code).splitlines()[-1])
    assert copy.with_suffix(".png").stat().st_size > 10_000
    return found


def test_fines_keep_the_follower_in_the_middle(user_of_examples: User) -> None:
    first, last, middle, start = example(
        user_of_examples, "reward_design", "", "float(np.mean(curve[:20]))",
        "float(np.mean(curve[-20:]))", "fines[MIDDLE].item()", "fines[START].item()",
    )  # fmt: skip
    assert last > 3.0 > 1.0 > first
    assert middle < 0.05 < 0.15 < start


def test_grit_leads_the_follower_past_the_kiosk(user_of_examples: User) -> None:
    lags = "warnings.simplefilter('ignore', bilevelrl.NotCentredWarning)"  # a belief at first
    returns, grip, kiosk = example(
        user_of_examples, "environment_design", lags,
        "[row['leader_return_sampled'] for row in trainer.history]",
        "leader.chances()[:, 1].tolist()", "KIOSK",
    )  # fmt: skip
    assert returns[0] < 0.2 < 0.7 < sum(returns[-10:]) / 10.0
    assert grip[4] < 0.6 < 0.9 < grip[kiosk]


def test_only_the_hypergradient_sees_the_follower_go(user_of_examples: User) -> None:
    (ends,) = example(
        user_of_examples, "acting_leader", "",
        "{name: float(np.mean([row['leader_return_sampled'] for row in each.history[-5:]])) "
        "for name, each in trainers.items()}",
    )  # fmt: skip
    assert ends["BC-HG"] > 15.0 > 5.0 > ends["Naive-PGD"]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_examples_are_short_and_show_their_figure(path: Path) -> None:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(lines) < 60
    assert path.with_suffix(".png").exists()
