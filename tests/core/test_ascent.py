"""Steps along a gradient: Adam against PyTorch's, run by run."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bilevelrl.core.ascent import Adam, GradientAscent, clipped, geometric_decay

Floats = NDArray[np.float64]
STEP_SIZES = np.array([0.1, 1e-3, 0.5])


def gradients(num_steps: int) -> Floats:
    """Of three runs and four parameters; sizes from 1e-9 to 1e6, so that every term matters."""
    generator = np.random.default_rng(4)
    sizes = 10.0 ** generator.uniform(-3, 3, (num_steps, 3, 1)) * np.array([[1.0], [1e3], [1e-6]])
    drawn: Floats = sizes * (generator.standard_normal((num_steps, 3, 4)) + 0.5)
    return drawn


def torch_path(run: int, num_steps: int, max_norm: float | None, decay: float) -> Floats:
    """θ of one run after every step of torch.optim.Adam."""
    theta = torch.nn.Parameter(torch.arange(4, dtype=torch.float64))
    optimiser = torch.optim.Adam([theta], lr=STEP_SIZES[run], maximize=True)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, decay)
    path = []
    for gradient in gradients(num_steps)[:, run]:
        theta.grad = torch.tensor(gradient)
        if max_norm is not None:
            torch.nn.utils.clip_grad_norm_([theta], max_norm)
        optimiser.step()
        schedule.step()
        path.append(theta.detach().numpy().copy())
    return np.stack(path)


@pytest.mark.parametrize("max_norm", [None, 1.0])
@pytest.mark.parametrize("decay", [1.0, 0.9])
def test_adam_is_pytorch_s(max_norm: float | None, decay: float) -> None:
    rule = Adam(STEP_SIZES, max_norm, decay=decay)
    theta = np.tile(np.arange(4.0), (3, 1))
    slopes = rule.start(theta.shape)
    path = []
    for gradient in gradients(20):
        before = theta.copy(), gradient.copy()
        following = rule.step(theta, gradient, slopes)
        np.testing.assert_array_equal(theta, before[0])  # neither argument is touched
        np.testing.assert_array_equal(gradient, before[1])
        theta = following
        path.append(theta)
    # PyTorch clips to 1e-6 less than the norm.
    tolerance = 1e-12 if max_norm is None else 5e-6
    for run in range(3):
        expected = torch_path(run, 20, max_norm, decay)
        np.testing.assert_allclose(np.stack(path)[:, run], expected, rtol=0.0, atol=tolerance)
    assert (np.abs(theta - np.arange(4.0)) > 1e-4).all()


def test_clipping_comes_before_the_moments() -> None:
    # 100 times the gradient moves a clipped Adam exactly as far.
    small, large = (scale * gradients(20)[:, :1] * [[1e9]] for scale in (1.0, 100.0))
    rule = Adam(np.array([0.1]), max_norm=1.0)
    ends = []
    for gradient in (small, large):
        theta = np.zeros((1, 4))
        slopes = rule.start(theta.shape)
        for row in gradient:
            theta = rule.step(theta, row, slopes)
        ends.append(theta)
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-12)
    assert (np.abs(ends[0]) > 0.01).all()


def test_normalised_steps_see_directions_only() -> None:
    # Adam on unit vectors, whatever the size of the gradients; a zero gradient stays one.
    rows = gradients(20)
    unit = rows / np.linalg.norm(rows, axis=2, keepdims=True)
    rows[3, 1] = unit[3, 1] = 0.0
    ends = []
    for rule, each in ((Adam(STEP_SIZES, normalise=True), rows), (Adam(STEP_SIZES), unit)):
        theta = np.zeros((3, 4))
        slopes = rule.start(theta.shape)
        for gradient in each:
            theta = rule.step(theta, gradient, slopes)
        ends.append(theta)
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-10)
    assert (np.abs(ends[0]) > 1e-4).all()


def test_a_run_s_steps_do_not_depend_on_the_others() -> None:
    together = Adam(STEP_SIZES, 1.0, decay=0.99)
    theta, slopes = np.zeros((3, 4)), together.start((3, 4))
    alone = Adam(STEP_SIZES[1:2], 1.0, decay=0.99)
    single, memory = np.zeros((1, 4)), alone.start((1, 4))
    for gradient in gradients(10):
        theta = together.step(theta, gradient, slopes)
        single = alone.step(single, gradient[1:2], memory)
        np.testing.assert_array_equal(single[0], theta[1])


def test_plain_ascent_follows_the_clipped_gradient() -> None:
    rule = GradientAscent(np.array([0.5, 2.0]), 5.0)
    gradient = np.array([[6.0, 8.0], [0.3, 0.4]])
    moved = rule.step(np.ones((2, 2)), gradient, rule.start((2, 2)))
    np.testing.assert_allclose(moved, [[2.5, 3.0], [1.6, 1.8]], rtol=1e-15)


def test_every_run_may_have_its_own_clip() -> None:
    gradient = np.array([[3.0, 4.0], [3.0, 4.0], [0.0, 0.0]])
    rows = clipped(gradient, np.array([[1.0], [10.0], [1.0]]))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [3.0, 4.0], [0.0, 0.0]], rtol=1e-15)


@pytest.mark.parametrize(("ratio", "num_steps"), [(0.1, 500), (0.01, 2), (1.0, 7), (0.5, 1)])
def test_the_last_step_size_is_the_ratio_times_the_first(ratio: float, num_steps: int) -> None:
    rule = Adam(np.array([1.0]), decay=geometric_decay(ratio, num_steps))
    theta, slopes = np.zeros((1, 1)), rule.start((1, 1))
    sizes = []
    for _ in range(num_steps):  # Adam moves by its step size if the gradient never changes
        following = rule.step(theta, np.ones((1, 1)), slopes)
        sizes.append(float((following - theta)[0, 0]))
        theta = following
    assert sizes[0] == pytest.approx(1.0, rel=1e-7)
    assert sizes[-1] == pytest.approx(ratio if num_steps > 1 else 1.0, rel=1e-6)
    ratios = np.array(sizes[1:]) / sizes[:-1]
    np.testing.assert_allclose(ratios, ratios[0] if num_steps > 1 else 1.0, rtol=1e-6)
