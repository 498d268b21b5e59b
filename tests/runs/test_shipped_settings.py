"""What is shipped: parameters and profiles are valid, and studies change what they study."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bilevelrl.core.blocks import InformedStudyParams
from bilevelrl.core.settings import ExactFollower, LearningFollower, Setting, flat
from bilevelrl.runs.params import Params, parse_params, read_params
from bilevelrl.runs.tuning_params import read_tuning_params
from bilevelrl.runs.yaml_files import read_mapping
from pipeline.profile import merge

ROOT = Path(__file__).parents[2]
Content = dict[str, Any]


def load(name: str) -> Content:
    return read_mapping(ROOT / name)


def profile_names() -> list[str]:
    return sorted(path.stem for path in (ROOT / "profiles").glob("*.yaml"))


def shipped_params() -> Iterator[tuple[str, Params]]:
    """params.yaml, and what each profile makes of it."""
    base = load("params.yaml")
    yield "params.yaml", parse_params(base, "params.yaml")
    for name in profile_names():
        content = merge(base, load(f"profiles/{name}.yaml"))
        yield f"profiles/{name}.yaml", parse_params(content, "params.yaml")


def shipped_settings() -> Iterator[tuple[str, str, str, Setting]]:
    """(file, problem, estimator, setting) of everything that is trained."""
    for file, params in shipped_params():
        for item in params.grid.values():
            for setting in params.settings(item.problem, item.estimator):
                yield file, item.problem, item.estimator, setting


def test_the_shipped_parameters_are_valid() -> None:
    assert parse_params(load("params.yaml"), "params.yaml") == read_params(ROOT / "params.yaml")


def test_the_promised_profiles_are_shipped() -> None:
    assert {"paper", "smoke"} <= set(profile_names())


@pytest.mark.parametrize("name", profile_names())
def test_each_profile_is_valid_and_a_difference(name: str) -> None:
    shipped = load("params.yaml")
    merged = merge(shipped, load(f"profiles/{name}.yaml"))
    assert merged != shipped
    params = parse_params(merged, "params.yaml")
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
        reported = {params.block("four_rooms").search.seed}
        reported.add(params.block("four_rooms").gradients.trajectory_seed)
        studies = [block.gradients for block in params.problems.values()]
        informed = sum(isinstance(study, InformedStudyParams) for study in studies)
        assert informed == len(studies) - 4  # not the cart-pole, rooms, roads, nor houses
        for study in studies:
            assert study is not None
            reported |= {*range(study.first_seed, study.first_seed + study.replicates)}
            if not isinstance(study, InformedStudyParams):
                continue
            for _, seeds in study.information.seeds(study.first_seed):
                reported |= {*seeds}
        assert tuned.isdisjoint(reported)


def test_the_search_covers_every_estimator_that_learns() -> None:
    cells = load("params.yaml")["grid"].values()
    learning = {(cell["problem"], cell["estimator"]) for cell in cells}
    searches = read_tuning_params(ROOT / "tuning" / "params.yaml").grid.values()
    searched = {(search.problem, search.estimator) for search in searches}
    assert {each for each in learning if each[1] != "random"} <= searched


def follower_of(setting: Setting) -> str:
    """The kind of follower; estimators that know the exact one alone do not name it."""
    return str(getattr(setting, "follower", ExactFollower()).kind)


def studies_the_follower(setting: Setting) -> bool:
    """Whether the follower learns, or the leader does not see all of it, and plans nothing."""
    if getattr(setting, "plans", False):
        return False
    learns = isinstance(getattr(setting, "follower", None), LearningFollower)
    learns |= follower_of(setting) == "day_to_day"
    return learns or getattr(setting, "belief", None) is not None


#: What a study of followers may change of its twin, whose leader reads an exact follower.
STUDIED = {"follower", "belief", "num_updates", "num_seeds", "study"}


def test_a_study_of_the_follower_changes_nothing_else() -> None:
    # What such a setting costs is told by its twin.
    blocks = read_params(ROOT / "params.yaml").problems
    without_exact = {name for name, block in blocks.items() if block.learning is None}
    # Players and travellers are solved for; nobody learns at the initial θ there.
    assert without_exact == {"guided_cartpole", "escape_room", "tolls"}
    twins, lonely, found = set(), set(), 0
    for studied in (False, True):
        for file, problem, estimator, setting in shipped_settings():
            if studies_the_follower(setting) != studied or problem in without_exact:
                continue
            found += studied
            own = flat(setting.model_dump(exclude=STUDIED))
            key = (file, problem, estimator, *sorted(own.items()))
            if not studied and follower_of(setting) == "exact":
                twins.add(key)
            elif studied and key not in twins:
                lonely.add(key)
    assert not lonely
    assert found > 30


#: What each study that has a name changes of the main comparison.
ABLATIONS: dict[str, Content] = {
    "clipped": {"max_gradient_norm": 1.0},
    "no_random_phase": {"random_updates": 0},
    "clipped_no_random_phase": {"max_gradient_norm": 1.0, "random_updates": 0},
    "sampled_sensitivity": {"sensitivity": "sampled"},
    "net_cost": {"objective": "net"},
    "all_links": {"tollable": 76},
    "all_links_net_cost": {"objective": "net", "tollable": 76},
    "houses_4": {"houses": 4},
    "houses_17": {"houses": 17},
    "identified_houses_4": {"houses": 4},
    "identified_houses_17": {"houses": 17},
    "one_sided": {"two_sided": False},
    "watching": {"information": "actions"},
    "varying_days": {"day_spread": 0.2},
    "network": {"day_spread": 0.2, "leader": "network"},
    "network_17": {"day_spread": 0.2, "leader": "network", "houses": 17},
    "identified_network": {"day_spread": 0.2, "leader": "network"},
    "identified_network_17": {"day_spread": 0.2, "leader": "network", "houses": 17},
}


#: Keys that a study has a search of its own for, or that bound its run time.
SEARCHED = {
    "one_sided": {"step_size", "epsilon"},
    "all_links": {"step_size", "forgetting_factor"},
    "all_links_net_cost": {"step_size", "forgetting_factor"},
    "houses_4": {"step_size"},
    "houses_17": {"step_size", "step_size_ratio"},
    "identified_houses_4": {"step_size"},
    "identified_houses_17": {"step_size", "step_size_ratio"},
    "varying_days": {"step_size", "num_updates"},
    "network": {"step_size", "num_updates", "days_per_update", "model_forgetting_factor"},
    "network_17": {"step_size", "num_updates"},
    "identified_network": {"step_size"},
    "identified_network_17": {"step_size", "num_updates"},
}


def differences(one: Setting, other: Setting) -> set[str]:
    """Keys in which two settings differ, but for their study's name and the number of seeds."""
    mine, yours = (flat(each.model_dump(exclude={"study", "num_seeds"})) for each in (one, other))
    keys = mine.keys() | yours.keys()
    return {key for key in keys if mine.get(key, ...) != yours.get(key, ...)}


def compared() -> list[tuple[str, str, str, Setting]]:
    """What is trained to be compared: the smoke profile only shows that everything runs."""
    return [each for each in shipped_settings() if each[0] != "profiles/smoke.yaml"]


def test_a_study_that_has_a_name_changes_what_it_is_about_and_nothing_else() -> None:
    wrong, found, every = [], set(), compared()
    for *where, setting in every:
        name = getattr(setting, "study", None)
        if name is None:
            continue
        found.add(name)
        if name == "identified":
            continue
        mains = [
            other
            for *place, other in every
            if place == where and getattr(other, "study", None) is None
        ]
        own = ABLATIONS[name]
        if any(getattr(setting, key) != value for key, value in own.items()):
            wrong.append(f"{where}: {name} is none")
        searched = SEARCHED.get(name, set())
        if not any(differences(setting, main) - searched == own.keys() for main in mains):
            wrong.append(f"{where}: {name} has no twin")
    assert wrong == []
    assert found == ABLATIONS.keys() | {"identified"}


#: By problem, what a leader that identifies its model has otherwise than one that does not.
LEARNS_ALONE = {
    "tolls": [{"model"}],
    # Each leader has the step size that its own search chose.
    "guided_cartpole": [{"critic", "belief"}, {"critic", "belief", "shrinkage", "step"}],
    # It takes no steps, and needs fewer updates.
    "thermal_control": [{"belief", "num", "step", "momentum"}],
}


def test_a_leader_that_identifies_its_model_differs_in_how_it_learns_alone() -> None:
    every = compared()
    for *where, setting in every:
        if getattr(setting, "study", None) == "identified":
            (*_, problem, _) = where
            mains = (
                other
                for *place, other in every
                if place == where and getattr(other, "study", None) is None
            )
            found = [
                {key.partition("_")[0] for key in differences(setting, main)} for main in mains
            ]
            assert any(each in found for each in LEARNS_ALONE[problem])


def test_a_study_of_the_start_changes_nothing_else() -> None:
    lonely, found, every = [], 0, compared()
    for *where, setting in every:
        if where[1] != "four_rooms" or getattr(setting, "initial_spread", None) == 0.01:
            continue
        found += 1
        near = setting.model_copy(update={"initial_spread": 0.01})
        if (*where, near) not in every:
            lonely.append(f"{where}: {setting}")
    assert lonely == []
    assert found > 10
