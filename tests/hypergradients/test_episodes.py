"""What estimates must not depend on: order, batches, padding; and what their parts are by hand."""

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bilevelrl.hypergradients.advantages import choice_advantages, generalized_advantages
from bilevelrl.hypergradients.coefficients import (
    Agents,
    Coefficients,
    NotCentredWarning,
    action_coefficients,
    reward_coefficients,
)
from bilevelrl.hypergradients.episodes import Carry, Episodes
from bilevelrl.hypergradients.surrogate import surrogate

pytestmark = pytest.mark.filterwarnings(
    "ignore::bilevelrl.hypergradients.coefficients.NotCentredWarning"  # few, and any, numbers
)
Array = np.ndarray[Any, np.dtype[Any]]
FIELDS = ("leader_advantage", "follower_side_advantage", "follower_advantage")
lengths = st.lists(st.integers(1, 6), min_size=1, max_size=6)
discounts = st.sampled_from([0.0, 0.5, 0.9, 1.0])
seeds = st.integers(0, 1000)
PROPERTY = settings(deadline=None, derandomize=True)
AGENTS = Agents(0.9, 0.8, 0.5)


def ends(sizes: list[int]) -> Array:
    flags = np.zeros(sum(sizes), dtype=bool)
    flags[np.cumsum(sizes) - 1] = True
    return flags


def draw(number: int, seed: int) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=number) for name in FIELDS}


def coefficients_of(
    numbers: dict[str, Array], terminated: Array, agents: Agents = AGENTS, **marks: Any
) -> Coefficients[Array]:
    return action_coefficients(Episodes.read(terminated, **marks), agents, **numbers)


def by_hand(numbers: dict[str, Array], sizes: list[int], agents: Agents) -> tuple[Array, Array]:
    """The double sums of DESIGN, episode by episode."""
    direct, indirect, first = [], [], 0
    for size in sizes:
        own, side, factor = (numbers[name][first : first + size] for name in FIELDS)
        for k in range(size):
            direct.append(agents.leader_discount**k * own[k])
            past = range(k if agents.follower_sees_action else k + 1)
            trace = sum(
                agents.follower_discount ** (k - t) * agents.leader_discount**t * side[t]
                for t in past
            )
            indirect.append(trace * factor[k] / agents.temperature)
        first += size
    return np.array(direct), np.array(indirect)


@PROPERTY
@given(sizes=lengths, leader=discounts, follower=discounts, sees=st.booleans(), seed=seeds)
def test_they_are_the_double_sum_over_each_episode(
    sizes: list[int], leader: float, follower: float, sees: bool, seed: int
) -> None:
    agents = Agents(leader, follower, 0.3, follower_sees_action=sees)
    numbers = draw(sum(sizes), seed)
    found = coefficients_of(numbers, ends(sizes), agents)
    direct, indirect = by_hand(numbers, sizes, agents)
    np.testing.assert_allclose(found.direct, direct, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.indirect, indirect, rtol=1e-12, atol=1e-12)
    assert found.num_episodes.tolist() == [len(sizes)]


@PROPERTY
@given(sizes=lengths, seed=seeds)
def test_episodes_may_come_in_any_order(sizes: list[int], seed: int) -> None:
    numbers = draw(sum(sizes), seed)
    order = np.random.default_rng(seed).permutation(len(sizes))
    starts = np.cumsum([0, *sizes])
    index = np.concatenate([np.arange(starts[e], starts[e + 1]) for e in order])
    shuffled = {name: values[index] for name, values in numbers.items()}
    found = coefficients_of(shuffled, ends([sizes[e] for e in order]))
    assert np.array_equal(found.total, coefficients_of(numbers, ends(sizes)).total[index])


@PROPERTY
@given(sizes=lengths, seed=seeds)
def test_episodes_may_be_padded_rows_with_anything_in_the_padding(
    sizes: list[int], seed: int
) -> None:
    numbers, longest = draw(sum(sizes), seed), max(sizes)
    mask = np.arange(longest) < np.array(sizes)[:, None]

    def padded(values: Array) -> Array:
        rows = np.full(mask.shape, np.nan)
        rows[mask] = values
        return rows

    rows = {name: padded(values) for name, values in numbers.items()}
    found = coefficients_of(rows, np.zeros(mask.shape, dtype=bool), mask=mask)
    whole = coefficients_of(numbers, ends(sizes))
    assert np.array_equal(found.total[mask], whole.total)
    assert (found.total[~mask] == 0.0).all()
    theta = torch.ones(sum(sizes), dtype=torch.float64, requires_grad=True)
    phi = torch.full(mask.shape, 7.0, dtype=torch.float64)
    phi = phi.masked_scatter(torch.tensor(mask), theta)
    torches = {name: torch.tensor(values) for name, values in rows.items()}
    none = torch.zeros(mask.shape, dtype=torch.bool)
    episodes = Episodes.read(none, mask=torch.tensor(mask))
    surrogate(action_coefficients(episodes, AGENTS, **torches), phi).backward()
    assert theta.grad is not None
    np.testing.assert_allclose(theta.grad.numpy() * len(sizes), whole.total, rtol=1e-12)


class Rows(NamedTuple):
    """R rows of episodes of any length that end or are cut, with padding between some of them.

    `episode` numbers the episodes of all rows, -1 is padding.
    """

    terminated: Array
    truncated: Array
    mask: Array
    episode: Array


@st.composite
def all_kinds_of_rows(draw_: st.DrawFn) -> Rows:
    rows: list[list[tuple[bool, bool, bool, int]]] = []
    number = 0
    for _ in range(draw_(st.integers(2, 3))):
        row: list[tuple[bool, bool, bool, int]] = []
        for size in draw_(lengths):
            cut, gap = draw_(st.booleans()), draw_(st.integers(0, 2))
            row += [(False, False, True, number)] * (size - 1)
            row += [(not cut, cut, True, number)] + [(False, False, False, -1)] * gap
            number += 1
        rows.append(row)
    longest = max(map(len, rows))
    padded = [row + [(False, False, False, -1)] * (longest - len(row)) for row in rows]
    return Rows(*(np.array(column) for column in np.moveaxis(np.array(padded), 2, 0)))


def read(rows: Rows, part: slice = slice(None), **carry: Any) -> Episodes:
    flags = (rows.terminated[:, part], rows.truncated[:, part])
    return Episodes.read(*flags, mask=rows.mask[:, part], **carry)


@PROPERTY
@given(rows=all_kinds_of_rows(), discount=discounts, decay=discounts, seed=seeds)
def test_advantages_are_their_sum_by_hand(
    rows: Rows, discount: float, decay: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    valid, ended = rows.mask.astype(bool), rows.terminated.astype(bool)
    reward, value, after, baseline = rng.normal(size=(4, *valid.shape))
    for numbers in (reward, value, after, baseline):
        numbers[~valid] = np.nan
    found = generalized_advantages(
        read(rows), reward, value, np.where(ended, np.nan, after),
        discount=discount, decay=decay, baseline=baseline,
    )  # fmt: skip
    target = reward + discount * np.where(ended, 0.0, after)
    expected = target - baseline
    for row, t in np.argwhere(valid):
        for k in np.flatnonzero(rows.episode[row] == rows.episode[row, t]):
            if k > t:
                later = target[row, k] - value[row, k]
                expected[row, t] += (discount * decay) ** (k - t) * later
    np.testing.assert_allclose(found[valid], expected[valid], rtol=1e-12, atol=1e-12)
    assert (found[~valid] == 0.0).all()


@PROPERTY
@given(
    rows=all_kinds_of_rows(),
    leader=discounts,
    follower=discounts,
    sees=st.booleans(),
    cut=st.integers(1, 30),
    seed=seeds,
)
def test_rows_with_everything_are_their_episodes_whole_or_in_pieces(
    rows: Rows, leader: float, follower: float, sees: bool, cut: int, seed: int
) -> None:
    agents, valid = Agents(leader, follower, 0.3, follower_sees_action=sees), rows.mask.astype(bool)
    numbers = {name: values.reshape(valid.shape) for name, values in draw(valid.size, seed).items()}
    for values in numbers.values():
        values[~valid] = np.nan
    sizes = np.bincount(rows.episode[valid].astype(int)).tolist()
    direct, indirect = by_hand({n: v[valid] for n, v in numbers.items()}, sizes, agents)
    whole = action_coefficients(read(rows), agents, **numbers)
    np.testing.assert_allclose(whole.direct[valid], direct, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(whole.indirect[valid], indirect, rtol=1e-12, atol=1e-12)
    assert whole.num_episodes.sum() == len(sizes)
    cut = min(cut, valid.shape[1] - 1)
    if cut and valid[:, :cut].any() and valid[:, cut:].any():
        pieces, carry = [], Carry.start(len(valid))
        for part in (slice(cut), slice(cut, None)):
            own = {name: values[:, part] for name, values in numbers.items()}
            piece = action_coefficients(read(rows, part, carry=carry), agents, **own)
            pieces.append(piece)
            carry = piece.carry
        for name in ("direct", "indirect"):
            both = np.concatenate([getattr(piece, name) for piece in pieces], axis=1)
            assert np.array_equal(both, getattr(whole, name))
        assert sum(piece.num_episodes.sum() for piece in pieces) == len(sizes)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensors_come_back_as_they_went_in(dtype: torch.dtype) -> None:
    numbers, flags = draw(12, 1), np.tile(ends([4, 2]), 2).reshape(2, 6)
    rows = {name: values.reshape(2, 6) for name, values in numbers.items()}
    tensors = {
        name: torch.tensor(values, dtype=dtype, requires_grad=True) for name, values in rows.items()
    }
    found = action_coefficients(Episodes.read(torch.tensor(flags)), AGENTS, **tensors)
    expected = coefficients_of({n: t.detach().double().numpy() for n, t in tensors.items()}, flags)
    for part in ("direct", "indirect"):
        tensor = getattr(found, part)
        assert tensor.dtype == dtype
        assert not tensor.requires_grad
        exact = torch.tensor(getattr(expected, part))
        assert torch.equal(tensor, exact.to(dtype))
    assert expected.direct.dtype == np.float64
    assert coefficients_of(
        {n: v.astype(np.float32) for n, v in rows.items()}, flags
    ).indirect.dtype == np.float32  # fmt: skip


def test_rows_are_runs_of_their_own_or_environments_of_one_leader() -> None:
    numbers = {name: torch.tensor(v.reshape(2, 6)) for name, v in draw(12, 2).items()}
    flags = torch.tensor(np.stack([ends([2, 2, 2]), ends([6])]))
    found = action_coefficients(Episodes.read(flags), AGENTS, **numbers)
    theta = torch.zeros(2, 1, dtype=torch.float64, requires_grad=True)
    phi = theta.expand(2, 6)
    sums = found.total.sum(dim=1)
    for shared, number in ((True, torch.tensor([4.0, 4.0])), (False, torch.tensor([3.0, 1.0]))):
        (gradient,) = torch.autograd.grad(surrogate(found, phi, shared_leader=shared), theta)
        assert torch.allclose(gradient[:, 0], sums / number, rtol=1e-12)


@PROPERTY
@given(seed=seeds)
def test_a_critic_is_centred_whatever_it_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, chance = rng.normal(size=(5, 3)), rng.dirichlet(np.ones(3), size=5)
    each = [choice_advantages(values, chance, np.full(5, choice)) for choice in range(3)]
    np.testing.assert_allclose(np.sum(np.stack(each, axis=1) * chance, axis=1), 0.0, atol=1e-14)
    np.testing.assert_allclose(each[1] - each[0], values[:, 1] - values[:, 0], rtol=1e-12)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(1, 5000), (1000, 1), (16, 500)])
def test_a_mean_that_is_not_zero_is_told_with_its_size(shape: tuple[int, int]) -> None:
    last = np.zeros(shape)
    last[:, -1] = 1

    def judge(advantage: Array) -> None:
        reward_coefficients(Episodes.read(last), AGENTS, follower_side_advantage=advantage)

    for seed in range(50):
        judge(np.random.default_rng(seed).normal(size=shape))
    noise = np.random.default_rng(0).normal(size=shape)
    with pytest.warns(
        NotCentredWarning, match=r"mean (0\.9|1)\S* ± .* root mean square is 1\.[34]"
    ):
        judge(noise + 1.0)
    with pytest.warns(NotCentredWarning, match=r"mean 10 ± "):
        judge(0.01 * noise + 10.0)
    with pytest.warns(NotCentredWarning):
        judge(noise + 0.3)


def test_padding_may_stand_behind_an_end() -> None:
    flags, mask = np.array([1, 0, 0, 0]), np.array([1, 0, 1, 1])
    episodes = Episodes.read(flags, mask=mask)
    assert episodes.start.tolist() == [[True, False, True, False]]
    assert episodes.step.tolist()[0][2:] == [0, 1]
