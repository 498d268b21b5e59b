"""Functions of observations and actions that are fitted to samples: tables, features, networks."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from bilevelrl.core import random_features as core
from bilevelrl.core.arrays import AnyArray, Floats
from bilevelrl.trainer.kinds import expect_number
from bilevelrl.trainer.random_tanh import RandomTanh
from bilevelrl.trainer.spaces import JointEncoding, Standardised

#: Combinations that a table may have.
LARGEST_TABLE = 5000


@dataclass(frozen=True, eq=False)
class Transitions:
    """N of them, for v(s) = E[r + γ v(s')] with v(s') = 0 after a termination.

    Attributes:
        here: elements that v is a function of.
        there: those that follow.
        reward: shape (N,).
        terminated: nothing follows, shape (N,).
        discount: γ.
    """

    here: Sequence[AnyArray]
    there: Sequence[AnyArray]
    reward: Floats
    terminated: NDArray[np.bool_]
    discount: float


class ValueFunction(Protocol):
    """A number for every element of some spaces, zero before it was fitted."""

    def values(self, elements: Sequence[AnyArray]) -> Floats:
        """At N elements, shape (N,)."""
        ...

    def regress(self, elements: Sequence[AnyArray], targets: Floats) -> None:
        """Fit E[target | element] from N pairs, beside what earlier calls brought."""
        ...

    def evaluate(self, seen: Transitions) -> None:
        """Fit the value of a policy from transitions of its own."""
        ...


class FunctionKind(Protocol):
    """Hyper-parameters of a kind of value functions."""

    def make(self, encoding: JointEncoding, rng: np.random.Generator) -> ValueFunction:
        """One over the spaces of `encoding`."""
        ...


@dataclass(frozen=True)
class Table:
    """One number per combination of finitely many elements, from sums over all batches.

    Attributes:
        forgetting: factor of older batches' weight with every new one, 0 to 1.
        prior: number of samples that a gain of zero, or a state of average value, counts for.
    """

    forgetting: float = 0.9
    prior: float = 1.0

    def __post_init__(self) -> None:
        expect_number("forgetting", self.forgetting, least=0.0, most=1.0)
        expect_number("prior", self.prior, above=0.0)

    def make(self, encoding: JointEncoding, rng: np.random.Generator) -> ValueFunction:
        """A table of zeros.

        Raises:
            ValueError: there are too many combinations, or infinitely many.
        """
        del rng
        number = encoding.num_elements
        if number is None or number > LARGEST_TABLE:
            found = "a Box" if number is None else f"{number} combinations"
            raise ValueError(
                f"a table over {found} is asked for; expected at most {LARGEST_TABLE} combinations "
                "of discrete elements: take kind 'random_features' or 'network'"
            )
        return _Tabled(self, encoding, number)


class _Tabled:
    def __init__(self, kind: Table, encoding: JointEncoding, number: int) -> None:
        self.kind, self.encoding = kind, encoding
        self._table: Floats = np.zeros(number)
        self._weight, self._sum = np.zeros((2, number))
        self._matrix, self._mean = np.zeros((0, number)), np.zeros(2)

    def values(self, elements: Sequence[AnyArray]) -> Floats:
        found: Floats = self._table[self.encoding.numbers(elements)]
        return found

    def regress(self, elements: Sequence[AnyArray], targets: Floats) -> None:
        here = self.encoding.numbers(elements)
        self._weight *= self.kind.forgetting
        self._sum *= self.kind.forgetting
        np.add.at(self._weight, here, 1.0)
        np.add.at(self._sum, here, targets)
        self._table = self._sum / (self._weight + self.kind.prior)

    def evaluate(self, seen: Transitions) -> None:
        if not self._matrix.size:
            self._matrix = np.zeros((len(self._sum), len(self._sum)))
        here, there = self.encoding.numbers(seen.here), self.encoding.numbers(seen.there)
        self._matrix *= self.kind.forgetting
        self._sum *= self.kind.forgetting
        np.add.at(self._matrix, (here, here), 1.0)
        np.add.at(self._matrix, (here, there), -seen.discount * ~seen.terminated)
        np.add.at(self._sum, here, seen.reward)
        # The best constant: were rare elements worth 0, arriving there would look like a change.
        change = 1.0 - seen.discount * ~seen.terminated
        self._mean = self.kind.forgetting * self._mean + [seen.reward.sum(), change.sum()]
        mean = self._mean[0] / self._mean[1] if self._mean[1] > 0.0 else 0.0
        matrix = self._matrix + self.kind.prior * np.eye(len(self._sum))
        self._table[:] = np.linalg.solve(matrix, self._sum + self.kind.prior * mean)


@dataclass(frozen=True)
class RandomFeatures:
    """Linear in random tanh features, by least squares over all batches, see `core`.

    Attributes:
        number: of features beside the coordinates themselves.
        frequency: standard deviation of their weights, in units of the inputs' spread.
        forgetting: factor of older batches' weight with every new one, 0 to 1.
        ridge: penalty, relative to the mean square of a feature.
    """

    number: int = 200
    frequency: float = 1.0
    forgetting: float = 0.9
    ridge: float = 1e-4

    def __post_init__(self) -> None:
        expect_number("number", self.number, least=0, whole=True)
        expect_number("frequency", self.frequency, above=0.0)
        expect_number("forgetting", self.forgetting, least=0.0, most=1.0)
        expect_number("ridge", self.ridge, above=0.0)

    def make(self, encoding: JointEncoding, rng: np.random.Generator) -> ValueFunction:
        """A function that is zero."""
        return _Featured(self, encoding, rng)


class _Featured:
    def __init__(
        self, kind: RandomFeatures, encoding: JointEncoding, rng: np.random.Generator
    ) -> None:
        self.kind = kind
        self._inputs = Standardised(encoding)
        self._random = RandomTanh(kind.number, kind.frequency, encoding.size, rng)
        size = self._random.size
        self._memory = core.sums(size, 1, 1, "value")
        self._coefficients = np.zeros(size)

    def _features(self, elements: Sequence[AnyArray]) -> Floats:
        return self._random.of(self._inputs.rows(elements))

    def values(self, elements: Sequence[AnyArray]) -> Floats:
        found: Floats = self._features(elements) @ self._coefficients
        return found

    def regress(self, elements: Sequence[AnyArray], targets: Floats) -> None:
        here = self._features(elements)
        self._solve(here.T @ here, here.T @ targets)

    def evaluate(self, seen: Transitions) -> None:
        here, there = self._features(seen.here), self._features(seen.there)
        change = here - seen.discount * ~seen.terminated[:, None] * there
        self._solve(here.T @ change, here.T @ seen.reward)

    def _solve(self, matrix: Floats, vector: Floats) -> None:
        core.remember(self._memory, "value", 0, (matrix, vector[:, None]), self.kind.forgetting)
        self._coefficients = core.solved(self._memory, "value", 0, self.kind.ridge)[:, 0]


@dataclass(frozen=True)
class Network:
    """Fully connected with tanh between the layers, fitted to the newest batch by Adam.

    Attributes:
        units: of the hidden layers.
        step_size: of Adam.
        epochs: passes over a batch.
        minibatch: samples per step.
    """

    units: tuple[int, ...] = (64, 64)
    step_size: float = 1e-3
    epochs: int = 10
    minibatch: int = 256

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", tuple(self.units))
        for number in self.units:
            expect_number("units", number, least=1, whole=True)
        expect_number("step_size", self.step_size, above=0.0)
        expect_number("epochs", self.epochs, least=1, whole=True)
        expect_number("minibatch", self.minibatch, least=1, whole=True)

    def make(self, encoding: JointEncoding, rng: np.random.Generator) -> ValueFunction:
        """A network whose last layer is zero."""
        return _Networked(self, encoding, rng)

    def layers(self, inputs: int, outputs: int, rng: np.random.Generator) -> torch.nn.Sequential:
        """The network, with random weights of `rng` and a last layer of zeros."""
        sizes = (inputs, *self.units, outputs)
        stack: list[torch.nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            layer = torch.nn.Linear(before, after)
            scale = 0.0 if len(stack) == 2 * len(self.units) else before**-0.5
            weights = scale * rng.standard_normal((after, before))
            layer.weight.data = torch.as_tensor(weights, dtype=torch.float32)
            layer.bias.data = torch.zeros(after)
            stack += [layer, torch.nn.Tanh()]
        return torch.nn.Sequential(*stack[:-1])


class _Networked:
    def __init__(self, kind: Network, encoding: JointEncoding, rng: np.random.Generator) -> None:
        self.kind, self._rng = kind, rng
        self._inputs = Standardised(encoding)
        self._network = kind.layers(encoding.size, 1, rng)
        self._optimizer = torch.optim.Adam(self._network.parameters(), lr=kind.step_size)

    def values(self, elements: Sequence[AnyArray]) -> Floats:
        return self._read(self._inputs.tensor(elements))

    def regress(self, elements: Sequence[AnyArray], targets: Floats) -> None:
        inputs = self._inputs.tensor(elements)
        for _ in range(self.kind.epochs):
            self._pass(inputs, targets)

    def evaluate(self, seen: Transitions) -> None:
        here, there = self._inputs.tensor(seen.here), self._inputs.tensor(seen.there)
        for _ in range(self.kind.epochs):
            ahead = seen.discount * ~seen.terminated * self._read(there)
            self._pass(here, seen.reward + ahead)

    def _read(self, inputs: torch.Tensor) -> Floats:
        with torch.no_grad():
            found: Floats = self._network(inputs)[:, 0].numpy().astype(np.float64)
        return found

    def _pass(self, inputs: torch.Tensor, targets: Floats) -> None:
        wanted = torch.as_tensor(targets, dtype=torch.float32)
        for part in minibatches(self._rng, len(targets), self.kind.minibatch):
            loss = (self._network(inputs[part])[:, 0] - wanted[part]).square().mean()
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()


def minibatches(rng: np.random.Generator, number: int, size: int) -> list[torch.Tensor]:
    """Indices of all `number` samples in random order, in parts of `size` and a rest."""
    order = rng.permutation(number)
    return [torch.as_tensor(order[i : i + size]) for i in range(0, number, size)]


#: What `critic=` may be.
FUNCTIONS: dict[str, type[Table] | type[RandomFeatures] | type[Network]] = {
    "table": Table,
    "random_features": RandomFeatures,
    "network": Network,
}
