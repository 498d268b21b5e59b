"""Kernels of the planner, against NumPy and against each other."""

import numpy as np
import pytest

from bilevelrl.problems.guided_cartpole.planning.best_response import best_response, settle
from bilevelrl.problems.guided_cartpole.planning.grid import Singles
from bilevelrl.problems.guided_cartpole.planning.kernels import exponential, logarithm
from bilevelrl.problems.guided_cartpole.planning.movement import (
    expect,
    expect_and_meet,
    push_forward,
    span_of,
)
from tests.problems.guided_cartpole.small_grid import BETA, leader, planner

GAMMA = 0.99


def test_exponentials() -> None:
    asked = -np.concatenate([[0.0], np.geomspace(1e-6, 87.0, 4000)]).astype(np.float32)
    found = asked.copy()
    exponential(found, np.empty(len(found), np.int32))
    np.testing.assert_allclose(found, np.exp(asked.astype(np.float64)), rtol=1e-5)
    near = asked > -5.0
    np.testing.assert_allclose(found[near], np.exp(asked[near].astype(np.float64)), rtol=6e-7)


def test_what_is_next_to_nothing_has_no_weight() -> None:
    found = np.array([-200.0, -1e6], np.float32)
    exponential(found, np.empty(2, np.int32))
    assert ((found >= 0.0) & (found < 2e-38)).all()


def test_logarithms() -> None:
    asked = np.geomspace(1e-3, 50.0, 4001).astype(np.float32)
    found = np.empty_like(asked)
    logarithm(asked, np.empty(len(asked), np.int32), found)
    np.testing.assert_allclose(found, np.log(asked.astype(np.float64)), rtol=3e-7, atol=1e-7)


@pytest.mark.parametrize(
    ("values", "span"),
    [([0, 0, 2, 0, -3, 0], (2, 5)), ([1, 1], (2, 2)), ([2, 0, 0], (0, 1)), ([], (0, 0))],
)
def test_spans_hold_all_that_is_larger(values: list[float], span: tuple[int, int]) -> None:
    start, stop = span_of(np.array(values, np.float32), np.float32(1.0))
    assert (start, stop) == span or (start == stop and span[0] == span[1])


def test_nodes_outside_of_a_span_are_left_out() -> None:
    own, rng = planner(), np.random.default_rng(6)
    chain = best_response(own, leader(), BETA, GAMMA).chain
    value, mass = rng.standard_normal((2, *own.blocks, own.size)).astype(np.float32)
    spans = np.sort(rng.integers(0, own.size + 1, (*own.blocks, 2)), axis=2)
    nodes = np.arange(own.size)
    inside = (spans[..., :1] <= nodes) & (nodes < spans[..., 1:])
    whole, geometry = own.expected(value, chain), own.grid.geometry
    found, again, met = np.empty_like(value), np.empty_like(value), np.zeros_like(chain)
    expect(own.rolled(value), chain, spans, geometry, found)
    np.testing.assert_array_equal(found, np.where(inside, whole, 0.0))
    expect_and_meet(own.rolled(value), chain, mass, np.float32(0.5), spans, geometry, again, met)
    np.testing.assert_array_equal(again, found)
    # What mass meets of v, weighted by where it goes, is what it expects.
    total = (met * chain).sum(axis=2)
    np.testing.assert_allclose(total, 0.5 * mass * found, atol=1e-5)


def test_mass_that_is_next_to_nothing_stays_behind() -> None:
    own = planner()
    chain = best_response(own, leader(), BETA, GAMMA).chain
    mass = np.zeros((*own.blocks, own.size), np.float32)
    mass[8, 9, 50], mass[8, 9, 60] = 1.0, 1e-9
    angles, rotations, _, _ = own.grid.shape
    shape = (angles + 4, rotations, own.grid.geometry.num_j, own.size)
    rolled = np.empty(shape, np.float32)
    push_forward(mass, chain, np.float32(1e-8), own.grid.geometry, rolled)
    assert rolled[..., 50].any()
    assert not rolled[..., 60].any()
    push_forward(mass, chain, np.float32(0.0), own.grid.geometry, rolled)
    assert rolled[..., 60].any()


def test_what_settles_solves() -> None:
    rng = np.random.default_rng(7)
    taken = rng.random((80, 80)).astype(np.float32)
    taken *= 0.98 / taken.sum(axis=1, keepdims=True)
    wanted = rng.standard_normal((8, 10)).astype(np.float32)

    def product(of: Singles) -> Singles:
        left: Singles = of - (taken @ of.ravel()).reshape(8, 10)
        return left

    exact = np.linalg.solve(np.eye(80) - taken, wanted.ravel()).reshape(8, 10)
    found = settle(product, wanted, 150, 1e-5)
    assert np.linalg.norm(product(found) - wanted) < 2e-5 * np.linalg.norm(wanted)
    np.testing.assert_allclose(found, exact, atol=1e-3 * np.abs(exact).max())
    rough = settle(product, wanted, 30, 1e-5)  # no round of GMRES
    assert np.linalg.norm(product(rough) - wanted) > 1e-3 * np.linalg.norm(wanted)
