"""Keys of params.yaml that nobody knows."""

import pytest

from tests.runs.params_files import Content, Read, changed, named, refusal

ENTRY = "problems.four_rooms.cells.bc_hg.published_100"


TRUNCATED = "problems.four_rooms.cells.bc_hg.truncated"


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("followrs", "followers"),
        ("problems.four_rooms.constants.discont", "discount"),
        ("problems.four_rooms.search.temperature", "temperatures"),
        ("problems.four_rooms.seeds.num_seed", "num_seeds"),
        ("evaluate.confidense", "confidence"),
        (f"{ENTRY}.stepsize", "step_size"),
        (f"{ENTRY}.critic.stepsize", "step_size"),
        (f"{TRUNCATED}.follower.policy_iteration", "policy_iterations"),
        ("problems.thermal_control.learner.activation", "activation_fn"),
        ("problems.guided_cartpole.training.follower.first_step", "first_steps"),
    ],
)
def test_a_misspelt_key_is_named_with_the_right_one(
    read: Read, shipped: Content, key: str, meant: str
) -> None:
    message = refusal(read, changed(shipped, key, 0.25))
    assert f"{named(key)} = 0.25: unknown key (did you mean {meant}?)" in message
    assert f"'{meant}'" in message.partition("allowed are")[2]


@pytest.mark.parametrize(
    "key",
    [
        "tracker",
        "problems.four_rooms.constants.xyz",
        "problems.discrete_toy_r1.training.critic.xyz",
        f"{ENTRY}.xyz",
        f"{ENTRY}.critic.xyz",
    ],
)
def test_an_unknown_key_is_named_with_those_that_are_allowed(
    read: Read, shipped: Content, key: str
) -> None:
    message = refusal(read, changed(shipped, key, 0.25))
    assert f"{named(key)} = 0.25: unknown key; allowed are ['" in message


@pytest.mark.parametrize(
    ("key", "instead"),
    [
        ("four_rooms.cells.cma_es.published.step_size", "spread"),
        ("four_rooms.cells.bc_hg.identified_100.step_size", "model"),
        ("tolls.cells.cma_es.corrected.step_size_ratio", "spread"),
        ("tolls.cells.externality.corrected.step_size_ratio", "step_size"),
        ("home_battery.cells.cma_es.corrected.step_size", "spread"),
    ],
)
def test_what_an_estimator_does_not_use_is_no_key_of_its(
    read: Read, shipped: Content, key: str, instead: str
) -> None:
    message = refusal(read, changed(shipped, f"problems.{key}", 0.25))
    assert "= 0.25: unknown key" in message
    assert f"'{instead}'" in message.partition("allowed are")[2]


@pytest.mark.parametrize("key", ["step_size", "momentum"])
def test_a_leader_that_plans_takes_no_steps(read: Read, shipped: Content, key: str) -> None:
    where = "problems.thermal_control.cells.bc_hg.identified_100"
    message = refusal(read, changed(shipped, f"{where}.{key}", 0.25))
    assert f"{key} = 0.25 does not go with belief.kind = identified" in message


def test_a_leader_that_steps_has_a_step_size(read: Read, shipped: Content) -> None:
    del shipped["problems"]["thermal_control"]["cells"]["bc_hg"]["sampled_sensitivity"]["step_size"]
    assert "step_size is missing" in refusal(read, shipped)
