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
