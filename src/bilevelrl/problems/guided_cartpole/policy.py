"""A leader that chooses from finitely many actions on a continuous state: a PyTorch module."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch.distributions import Categorical
from torch.func import functional_call, grad, vmap

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.core.seeding import Streams, stream
from bilevelrl.core.threads import one_thread
from bilevelrl.trainer import parameters
from bilevelrl.trainer.functions import Network

#: Of the first weights, times the root of the number of inputs.
_GAIN = 2.0


class StateNetwork(torch.nn.Module):
    """State -> tanh layers -> softmax, exactly uniform at the start."""

    def __init__(
        self, num_inputs: int, num_actions: int, units: Sequence[int], rng: np.random.Generator
    ) -> None:
        """Random weights, and zeros in the last layer.

        Args:
            num_inputs: n, length of a state of order one.
            num_actions: A.
            units: of the hidden layers.
            rng: of the weights.
        """
        super().__init__()
        self.layers = Network(tuple(units)).layers(num_inputs, num_actions, rng).double()
        next(self.parameters()).data *= _GAIN

    def forward(self, state: torch.Tensor) -> Categorical:
        """f_θ(. | s) at states (N, n)."""
        return Categorical(logits=self.layers(state))


class ModulePolicy:
    """f_θ(a | s) of such a network for any θ: its parameters in their order, as one vector.

    Runs are computed one by one and by one thread, so that their bits depend on neither.

    Attributes:
        num_actions: A.
        num_parameters: D.
    """

    def __init__(self, num_inputs: int, num_actions: int, units: Sequence[int]) -> None:
        """Of states (N, n = `num_inputs`), with hidden layers of so many `units`."""
        self.num_actions = num_actions
        self._sizes = num_inputs, num_actions, tuple(units)
        # It is lent out to one θ after the other.
        self._module = self._made(np.random.default_rng(0))
        self._written: Floats = np.empty(0)
        self.num_parameters = parameters.read(self._module).shape[1]

    def _made(self, rng: np.random.Generator) -> StateNetwork:
        return StateNetwork(*self._sizes, rng)

    def initial_parameters(self, streams: Streams) -> Floats:
        """Of a new network for each run, shape (R, D)."""
        made = [self._made(stream(seed, "initial_parameters")) for seed in streams.seeds]
        return np.concatenate([parameters.read(module) for module in made])

    @contextmanager
    def _at(self, theta: Floats) -> Iterator[StateNetwork]:
        with one_thread():
            if not np.array_equal(self._written, theta):  # a follower asks state by state
                parameters.write(self._module, theta[None])
                self._written = theta.copy()
            yield self._module

    def probabilities(self, theta: Floats, state: Floats) -> Floats:
        """f_θ(a | s), shape (N, A), of one run's θ (D,) at states (N, n)."""
        with self._at(theta) as module, torch.no_grad():
            found: Floats = torch.softmax(module.layers(torch.as_tensor(state)), -1).numpy()
        return found

    def choose(self, theta: Floats, state: Floats, uniforms: Floats) -> Index:
        """Actions of one run, shape (N,), from uniform numbers (N,)."""
        cumulated = np.cumsum(self.probabilities(theta, state), axis=-1)
        # The last sum may be a rounding error below 1.
        passed = uniforms[:, None] >= cumulated[:, :-1]
        chosen: Index = passed.sum(axis=1)
        return chosen

    def pull_back(self, theta: Floats, state: Floats, weights: Floats) -> Floats:
        """Σ_k Σ_a w_m(k, a) ∇_θ log f_θ(a | s_k) of one run, shape (M, D), for weights (M, N, A).

        One forward pass and M backward passes; no gradient of a single transition is ever made.
        """
        with self._at(theta) as module:
            scores = module(torch.as_tensor(state)).logits
            sums = [(scores * torch.as_tensor(each)).sum() for each in weights]
            return np.concatenate([parameters.gradient(module, each) for each in sums])

    def pull_back_each(self, theta: Floats, state: Floats, weights: Floats) -> Floats:
        """Σ_a w(k, a) ∇_θ log f_θ(a | s_k) of one run, every k by itself, (N, D), for w (N, A)."""
        with self._at(theta) as module:
            known = {name: each.detach() for name, each in module.layers.named_parameters()}

            def score(
                values: dict[str, torch.Tensor], one: torch.Tensor, weight: torch.Tensor
            ) -> torch.Tensor:
                logits = functional_call(module.layers, values, one)
                return (torch.log_softmax(logits, -1) * weight).sum()

            inputs = torch.as_tensor(state), torch.as_tensor(weights)
            found = vmap(grad(score), in_dims=(None, 0, 0))(known, *inputs)
            rows = [found[name].reshape(len(state), -1) for name in known]
            each: Floats = torch.cat(rows, dim=1).numpy()
        return each
