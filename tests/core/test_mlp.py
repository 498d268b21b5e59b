"""Stacks of small networks against torch.nn and its automatic differentiation."""

from itertools import pairwise
from typing import Any

import numba
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bilevelrl.core.mlp import Mlp

Floats = NDArray[np.float64]


def torch_network(network: Mlp, parameters: Floats) -> torch.nn.Sequential:
    """The same network in PyTorch, whose weights are (outputs, inputs)."""
    sizes = (network.num_inputs, network.width, network.width, network.num_outputs)
    layers: list[torch.nn.Module] = []
    start = 0
    for rows, columns in pairwise(sizes):
        layer = torch.nn.Linear(rows, columns, dtype=torch.float64)
        weight = parameters[start : start + rows * columns].reshape(rows, columns)
        start += rows * columns
        layer.weight.data = torch.tensor(weight.T.copy())
        layer.bias.data = torch.tensor(parameters[start : start + columns])
        start += columns
        layers += [layer, torch.nn.ReLU()]
    assert start == len(parameters) == network.num_parameters
    return torch.nn.Sequential(*layers[:-1])


def flat_gradient(model: torch.nn.Sequential) -> Floats:
    parts = []
    for layer in model:
        if isinstance(layer, torch.nn.Linear):
            assert layer.weight.grad is not None
            assert layer.bias.grad is not None
            parts += [layer.weight.grad.T.reshape(-1), layer.bias.grad]
    flat: Floats = torch.cat(parts).numpy()
    return flat


def make_case(network: Mlp, kind: str) -> tuple[Floats, Floats, Floats]:
    """Parameters (5, P) with biases, inputs (5, 9, n) and weights (5, 9, o); some rows are zero."""
    generator = np.random.default_rng(2)
    parameters = generator.standard_normal((5, network.num_parameters))
    inputs = generator.standard_normal((5, 9, network.num_inputs))
    if kind == "one-hot":
        inputs = np.eye(network.num_inputs)[generator.integers(network.num_inputs, size=(5, 9))]
    weights = generator.standard_normal((5, 9, network.num_outputs))
    weights[:, 3] = 0.0
    weights[:, 4, 0] = 0.0
    return parameters, inputs, weights


@pytest.mark.parametrize("kind", ["dense", "one-hot"])
@pytest.mark.parametrize("network", [Mlp(3, 2), Mlp(4, 1), Mlp(6, 3, width=5)])
def test_outputs_and_gradients_are_pytorch_s(network: Mlp, kind: str) -> None:
    parameters, inputs, weights = make_case(network, kind)
    outputs = network.forward(parameters, inputs)
    gradient = network.pull_back(parameters, inputs, weights)
    for r in range(5):
        model = torch_network(network, parameters[r])
        expected = model(torch.tensor(inputs[r]))
        size = float(expected.detach().abs().max())
        np.testing.assert_allclose(outputs[r], expected.detach().numpy(), atol=1e-13 * size)
        (expected * torch.tensor(weights[r])).sum().backward()
        flat = flat_gradient(model)
        np.testing.assert_allclose(gradient[r], flat, atol=1e-13 * np.abs(flat).max())
        # The case is no trivial one: rectifiers are off and on.
        hidden = torch.nn.Sequential(*list(model)[:2])(torch.tensor(inputs[r]))
        assert 0.2 < float((hidden > 0.0).double().mean()) < 0.8


def test_the_gradient_is_that_of_the_outputs() -> None:
    network = Mlp(3, 2)
    parameters, inputs, weights = make_case(network, "dense")
    direction = np.random.default_rng(3).standard_normal(parameters.shape)

    def total(shift: float) -> Floats:
        outputs = network.forward(parameters + shift * direction, inputs)
        summed: Floats = (outputs * weights).sum(axis=(1, 2))
        return summed

    numeric = (total(1e-7) - total(-1e-7)) / 2e-7
    slope = (network.pull_back(parameters, inputs, weights) * direction).sum(axis=1)
    np.testing.assert_allclose(slope, numeric, rtol=1e-5)


def test_bits_depend_on_neither_batch_layout_nor_threads() -> None:
    network = Mlp(6, 2)
    parameters, inputs, weights = make_case(network, "dense")
    shared = np.broadcast_to(inputs[0], inputs.shape)  # as policies and critics call it

    def both(*arrays: Floats) -> tuple[Floats, Floats]:
        parameters, inputs, weights = arrays
        return network.forward(parameters, inputs), network.pull_back(parameters, inputs, weights)

    for given in (inputs, shared):
        together = both(parameters, given, weights)
        numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
        variants: list[Any] = [both(parameters, given, weights)]
        numba.set_num_threads(1)
        variants += [both(parameters, given.copy(), weights)]
        for found in variants:
            np.testing.assert_array_equal(found[0], together[0])
            np.testing.assert_array_equal(found[1], together[1])
        for r in range(5):
            alone = both(parameters[r : r + 1], given[r : r + 1], weights[r : r + 1])
            np.testing.assert_array_equal(alone[0][0], together[0][r])
            np.testing.assert_array_equal(alone[1][0], together[1][r])


@pytest.mark.parametrize(("network", "layers"), [
    (Mlp(3, 2), ((3, 64), (64, 64), (64, 2))),
    (Mlp(4, 1, width=16), ((4, 16), (16, 16), (16, 1))),
])  # fmt: skip
def test_initial_weights_have_xavier_s_variances_and_biases_are_zero(
    network: Mlp, layers: tuple[tuple[int, int], ...]
) -> None:
    assert network.num_parameters == sum(rows * columns + columns for rows, columns in layers)
    runs = 400
    unit = np.random.default_rng(0).standard_normal((runs, network.num_parameters))
    parameters = network.xavier(unit)
    start = 0
    for rows, columns in layers:
        weights = parameters[:, start : start + rows * columns]
        biases = parameters[:, start + rows * columns : start + rows * columns + columns]
        start += rows * columns + columns
        np.testing.assert_array_equal(biases, 0.0)
        # Within five standard errors of a normal sample's variance.
        bound = 5.0 * np.sqrt(2.0 / weights.size)
        assert weights.var() == pytest.approx(2.0 / (rows + columns), rel=bound)
        assert bound < 0.1
    assert unit.shape == parameters.shape
    np.testing.assert_array_equal(network.xavier(2.0 * unit), 2.0 * parameters)
