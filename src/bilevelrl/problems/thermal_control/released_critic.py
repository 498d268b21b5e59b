"""The released code's critics in building thermal control: networks that learn by TD(0).

Every batch starts again from the run's own initial weights and a fresh optimiser.

float32, one run at a time and one thread a run: PyTorch's batched products give other bits for one
run than for many, and its plain ones for other numbers of threads.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise, product
from typing import TypeVar

import numba
import numpy as np
import torch
from torch import Tensor

from bilevelrl.core.arrays import Floats
from bilevelrl.core.seeding import Streams, stream
from bilevelrl.core.threads import one_thread
from bilevelrl.problems.thermal_control.critic import LeaderValues
from bilevelrl.problems.thermal_control.follower import RegulatorResponse
from bilevelrl.problems.thermal_control.problem import ThermalControl
from bilevelrl.problems.thermal_control.rollout import ThermalBatch

Result = TypeVar("Result")

WIDTH = 64
#: Of the initial weights of each layer.
GAINS = (math.sqrt(2.0), math.sqrt(2.0), 0.01)
#: Rows per product: their activations fit the second-level cache.
BLOCK = 1000
MAX_NORM = 1.0
#: Adam's decay rates and its ε.
DECAY, SQUARE_DECAY, EPSILON = 0.9, 0.999, 1e-8
#: Gauss-Hermite nodes per component of an action.
NODES = 5


@dataclass(frozen=True, eq=False)
class TDNetwork:
    """x -> 64 -> 64 -> y, ReLU between, that learns f(x) = r + γ f(x').

    Parameters are one flat float32 vector, layer by layer, weights (inputs, outputs) before biases.

    Attributes:
        problem: its discount and horizon are used.
        num_inputs: length of an input row, p.
        num_outputs: length of an output row, K.
        steps: of Adam, each on the whole batch.
        step_size: Adam's.
    """

    problem: ThermalControl
    num_inputs: int
    num_outputs: int
    steps: int
    step_size: float

    @property
    def _sizes(self) -> list[tuple[int, int]]:
        """Inputs and outputs of each layer."""
        return list(pairwise((self.num_inputs, WIDTH, WIDTH, self.num_outputs)))

    def _layers(self, parameters: Tensor) -> list[Tensor]:
        """Views: w1, b1, w2, b2, w3, b3."""
        shapes = [shape for n, m in self._sizes for shape in ((n, m), (m,))]
        parts = torch.split(parameters, [math.prod(shape) for shape in shapes])
        return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]

    def initial(self, seed: int, place: int) -> Tensor:
        """Orthogonal weights, scaled by `GAINS`, and biases 0, of the network number `place`.

        They come from a child of the run's stream of "critic": every call finds the same ones, and
        none of the numbers that `Streams` hands out.
        """
        generator = stream(seed, "critic").spawn(place + 1)[place]
        parts = []
        for (rows, columns), gain in zip(self._sizes, GAINS, strict=True):
            parts += [gain * orthogonal(generator, rows, columns).ravel(), np.zeros(columns)]
        return _tensor(np.concatenate(parts))

    def predict(self, parameters: Tensor, inputs: Tensor) -> Floats:
        """Outputs (N, K) on inputs (N, p)."""
        layers = self._layers(parameters)
        blocks = torch.split(inputs, BLOCK)
        values: Floats = torch.cat([_forward(layers, x)[2] for x in blocks]).double().numpy()
        return values

    def fit(self, parameters: Tensor, inputs: Tensor, reward: Tensor) -> Tensor:
        """Parameters after all steps from the given ones, for whole episodes x (N, p) and r (N, K).

        Each step descends the mean of (f(x) - r - γ f(x'))², f(x') held fixed, over outputs and
        over the rows with a successor: all but the last of each episode.

        Raises:
            ValueError: if no step of an episode has a successor.
        """
        horizon, discount = self.problem.max_episode_steps, self.problem.discount
        if horizon < 2:
            raise ValueError("a network cannot learn from episodes of one step")
        rows = max(1, BLOCK // horizon) * horizon
        weight = torch.ones((len(inputs), 1))
        weight[horizon - 1 :: horizon] = 0.0
        weight *= 2.0 / (float(weight.sum()) * self.num_outputs)
        blocks = list(zip(*(torch.split(a, rows) for a in (inputs, reward, weight)), strict=True))
        parameters = parameters.clone()
        gradient = torch.empty_like(parameters)
        layers, slopes = self._layers(parameters), self._layers(gradient)
        mean, square = torch.zeros_like(parameters), torch.zeros_like(parameters)
        for step in range(1, self.steps + 1):
            gradient.zero_()
            for block in blocks:
                _add_gradient(layers, slopes, block, discount)
            gradient /= (gradient.norm() / MAX_NORM).clamp_min(1.0)
            mean.lerp_(gradient, 1.0 - DECAY)
            square.lerp_(gradient.square(), 1.0 - SQUARE_DECAY)
            root = (square / (1.0 - SQUARE_DECAY**step)).sqrt_().add_(EPSILON)
            parameters.addcdiv_(mean, root, value=-self.step_size / (1.0 - DECAY**step))
        return parameters


def _forward(layers: list[Tensor], inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Both hidden layers and the output."""
    w1, b1, w2, b2, w3, b3 = layers
    first = torch.addmm(b1, inputs, w1).relu_()
    second = torch.addmm(b2, first, w2).relu_()
    return first, second, torch.addmm(b3, second, w3)


def _add_gradient(
    layers: list[Tensor], slopes: list[Tensor], block: tuple[Tensor, ...], discount: float
) -> None:
    x, r, weight = block
    first, second, output = _forward(layers, x)
    error = output - r
    error[:-1].sub_(output[1:], alpha=discount)
    error *= weight
    to_second = _through_relu(error @ layers[4].mT, second)
    to_first = _through_relu(to_second @ layers[2].mT, first)
    for i, (inner, outer) in enumerate(((x, to_first), (first, to_second), (second, error))):
        slopes[2 * i].addmm_(inner.mT, outer)
        slopes[2 * i + 1] += outer.sum(0)


def _through_relu(slope: Tensor, output: Tensor) -> Tensor:
    """Zeroed in place where the output is 0; ten times faster than `where`."""
    torch.ops.aten.threshold_backward.grad_input(slope, output, 0, grad_input=slope)
    return slope


def orthogonal(generator: np.random.Generator, rows: int, columns: int) -> Floats:
    """A uniformly distributed matrix with orthonormal rows or columns, the fewer of both."""
    normals = generator.standard_normal((max(rows, columns), min(rows, columns)))
    basis, triangle = np.linalg.qr(normals)
    basis *= np.sign(np.diagonal(triangle))
    return basis if rows >= columns else basis.T


def each_run(function: Callable[[int], Result], num_runs: int) -> list[Result]:
    """function(0), ..., function(R - 1), on as many threads as kernels may use."""
    with one_thread(), ThreadPoolExecutor(numba.get_num_threads()) as pool:
        return list(pool.map(function, range(num_runs)))


def _tensor(array: Floats) -> Tensor:
    return torch.tensor(array, dtype=torch.float32)


@dataclass(frozen=True, eq=False)
class NetworkMean:
    """E[Σ_k γ^k r_{t+k} | s_t] without end of every row, for each of K rewards.

    Each reward is divided by its largest size in the batch while the network learns. With the
    rewards ψ of `TransitionDirect.sensitivity` this is the released code's mean of ∇_θ Q_F.

    Attributes:
        problem: its discount and horizon are used.
        steps: of Adam per batch; 5,000 in the released code.
        step_size: Adam's; 1e-4 in the released code.
        place: see `TDNetwork.initial`; the networks of V_L and Q_L are number 0.
    """

    problem: ThermalControl
    steps: int
    step_size: float
    place: int = 1

    def __call__(self, batch: ThermalBatch, reward: Floats, streams: Streams) -> Floats:
        """The means, shape (R, N, K), of `reward` r, shape (R, N, K).

        Of the last r of an episode only the size is used.
        """
        sizes = batch.state.shape[2], reward.shape[2]
        network = TDNetwork(self.problem, *sizes, self.steps, self.step_size)
        scale: Floats = np.abs(reward).max(axis=1)
        scale[scale == 0.0] = 1.0

        def predictions(run: int) -> Floats:
            x, r = _tensor(batch.state[run]), _tensor(reward[run] / scale[run])
            found = network.fit(network.initial(streams.seeds[run], self.place), x, r)
            return network.predict(found, x)

        return scale[:, None] * np.stack(each_run(predictions, len(reward)))


@dataclass(frozen=True, eq=False)
class NetworkStateCritic(NetworkMean):
    """V_L by a network on s."""

    place: int = 0

    def evaluate(
        self, theta: Floats, response: RegulatorResponse, batch: ThermalBatch, streams: Streams
    ) -> LeaderValues:
        """See `problems.thermal_control.critic.ThermalCritic`."""
        del theta, response
        return LeaderValues(self(batch, batch.leader_reward[:, :, None], streams)[:, :, 0])


@dataclass(frozen=True, eq=False)
class NetworkActionCritic:
    """Q_L by a network on (s, a) that bootstraps from the action played next; rewards as they are.

    V_L(s) is the mean of Q_L over fresh actions. The mean of that many draws is replaced by its
    normal limit, whose two moments come from Gauss-Hermite quadrature: ten times faster, and off by
    less than a fifth of the noise of 256 draws.

    Attributes:
        problem, steps, step_size: as of `NetworkMean`.
        samples: draws behind V_L, 256 in the released code; None takes the expectation.
    """

    problem: ThermalControl
    steps: int
    step_size: float
    samples: int | None

    def evaluate(
        self, theta: Floats, response: RegulatorResponse, batch: ThermalBatch, streams: Streams
    ) -> LeaderValues:
        """See `problems.thermal_control.critic.ThermalCritic`."""
        del theta
        zones, units = self.problem.input_matrix.shape
        network = TDNetwork(self.problem, zones + units, 1, self.steps, self.step_size)
        spread = np.linalg.cholesky(response.covariance)
        nodes, weights = action_nodes(units)

        def values(run: int) -> Floats:
            # Q_L of the row, and mean and variance of Q_L at its state, shape (3, N).
            state, r = batch.state[run], _tensor(batch.leader_reward[run, :, None])
            pairs = _tensor(np.concatenate([state, batch.follower_action[run]], axis=1))
            found = network.fit(network.initial(streams.seeds[run], 0), pairs, r)
            own = network.predict(found, pairs)[:, 0]
            expected = -(state @ response.gain[run].T)
            at_nodes = np.empty((len(nodes), len(state)))
            for row, node in zip(at_nodes, nodes, strict=True):
                pairs[:, zones:] = _tensor(expected + spread[run] @ node)
                row[:] = network.predict(found, pairs)[:, 0]
            mean = (weights * at_nodes).sum(axis=0)
            return np.stack([own, mean, (weights * np.square(at_nodes - mean)).sum(axis=0)])

        action_value, value, variance = np.stack(each_run(values, len(batch.state)), axis=1)
        if self.samples is not None:
            value += np.sqrt(variance / self.samples) * streams.normals("critic", value.shape[1:])
        return LeaderValues(value, action_value)


def action_nodes(units: int) -> tuple[Floats, Floats]:
    """Points (5^m, m) and weights (5^m, 1) that stand for m independent standard normals."""
    points, weights = np.polynomial.hermite_e.hermegauss(NODES)
    grid, shares = (np.array(list(product(axis, repeat=units))) for axis in (points, weights))
    return grid, shares.prod(axis=1, keepdims=True) / math.tau ** (units / 2)
