"""Bad input gets one error that names the argument, what it is and what is expected."""

from typing import Any

import numpy as np
import pytest
import torch

from bilevelrl.hypergradients.advantages import choice_advantages
from bilevelrl.hypergradients.coefficients import (
    Agents,
    Coefficients,
    action_coefficients,
    reward_coefficients,
    transition_coefficients,
)
from bilevelrl.hypergradients.episodes import Carry, Episodes
from bilevelrl.hypergradients.surrogate import surrogate

pytestmark = pytest.mark.filterwarnings(
    "ignore::bilevelrl.hypergradients.coefficients.NotCentredWarning"  # few, and any, numbers
)
Array = np.ndarray[Any, np.dtype[Any]]
AGENTS = Agents(0.9, 0.8, 0.5)
GOOD: dict[str, Any] = {
    "leader_advantage": np.ones(4),
    "follower_side_advantage": np.ones(4),
    "follower_advantage": np.ones(4),
}
LAST = np.array([False, False, False, True])


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("leader_advantage", np.ones(5), ValueError, r"has shape \(5,\); expected \(4,\)"),
        ("follower_advantage", np.ones((1, 4)), ValueError, r"has shape \(1, 4\)"),
        ("follower_side_advantage", np.ones(4, int), TypeError, "dtype int64; expected float32 or"),
        ("follower_advantage", np.array([0, 1, np.inf, 0]), ValueError, "inf at transition 2 of"),
        ("leader_advantage", np.array([np.nan] * 4), ValueError, "nan .*4 of 4"),
    ],
)
@pytest.mark.parametrize("channel", [action_coefficients, transition_coefficients])
def test_bad_numbers_are_named(
    channel: Any, name: str, value: Array, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"^{name} .*{message}"):
        channel(Episodes.read(LAST), AGENTS, **{**GOOD, name: value})


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"truncated": LAST[:3]}, ValueError, r"truncated has shape \(3,\); expected \(4,\)"),
        ({"truncated": np.full(4, 2)}, TypeError, "truncated holds 2; expected booleans"),
        ({"truncated": [0, 1]}, TypeError, "truncated is a list; expected a NumPy array"),
        ({"carry": LAST}, TypeError, "carry is a ndarray; expected a Carry"),
        ({"carry": Carry(np.ones(2, int), np.ones(1))}, ValueError, r"carry has shapes \(2,\)"),
        ({"carry": Carry(-np.ones(1, int), np.ones(1))}, ValueError, r"carry.step is \[-1\]"),
        ({"carry": Carry(np.ones(1, int), np.full(1, np.nan))}, ValueError, "carry.trace is"),
        (
            {"carry": Carry(np.ones(1, int), np.ones(1)), "mask": ~LAST[::-1]},
            ValueError,
            "mask is False at transition 0 of row 0, in the middle",
        ),
        ({"mask": np.zeros(4)}, ValueError, "mask is False everywhere"),
        ({"mask": np.array([1, 0, 1, 1])}, ValueError, "after transition 0 of row 0, in the middl"),
    ],
)
def test_bad_flags_are_named(given: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Episodes.read(LAST, **given)


@pytest.mark.parametrize("agents", [Agents(1.0, 0.9, 1.0), Agents(0.9, 1.0, 1.0)])
def test_an_undiscounted_sum_needs_an_end(agents: Agents) -> None:
    with pytest.raises(ValueError, match=r"_discount is 1, and neither terminated nor truncated"):
        action_coefficients(Episodes.read(np.zeros(4)), agents, **GOOD)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((1.1, 0.9, 1.0), "leader_discount is 1.1; expected a number from 0 to 1"),
        ((0.9, -0.1, 1.0), "follower_discount is -0.1"),
        ((0.9, 0.9, 0.0), "temperature is 0.0; expected a number above 0"),
        ((0.9, float("nan"), 1.0), "follower_discount is nan"),
    ],
)
def test_bad_agents_are_named(numbers: tuple[float, float, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Agents(*numbers)


@pytest.mark.parametrize(
    ("values", "probabilities", "choice", "message"),
    [
        (np.ones((4, 2)), np.ones((4, 3)), np.zeros(4, int), r"shapes \(4, 2\), \(4, 3\)"),
        (np.ones((4, 2)), np.ones((4, 2)), np.zeros(4, int), "sum to one within 1"),
        (np.ones((4, 2)), np.full((4, 2), 0.5), np.full(4, 2), "from 2 to 2; expected from 0 to 1"),
        (np.full((4, 2), np.nan), np.full((4, 2), 0.5), np.zeros(4, int), "values holds nan"),
        (np.ones((4, 2)), np.tile([1.5, -0.5], (4, 1)), np.zeros(4, int), "are -0.5 and more"),
        (np.ones((0, 2)), np.ones((0, 2)), np.zeros(0, int), r"shapes \(0, 2\)"),
    ],
)
def test_bad_choices_are_named(
    values: Array, probabilities: Array, choice: Array, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        choice_advantages(values, probabilities, choice)


@pytest.mark.parametrize(
    ("values", "choice", "message"),
    [
        (np.ones((4, 2), int), np.zeros(4, int), "values has dtype int64; expected float32 or"),
        (np.ones((4, 2)), np.zeros(4), "choice has dtype float64; expected integers"),
        ([[1.0, 2.0]] * 4, np.zeros(4, int), "values is a list"),
        (torch.ones(4, 2).bfloat16(), torch.zeros(4).long(), "values has dtype torch.bfloat16"),
    ],
)
def test_choices_of_another_kind_are_named(values: Any, choice: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        choice_advantages(values, np.full((4, 2), 0.5), choice)


def torch_coefficients() -> Coefficients[torch.Tensor]:
    good = {name: torch.ones(4) for name in GOOD}
    return action_coefficients(Episodes.read(torch.tensor(LAST)), AGENTS, **good)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "expected either phi, or direct"),
        ({"phi": torch.ones(4)}, "phi has no gradient"),
        (
            {"phi": torch.tensor([1.0, np.nan, 1.0, 1.0], requires_grad=True)},
            r"phi is nan at \(1,\); expected finite numbers",
        ),
        ({"direct": torch.ones(3, requires_grad=True)}, r"direct has shape \(3,\); expected \(4,"),
    ],
)
def test_bad_surrogates_are_named(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        surrogate(torch_coefficients(), **given)


def test_the_two_rewards_are_no_single_channel() -> None:
    found = reward_coefficients(
        Episodes.read(torch.tensor(LAST)), AGENTS, follower_side_advantage=torch.ones(4)
    )
    with pytest.raises(ValueError, match="expected direct=r_L, indirect=r_F"):
        surrogate(found, torch.ones(4, requires_grad=True))
    with pytest.raises(ValueError, match="are of two rewards"):
        found.total  # noqa: B018


def test_a_surrogate_is_of_tensors() -> None:
    with pytest.raises(TypeError, match="phi is a ndarray"):
        surrogate(torch_coefficients(), np.ones(4))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="coefficients are of NumPy"):
        surrogate(
            action_coefficients(Episodes.read(LAST), AGENTS, **GOOD),
            torch.ones(4, requires_grad=True),
        )  # type: ignore[arg-type]


def test_a_mean_over_no_episode_is_refused() -> None:
    opened = action_coefficients(
        Episodes.read(torch.zeros(4), carry=Carry.start(1)),
        AGENTS,
        **{name: torch.ones(4) for name in GOOD},
    )
    later = action_coefficients(
        Episodes.read(torch.zeros(4), carry=opened.carry),
        AGENTS,
        **{name: torch.ones(4) for name in GOOD},
    )
    with pytest.raises(ValueError, match=r"num_episodes is \[0.0\]; expected more than 0"):
        surrogate(later, torch.ones(4, requires_grad=True))
    phi = torch.ones(4, requires_grad=True)
    surrogate(later, phi, num_episodes=0.5).backward()
    assert torch.allclose(phi.grad, later.total / 0.5)  # type: ignore[arg-type]
