"""What is shipped: parameters and profiles are valid, and say where each number comes from."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bilevelrl.config import (
    FAMILIES,
    FourRoomsSetting,
    GameSetting,
    Params,
    Setting,
    ThermalSetting,
    TuningParams,
    read_mapping,
    read_params,
    read_tuning_params,
)
from bilevelrl.config.families import WITHOUT_GROUND_TRUTH, expand
from bilevelrl.config.settings import LEARNING
from bilevelrl.tuning import HYPERPARAMETERS, choose
from pipeline.profile import merge

ROOT = Path(__file__).parents[1]
Content = dict[str, Any]


def load(name: str) -> Content:
    return read_mapping(ROOT / name)


def profile_names() -> list[str]:
    return sorted(path.stem for path in (ROOT / "profiles").glob("*.yaml"))


def shipped_params() -> Iterator[tuple[str, Params]]:
    """params.yaml, and what each profile makes of it."""
    base = load("params.yaml")
    yield "params.yaml", Params.model_validate(base)
    for name in profile_names():
        content = merge(base, load(f"profiles/{name}.yaml"))
        yield f"profiles/{name}.yaml", Params.model_validate(content)


def shipped_settings() -> Iterator[tuple[str, str, str, Setting]]:
    """(file, problem, estimator, setting) of everything that is trained."""
    for file, params in shipped_params():
        for item in params.grid.values():
            for setting in params.settings(item.problem, item.estimator):
                yield file, item.problem, item.estimator, setting


def test_the_shipped_parameters_are_valid() -> None:
    assert Params.model_validate(load("params.yaml")) == read_params(ROOT / "params.yaml")


def test_the_promised_profiles_are_shipped() -> None:
    assert {"paper", "smoke"} <= set(profile_names())


@pytest.mark.parametrize("name", profile_names())
def test_each_profile_is_valid_and_a_difference(name: str) -> None:
    shipped = load("params.yaml")
    merged = merge(shipped, load(f"profiles/{name}.yaml"))
    assert merged != shipped
    params = Params.model_validate(merged)
    for item in params.grid.values():
        assert params.settings(item.problem, item.estimator)


@pytest.mark.parametrize("name", profile_names())
def test_a_profile_removes_only_what_is_there(name: str) -> None:
    # null removes a key; a misspelt one would remove nothing, and say nothing.
    def removed(difference: Content, base: Content, path: str) -> Iterator[str]:
        for key, value in difference.items():
            if value is None and key not in base:
                yield f"{path}{key}"
            elif isinstance(value, dict) and isinstance(base.get(key), dict):
                yield from removed(value, base[key], f"{path}{key}.")

    assert not [*removed(load(f"profiles/{name}.yaml"), load("params.yaml"), "")]


def test_reported_seeds_are_disjoint_from_those_of_tuning() -> None:
    tuning = read_tuning_params(ROOT / "tuning" / "params.yaml")
    most = max(map(tuning.seeds_of, tuning.grid))
    tuned = {*range(tuning.first_seed, tuning.first_seed + most)}
    for _, _, _, setting in shipped_settings():
        assert tuned.isdisjoint(setting.seeds)
    for _, params in shipped_params():
        reported = {params.environments.four_rooms.seed}
        reported.add(params.gradients.four_rooms.trajectory_seed)
        for problem in FAMILIES.keys() - WITHOUT_GROUND_TRUTH:
            study = params.gradients.of(problem)
            reported |= {*range(study.first_seed, study.first_seed + study.replicates)}
            for _, seeds in study.information.seeds(study.first_seed):
                reported |= {*seeds}
        assert tuned.isdisjoint(reported)


def test_tuning_covers_the_conditions_under_which_the_grid_runs() -> None:
    tuning = read_tuning_params(ROOT / "tuning" / "params.yaml")
    # Without a ground truth nobody searched.
    cells = load("params.yaml")["grid"].items()
    searched = {name for name, cell in cells if cell["problem"] not in WITHOUT_GROUND_TRUTH}
    assert searched <= {*tuning.grid}
    for name in tuning.grid:
        assert tuning.settings(name)


#: The authors' final checkpoints, for the published variant: (η, α) by estimator, temperature and
#: transitions per update. Source: specs/four_rooms.md section 9.3, "Best (eta, alpha)"; at
#: (bc_hg, .003, 400) the checkpoint and the published figure differ; (hpgd_sa, .001, 100) is the
#: published run of section 9.4. None: not a hyper-parameter of the estimator, or "any".
PAPER: dict[tuple[str, float, int], list[tuple[float | None, float | None]]] = {
    ("bc_hg", 0.001, 100): [(0.1, 0.3)],
    ("bc_hg", 0.001, 400): [(0.5, 0.5)],
    ("bc_hg", 0.001, 1000): [(0.5, 0.7)],
    ("bc_hg", 0.003, 100): [(0.05, 0.5)],
    ("bc_hg", 0.003, 400): [(0.1, 1.0), (0.5, 0.5)],
    ("bc_hg", 0.003, 1000): [(0.5, 0.7)],
    ("hpgd_mc", 0.001, 100): [(0.1, None)],
    ("hpgd_mc", 0.001, 400): [(0.1, None)],
    ("hpgd_mc", 0.001, 1000): [(0.05, None)],
    ("hpgd_mc", 0.003, 100): [(0.01, None)],
    ("hpgd_mc", 0.003, 400): [(0.1, None)],
    ("hpgd_mc", 0.003, 1000): [(0.05, None)],
    ("hpgd_sa", 0.001, 100): [(0.5, 0.9)],
    ("hpgd_sa", 0.003, 100): [(0.05, 0.9)],
    ("hpgd_sa", 0.003, 400): [(0.5, 0.1)],
    ("hpgd_sa", 0.003, 1000): [(None, None)],
    ("hpgd_oracle", 0.001, 100): [(0.05, None)],
    ("hpgd_oracle", 0.001, 400): [(0.05, None)],
    ("hpgd_oracle", 0.001, 1000): [(0.05, None)],
    ("hpgd_oracle", 0.003, 100): [(0.05, None)],
    ("hpgd_oracle", 0.003, 400): [(0.05, None)],
    ("hpgd_oracle", 0.003, 1000): [(0.05, None)],
}
ALWAYS_HALF = ("naive", "sobirl")  # "baseline/sobirl η = .5 always"


#: Actor and critic steps (M, C) of the released configurations, specs/markov_game.md section 5.1.
PAPER_STEPS: dict[tuple[str, str], tuple[int, int]] = {
    ("discrete_toy_r1", "bc_hg"): (10, 1),
    ("discrete_toy_r1", "naive_on"): (2, 20),
    ("discrete_toy_r1", "naive_off"): (5, 1),
    ("discrete_toy_r1", "bi_ac_on"): (2, 10),
    ("discrete_toy_r1", "bi_ac_off"): (5, 1),
    ("discrete_toy_r2", "bc_hg"): (1, 1),
    ("discrete_toy_r2", "naive_on"): (1, 20),
    ("discrete_toy_r2", "naive_off"): (1, 10),
    ("discrete_toy_r2", "bi_ac_on"): (1, 5),
    ("discrete_toy_r2", "bi_ac_off"): (1, 5),
    ("bilevel_lqr", "bc_hg"): (10, 5),
    ("bilevel_lqr", "naive_on"): (10, 5),
    ("bilevel_lqr", "naive_off"): (2, 5),
}


#: Step sizes of the published figure, specs/thermal.md section 15.
PAPER_STEP_SIZES = {"bc_hg": 0.1, "naive": 0.1, "hpgd_mc": 0.001, "hpgd_td": 0.01}


def is_from_the_paper(problem: str, estimator: str, setting: Setting) -> bool:
    if isinstance(setting, ThermalSetting):
        published = setting.variant == "published"
        return published and setting.step_size == PAPER_STEP_SIZES.get(estimator)
    if isinstance(setting, GameSetting):
        steps = (setting.actor_steps, setting.critic_steps)
        published = setting.variant == "published"
        return published and steps == PAPER_STEPS.get((problem, estimator))
    assert isinstance(setting, FourRoomsSetting)
    if setting.variant != "published" or setting.oracle_steps_per_update not in (None, 10_000):
        return False
    if estimator in ALWAYS_HALF:
        return setting.step_size == 0.5
    own = (setting.step_size, setting.critic_step_size)
    key = (estimator, setting.temperature, setting.env_steps_per_update or 0)
    return any(
        all(listed in (None, mine) for listed, mine in zip(candidate, own, strict=True))
        for candidate in PAPER.get(key, [])
    )


def conditions_of(entry: Content) -> tuple[Any, ...]:
    return tuple(entry.get(k) for k in ("variant", "temperature", "env_steps_per_update"))


def hyperparameters_of(entry: Content) -> Content:
    return {key: entry[key] for key in HYPERPARAMETERS if entry.get(key) is not None}


def test_every_shipped_setting_is_the_papers_or_the_tuned_one() -> None:
    tuned = {
        (problem, estimator, *conditions_of(entry)): hyperparameters_of(entry)
        for problem, estimators in load("tuning/chosen.yaml")["cells"].items()
        for estimator, entries in estimators.items()
        for entry in entries.values()
    }
    untraceable = set()
    for file, problem, estimator, setting in shipped_settings():
        entry = setting.model_dump()
        if studies_the_follower(entry):
            continue  # see below
        key = (problem, estimator, *conditions_of(entry))
        shipped = hyperparameters_of(entry)
        ablation = getattr(setting, "study", None) is not None
        paper = is_from_the_paper(problem, estimator, setting)
        if not (paper or ablation) and shipped != tuned.get(key):
            untraceable.add(f"{file}: {key} has {shipped}, tuned: {tuned.get(key)}")
    assert not sorted(untraceable)


def studies_the_follower(entry: Content) -> bool:
    """Whether the follower learns, or the leader does not see all of it."""
    return entry.get("follower") in LEARNING or entry.get("information", "full") != "full"


def test_a_study_of_the_follower_changes_nothing_else() -> None:
    # What such a setting costs is told by its twin, whose leader reads an exact follower.
    twins, lonely, found = set(), set(), 0
    for studied in (False, True):
        for file, problem, estimator, setting in shipped_settings():
            entry = setting.model_dump()
            if studies_the_follower(entry) != studied or problem in WITHOUT_GROUND_TRUTH:
                continue
            found += studied
            own = tuple(sorted(hyperparameters_of(entry).items()))
            key = (file, problem, estimator, *conditions_of(entry), own)
            if not studied and setting.follower == "exact":
                twins.add(key)
            elif studied and key not in twins:
                lonely.add(key)
    assert not lonely
    assert found > 30


@pytest.mark.parametrize("file", ["params.yaml", "profiles/paper.yaml"])
def test_every_shipped_entry_says_where_it_comes_from(file: str) -> None:
    content = load(file)
    params = dict(shipped_params())[file]
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    said = [
        found[1] for line in lines if (found := re.search(r"\} # (paper|tuned|ablation)$", line))
    ]
    known = []
    for problem, estimators in content["cells"].items():
        for estimator, entries in estimators.items():
            for entry in filter(None, entries.values()):
                if "study" in entry or "believed_temperature" in entry:
                    known.append("ablation")
                    continue
                if studies_the_follower(entry):
                    continue  # its twin says it
                setting = expand(entry, problem, estimator, params.shared(problem), "")[0]
                paper = is_from_the_paper(problem, estimator, setting)
                known.append("paper" if paper else "tuned")
    assert said == known


def tuning_params() -> TuningParams:
    return read_tuning_params(ROOT / "tuning" / "params.yaml")


@pytest.mark.parametrize("name", sorted(tuning_params().grid))
def test_the_tuned_settings_are_the_best_rows_of_the_search(name: str) -> None:
    tuning, chosen = tuning_params(), load("tuning/chosen.yaml")
    cell = tuning.grid[name]
    table = pd.read_csv(ROOT / "tuning" / "results" / f"{name}.csv")
    assert len(table) == len(tuning.settings(name))
    assert set(table["seeds"]) == {tuning.seeds_of(name)}
    entries = chosen["cells"][cell.problem][cell.estimator]
    assert choose(table).items() <= entries.items()
    swept = table[[key for key in HYPERPARAMETERS if key in table]]
    assert chosen["candidates"][name] == len(swept.drop_duplicates())
