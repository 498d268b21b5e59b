"""Categorical policies: probabilities, their gradients against autograd, and where they start."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bilevelrl.core.seeding import Streams
from bilevelrl.models.finite_game.policies import (
    CategoricalPolicy,
    NetworkPolicy,
    TabularPolicy,
    softmax,
)

Floats = NDArray[np.float64]
POLICIES = [TabularPolicy(4, 3), NetworkPolicy(4, 3)]


def torch_log_policy(policy: CategoricalPolicy, theta: torch.Tensor) -> torch.Tensor:
    """log f_θ(a | s), shape (S, A), written out."""
    if isinstance(policy, TabularPolicy):
        return torch.log_softmax(theta.reshape(4, 3), dim=1)
    shapes = [(4, 64), (64,), (64, 64), (64,), (64, 3), (3,)]
    parts = torch.split(theta, [int(np.prod(shape)) for shape in shapes])
    w1, b1, w2, b2, w3, b3 = (part.reshape(*s) for part, s in zip(parts, shapes, strict=True))
    hidden = torch.relu(torch.eye(4, dtype=theta.dtype) @ w1 + b1)
    return torch.log_softmax(torch.relu(hidden @ w2 + b2) @ w3 + b3, dim=1)


@pytest.mark.parametrize("policy", POLICIES, ids=["tabular", "network"])
def test_probabilities_and_scores_are_those_of_autograd(policy: CategoricalPolicy) -> None:
    generator = np.random.default_rng(1)
    theta = 0.3 * generator.standard_normal((3, policy.num_parameters))
    weights = generator.standard_normal((3, 4, 3))
    weights[1, 2] = 0.0
    probabilities, pulled = policy.probabilities(theta), policy.pull_back(theta, weights)
    for r in range(3):
        parameters = torch.tensor(theta[r], requires_grad=True)
        log_policy = torch_log_policy(policy, parameters)
        np.testing.assert_allclose(
            probabilities[r], log_policy.detach().exp().numpy(), rtol=1e-12, atol=1e-15
        )
        (log_policy * torch.tensor(weights[r])).sum().backward()  # type: ignore[no-untyped-call]
        assert parameters.grad is not None
        expected = parameters.grad.numpy()
        np.testing.assert_allclose(pulled[r], expected, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("policy", POLICIES, ids=["tabular", "network"])
def test_weights_that_are_the_policy_itself_pull_back_to_nothing(policy: CategoricalPolicy) -> None:
    # E_a[∇ log f] = 0, for any weight per state.
    theta = 0.3 * np.random.default_rng(1).standard_normal((3, policy.num_parameters))
    weights = policy.probabilities(theta) * np.arange(1.0, 5.0)[:, None]
    np.testing.assert_allclose(policy.pull_back(theta, weights), 0.0, atol=1e-12)


def test_a_table_starts_uniform() -> None:
    policy = TabularPolicy(4, 3)
    theta = policy.initial_parameters(Streams([5, 6]))
    assert theta.shape == (2, policy.num_parameters) == (2, 12)
    np.testing.assert_allclose(policy.probabilities(theta), 1.0 / 3.0, rtol=1e-15)


def test_large_logits_do_not_overflow() -> None:
    np.testing.assert_allclose(softmax(np.array([[1000.0, 0.0, -1000.0]])), [[1.0, 0.0, 0.0]])


@pytest.fixture(scope="module")
def initial() -> Callable[[], Floats]:
    theta = NetworkPolicy(3, 2).initial_parameters(Streams(range(1500)))
    return lambda: theta


def test_a_network_starts_close_to_uniform(initial: Callable[[], Floats]) -> None:
    # q = f(1 | A) has mean .504 and sd .042 over the seeds of the authors' code;
    # the true mean is .5, because both outputs have the same distribution.
    q = NetworkPolicy(3, 2).probabilities(initial())[:, 1, 1]
    assert q.mean() == pytest.approx(0.5, abs=5.0 * q.std() / np.sqrt(len(q)))
    assert q.std() == pytest.approx(0.042, abs=0.004)


def test_a_network_starts_xavier_uniform(initial: Callable[[], Floats]) -> None:
    theta = initial()
    bounds = {(0, 192): 67, (256, 4352): 128, (4416, 4544): 66}  # weights: inputs + outputs
    for (start, stop), fans in bounds.items():
        share = theta[:, start:stop] / np.sqrt(6.0 / fans)
        assert 0.999 < np.abs(share).max() <= 1.0
        assert np.mean(np.abs(share) < 0.5) == pytest.approx(0.5, abs=0.01)
    for start, stop in ((192, 256), (4352, 4416), (4544, 4546)):
        np.testing.assert_array_equal(theta[:, start:stop], 0.0)


def test_a_run_starts_where_its_seed_says() -> None:
    policy = NetworkPolicy(3, 2)
    together = policy.initial_parameters(Streams([3, 4, 3]))
    np.testing.assert_array_equal(policy.initial_parameters(Streams([4]))[0], together[1])
    np.testing.assert_array_equal(together[0], together[2])
    assert (together[0] != together[1]).any()
    np.testing.assert_array_equal(
        policy.probabilities(together)[1], policy.probabilities(together[1:2])[0]
    )
