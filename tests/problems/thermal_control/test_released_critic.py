"""The released critics of building thermal control, step by step against PyTorch's own tools."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import numba
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bilevelrl.core.seeding import Streams
from bilevelrl.problems.thermal_control.critic import ExactThermalCritic, ThermalCritic
from bilevelrl.problems.thermal_control.problem import ThermalControl
from bilevelrl.problems.thermal_control.released_critic import (
    NetworkActionCritic,
    NetworkMean,
    NetworkStateCritic,
    TDNetwork,
    action_nodes,
)
from tests.buildings import LARGE, PUBLISHED, SMALL, THETA_H, designs
from tests.problems.thermal_control.cases import Case

Floats = NDArray[np.float64]
SEEDS = [3, 4, 5]
STEPS, STEP_SIZE = 25, 3e-3
MAKERS: dict[str, Callable[[ThermalControl], ThermalCritic]] = {
    "state": lambda problem: NetworkStateCritic(problem, STEPS, STEP_SIZE),
    "action": lambda problem: NetworkActionCritic(problem, STEPS, STEP_SIZE, 16),
}
EVERY = pytest.mark.parametrize("critic", MAKERS)


#: 1,080 rows a run: more than one block of products, the last one shorter.
CASE = Case.of(LARGE, designs(LARGE, 3), 90, Streams([13, 14, 15]))


@pytest.fixture(autouse=True)
def one_torch_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def network(num_inputs: int, num_outputs: int, steps: int = STEPS) -> TDNetwork:
    return TDNetwork(CASE.problem, num_inputs, num_outputs, steps, STEP_SIZE)


def literal_model(parameters: torch.Tensor, sizes: tuple[int, ...]) -> torch.nn.Sequential:
    layers: list[torch.nn.Module] = []
    start = 0
    for n, m in pairwise(sizes):
        layer = torch.nn.Linear(n, m, dtype=torch.float64)
        stop = start + n * m
        layer.weight.data = parameters[start:stop].reshape(n, m).T.double()
        layer.bias.data = parameters[stop : stop + m].double()
        start = stop + m
        layers += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def literal_fit(model: torch.nn.Sequential, inputs: Floats, reward: Floats) -> Floats:
    """The released code's loop for one run, without normalisation, in float64."""
    horizon, discount = CASE.problem.max_episode_steps, CASE.problem.discount
    x, r = torch.tensor(inputs), torch.tensor(reward)
    following = x.roll(-1, 0)
    following[horizon - 1 :: horizon] = torch.nan
    optimiser = torch.optim.Adam(model.parameters(), lr=STEP_SIZE)
    for _ in range(STEPS):
        with torch.no_grad():
            target = r + discount * model(following)
        loss = (model(x) - target)[~target.isnan()].square().mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    values: Floats = model(x).detach().numpy()
    return values


def test_initial_weights_are_orthogonal() -> None:
    model = literal_model(network(8, 3).initial(3, 0), (8, 64, 64, 3))
    for place, gain in ((0, np.sqrt(2.0)), (2, np.sqrt(2.0)), (4, 0.01)):
        layer = model[place]
        assert isinstance(layer, torch.nn.Linear)
        weight = layer.weight.detach().numpy() / gain
        product = weight @ weight.T if len(weight) <= weight.shape[1] else weight.T @ weight
        np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-6)
        assert not layer.bias.any()


def test_initial_weights_are_the_run_s_own() -> None:
    made, streams = network(8, 1), Streams([3])
    first = made.initial(3, 0)
    streams.normals("critic", (10,))
    assert torch.equal(first, made.initial(3, 0))
    assert not torch.isclose(first, made.initial(4, 0)).all()
    assert not torch.isclose(first, made.initial(3, 1)).all()


def test_the_action_critic_learns_as_a_literal_reading_does() -> None:
    values = CASE.ask(NetworkActionCritic(LARGE, STEPS, STEP_SIZE, None), Streams(SEEDS))
    assert values.action_value is not None
    for run, seed in enumerate(SEEDS):
        model = literal_model(network(8, 1).initial(seed, 0), (8, 64, 64, 1))
        before = model(torch.tensor(CASE.pairs[run])).detach().numpy()
        expected = literal_fit(model, CASE.pairs[run], CASE.reward[run, :, None])[:, 0]
        assert np.abs(expected - before[:, 0]).max() > 1.0  # it moved
        np.testing.assert_allclose(values.action_value[run], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("place", [0, 1])
def test_a_mean_learns_from_normalised_rewards(place: int) -> None:
    state = CASE.batch.state
    scale = np.array([1.0, 1e3, 1e-3])
    reward = scale * np.random.default_rng(0).standard_normal((*state.shape[:2], 3))
    reward += 0.1 * scale * np.square(state).sum(axis=2, keepdims=True)
    found = NetworkMean(LARGE, STEPS, STEP_SIZE, place)(CASE.batch, reward, Streams(SEEDS))
    for run, seed in enumerate(SEEDS):
        model = literal_model(network(5, 3).initial(seed, place), (5, 64, 64, 3))
        size = np.abs(reward[run]).max(axis=0)
        expected = size * literal_fit(model, state[run], reward[run] / size)
        np.testing.assert_allclose(found[run] / size, expected / size, rtol=1e-4, atol=1e-5)


def test_the_state_critic_is_a_mean_of_normalised_rewards() -> None:
    values = CASE.ask(NetworkStateCritic(LARGE, STEPS, STEP_SIZE), Streams(SEEDS))
    assert values.action_value is None
    mean = NetworkMean(LARGE, STEPS, STEP_SIZE, 0)
    means = mean(CASE.batch, CASE.reward[:, :, None], Streams(SEEDS))
    np.testing.assert_array_equal(values.value, means[:, :, 0])


def test_units_of_rewards_do_not_matter_to_a_mean() -> None:
    mean = NetworkMean(LARGE, STEPS, STEP_SIZE)
    reward = np.repeat(CASE.reward[:, :, None], 2, axis=2)
    units = np.array([0.25, 1024.0])
    found = mean(CASE.batch, reward, Streams(SEEDS))
    again = mean(CASE.batch, units * reward, Streams(SEEDS))
    np.testing.assert_array_equal(again, units * found)
    reward[:, :, 1] = 0.0
    assert np.isfinite(mean(CASE.batch, reward, Streams(SEEDS))).all()


def test_the_last_reward_of_an_episode_is_masked() -> None:
    horizon, critic = LARGE.max_episode_steps, NetworkActionCritic(LARGE, STEPS, STEP_SIZE, None)
    values = CASE.ask(critic, Streams(SEEDS))
    for place, used in ((-1, False), (-2, True), (0, True)):
        reward = CASE.reward.copy()
        reward.reshape(3, -1, horizon)[:, :, place] += 10.0
        changed = replace(CASE, batch=replace(CASE.batch, leader_reward=reward))
        again = changed.ask(critic, Streams(SEEDS))
        assert np.array_equal(again.value, values.value) is not used


def test_nothing_leads_from_an_episode_to_the_next() -> None:
    horizon, inputs = LARGE.max_episode_steps, torch.tensor(CASE.pairs[0], dtype=torch.float32)
    reward = torch.tensor(CASE.reward[0, :, None], dtype=torch.float32)
    made = network(8, 1, steps=5)
    start = made.initial(3, 0)
    order = torch.randperm(90, generator=torch.Generator().manual_seed(0))
    order = (order[:, None] * horizon + torch.arange(horizon)).ravel()
    found = made.fit(start, inputs, reward)
    torch.testing.assert_close(made.fit(start, inputs[order], reward[order]), found)
    assert torch.equal(start, made.initial(3, 0))


def test_the_value_of_a_state_is_a_mean_over_fresh_actions() -> None:
    critic = NetworkActionCritic(LARGE, STEPS, STEP_SIZE, None)
    exact = CASE.ask(critic, Streams(SEEDS))
    noisy = CASE.ask(NetworkActionCritic(LARGE, STEPS, STEP_SIZE, 16), Streams(SEEDS))
    normals = Streams(SEEDS).normals("critic", exact.value.shape[1:])
    spread = (noisy.value - exact.value) / normals * 4.0
    rng, run, made = np.random.default_rng(0), 1, network(8, 1)
    inputs = torch.tensor(CASE.pairs[run], dtype=torch.float32)
    reward = torch.tensor(CASE.reward[run, :, None], dtype=torch.float32)
    found = made.fit(made.initial(SEEDS[run], 0), inputs, reward)
    factor = np.linalg.cholesky(CASE.response.covariance[run])
    for row in (0, 5, 11, 600):
        state = CASE.batch.state[run, row]
        action = -(CASE.response.gain[run] @ state) + rng.standard_normal((20_000, 3)) @ factor.T
        drawn = np.concatenate([np.broadcast_to(state, (20_000, 5)), action], axis=1)
        values = made.predict(found, torch.tensor(drawn, dtype=torch.float32))[:, 0]
        error = (values.mean() - exact.value[run, row]) / values.std()
        assert abs(error) < 0.05  # seven standard errors; 256 draws have .06
        np.testing.assert_allclose(spread[run, row], values.std(), rtol=0.1)


def test_nodes_have_the_moments_of_normals() -> None:
    nodes, weights = action_nodes(2)
    assert (nodes.shape, weights.shape) == ((25, 2), (25, 1))
    moments = {(0, 0): 1.0, (1, 0): 0.0, (2, 0): 1.0, (1, 1): 0.0, (2, 2): 1.0, (8, 0): 105.0}
    for (i, j), moment in moments.items():
        found = (weights[:, 0] * nodes[:, 0] ** i * nodes[:, 1] ** j).sum()
        assert found == pytest.approx(moment, rel=1e-12, abs=1e-12)


@EVERY
def test_bits_do_not_depend_on_the_batch_or_on_threads(critic: str) -> None:
    made = MAKERS[critic](LARGE)
    together = CASE.ask(made, Streams(SEEDS))
    torch.set_num_threads(2)
    if numba.config.NUMBA_NUM_THREADS > 1:  # type: ignore[attr-defined]
        numba.set_num_threads(2)
    for run, seed in enumerate(SEEDS):
        single = CASE.alone(run).ask(made, Streams([seed]))
        np.testing.assert_array_equal(single.value[0], together.value[run])
        if together.action_value is not None:
            assert single.action_value is not None
            np.testing.assert_array_equal(single.action_value[0], together.action_value[run])
    again = CASE.ask(made, Streams(SEEDS))
    np.testing.assert_array_equal(again.value, together.value)
    assert torch.get_num_threads() == 2


def test_every_batch_starts_from_the_same_weights() -> None:
    critic, streams = NetworkActionCritic(LARGE, STEPS, STEP_SIZE, None), Streams(SEEDS)
    first, second = CASE.ask(critic, streams), CASE.ask(critic, streams)
    np.testing.assert_array_equal(first.value, second.value)
    noisy = NetworkActionCritic(LARGE, STEPS, STEP_SIZE, 256)
    drawn = [CASE.ask(noisy, streams) for _ in range(2)]
    assert (drawn[0].value != drawn[1].value).all()
    for values in drawn:
        assert values.action_value is not None
        np.testing.assert_array_equal(values.action_value, first.action_value)


@EVERY
def test_more_steps_lead_to_the_truth(critic: str) -> None:
    case = Case.of(SMALL, designs(SMALL, 1), 80, Streams([1]))
    exact = case.ask(ExactThermalCritic(SMALL), Streams([1]))
    made: ThermalCritic = NetworkStateCritic(SMALL, 1500, 3e-3)
    if critic == "action":
        made = NetworkActionCritic(SMALL, 1500, 3e-3, None)
    values = case.ask(made, Streams([1]))
    error = np.sqrt(np.square(values.value - exact.value).mean()) / exact.value.std()
    assert error < 0.15


def test_five_hundred_steps_learn_what_the_spec_says() -> None:
    # From an independent implementation; of the batches of the first seeds, number 7 starts at its
    # loss.
    case = Case.of(PUBLISHED, THETA_H[None], 100, Streams([7]))
    exact = case.ask(ExactThermalCritic(PUBLISHED), Streams([7]))
    values = case.ask(NetworkActionCritic(PUBLISHED, 500, 1e-4, 256), Streams([7]))
    assert values.action_value is not None
    assert exact.action_value is not None
    q = values.action_value.reshape(100, 100)
    target = case.reward.reshape(100, 100)[:, :-1] + 0.9 * q[:, 1:]
    assert np.square(case.reward.reshape(100, 100)[:, :-1]).mean() == pytest.approx(419.0, abs=3.0)
    assert np.square(q[:, :-1] - target).mean() == pytest.approx(344.0, abs=3.0)
    error = q[:, 0] - exact.action_value.reshape(100, 100)[:, 0]
    assert np.sqrt(np.square(error).mean()) == pytest.approx(286.0, abs=5.0)
    benefit = (values.action_value - values.value)[0]
    truth = (exact.action_value - exact.value)[0]
    assert benefit.std() == pytest.approx(0.22, abs=0.03)
    assert np.corrcoef(benefit, truth)[0, 1] == pytest.approx(0.33, abs=0.06)


def test_refuses_episodes_of_one_step() -> None:
    problem = ThermalControl.published(max_episode_steps=1)
    case = Case.of(problem, THETA_H[None], 2, Streams([1]))
    with pytest.raises(ValueError, match="episodes of one step"):
        case.ask(NetworkStateCritic(problem, 1, 1e-4), Streams([1]))
