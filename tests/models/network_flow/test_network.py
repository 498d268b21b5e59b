"""Networks: the tables, generated ones, delays, and what is refused."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bilevelrl.models.network_flow import sioux_falls as tables
from bilevelrl.models.network_flow.braess import braess
from bilevelrl.models.network_flow.extract_sioux_falls import DATA, extracted
from bilevelrl.models.network_flow.grid_network import grid_network
from tests.models.network_flow.deterministic import user_equilibrium
from tests.models.network_flow.examples import Floats, generated, sioux, triangle


def test_sioux_falls_is_the_published_one() -> None:
    net = sioux()
    assert (net.num_nodes, net.num_links, net.num_destinations) == (24, 76, 24)
    assert (net.demand > 0.0).sum() == 528
    assert net.total_demand == 360_600.0
    assert (net.congestion == 0.15).all()
    assert (net.power == 4.0).all()
    # The first and the last line of the published tables.
    assert (net.tail[0], net.head[0], net.free_flow_time[0], net.capacity[0]) == (
        0, 1, 6.0, 25900.20064,
    )  # fmt: skip
    assert (net.tail[-1], net.head[-1], net.free_flow_time[-1]) == (23, 22, 2.0)
    assert net.demand[0, :6].tolist() == [0.0, 100.0, 100.0, 500.0, 200.0, 300.0]


def test_its_user_equilibrium_is_the_published_one() -> None:
    # Flows of other code, by another method, so that a table read wrongly would show.
    net = sioux()
    flow = user_equilibrium(net, 1e-12, 500)
    assert net.area(flow).sum() / 1e5 == pytest.approx(42.31335287, abs=5e-9)
    assert flow @ net.time(flow) == pytest.approx(7_480_225.34, abs=0.01)


def source_of_tables() -> Path | None:
    if given := os.environ.get("AEQUILIBRAE_WHEEL"):
        return Path(given)
    found = find_spec("aequilibrae")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "reference_files" / "sioux_falls.zip"


def test_the_tables_are_those_of_aequilibrae() -> None:
    source = source_of_tables()
    if source is None:
        pytest.skip("aequilibrae is not installed, and AEQUILIBRAE_WHEEL names no wheel")
    for name, text in extracted(source).items():
        assert (DATA / name).read_text(encoding="utf-8") == text


def test_tables_that_somebody_changed_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in DATA.glob("*.csv"):
        text = path.read_text(encoding="utf-8")
        (tmp_path / path.name).write_text(text.replace("1,2,100\n", "1,2,101\n"), encoding="utf-8")
    monkeypatch.setattr(tables, "_FOLDER", tmp_path)
    with pytest.raises(ValueError, match=r"sioux_falls_demand.csv has SHA-256"):
        tables.sioux_falls()


@pytest.mark.parametrize("network", [sioux(), triangle(), braess()], ids=["sioux", "mixed", "1975"])
def test_slope_and_area_are_derivative_and_integral_of_time(network: Any) -> None:
    flow = np.random.default_rng(0).uniform(0.1, 2.0, (3, network.num_links)) * network.capacity
    step = 1e-5 * network.capacity
    ahead, behind = flow + step, flow - step
    slope = (network.time(ahead) - network.time(behind)) / (2.0 * step)
    np.testing.assert_allclose(network.slope(flow), slope, rtol=1e-7, atol=1e-12)
    time = (network.area(ahead) - network.area(behind)) / (2.0 * step)
    np.testing.assert_allclose(network.time(flow), time, rtol=1e-7)
    nothing = np.zeros((1, network.num_links))
    np.testing.assert_array_equal(network.area(nothing), nothing)
    np.testing.assert_array_equal(network.time(nothing)[0], network.free_flow_time)


def test_less_than_no_flow_is_none() -> None:
    net, below = sioux(), np.full(76, -3.0)
    np.testing.assert_array_equal(net.time(below), net.free_flow_time)
    np.testing.assert_array_equal(net.slope(below), np.zeros(76))
    np.testing.assert_allclose(net.area(below), -3.0 * net.free_flow_time)


def test_braess_takes_longer_with_the_new_road() -> None:
    net = braess()
    with_it = net.time(np.array([4.0, 2.0, 2.0, 2.0, 4.0]))
    assert with_it[[0, 3]].sum() == pytest.approx(92.0)
    assert with_it[[1, 4]].sum() == pytest.approx(92.0)
    assert with_it[[0, 2, 4]].sum() == pytest.approx(92.0)
    without = net.time(np.array([3.0, 3.0, 0.0, 3.0, 3.0]))
    assert without[[0, 3]].sum() == pytest.approx(83.0)


@pytest.mark.parametrize(("rows", "columns"), [(1, 2), (4, 4), (3, 7), (16, 17)])
def test_generated_networks_have_the_size_that_was_asked_for(rows: int, columns: int) -> None:
    net = grid_network(rows, columns, 0, 2)
    assert net.num_nodes == rows * columns
    assert net.num_links == 2 * (rows * (columns - 1) + columns * (rows - 1))
    assert net.num_destinations == 2
    assert net.reachable.all()
    # A street leads to the right or below, and back.
    step = np.abs(net.head - net.tail)
    assert {*step.tolist()} <= {1, columns}
    streets = {*zip(net.tail.tolist(), net.head.tolist(), strict=True)}
    assert {(j, i) for i, j in streets} == streets
    assert len(streets) == net.num_links


def test_generated_networks_depend_on_the_seed_and_nothing_else() -> None:
    one, same, other = grid_network(4, 5, 7), grid_network(4, 5, 7), grid_network(4, 5, 8)
    for name in ("free_flow_time", "capacity", "demand", "destinations"):
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
    assert (one.free_flow_time != other.free_flow_time).all()
    assert one.num_destinations == 20


def test_load_is_the_share_of_capacity_that_shortest_paths_take() -> None:
    net = grid_network(1, 4, 0, 1, load=0.5)
    (d,) = net.destinations
    taken = sum(net.demand[o, 0] * abs(o - d) for o in range(4))
    assert taken == pytest.approx(0.5 * net.capacity.sum())


def test_nodes_without_a_path_are_known() -> None:
    assert triangle().reachable.tolist() == [[True, True], [True, True], [False, True]]


def changed(name: str, place: Any, value: float) -> dict[str, Floats]:
    array = getattr(triangle(), name).copy()
    array[place] = value
    return {name: array}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_nodes": 1}, "num_nodes = 1: at least 2"),
        (changed("capacity", 2, -5.0), r"capacity = -5.0 of link 2: it must be positive"),
        (changed("free_flow_time", 0, 0.0), r"free_flow_time = 0.0 of link 0: it must be positive"),
        (changed("free_flow_time", 1, np.inf), r"free_flow_time = inf of link 1"),
        (changed("congestion", 1, -0.1), r"congestion = -0.1 of link 1: .* not negative"),
        (changed("power", 3, 0.5), r"power = 0.5 of link 3: it must be finite and at least 1"),
        (changed("power", 3, np.nan), r"power = nan of link 3"),
        (changed("tail", 0, 3), r"tail = 3: nodes are 0 to 2"),
        (changed("head", 0, -1), r"head = -1: nodes are 0 to 2"),
        (changed("head", 1, 0), r"head = 0 of link 1: a link must lead to another node"),
        (changed("destinations", 0, 2), r"destinations = \[2, 2\]: they must differ"),
        (changed("destinations", 0, 5), r"destinations = 5: nodes are 0 to 2"),
        (changed("demand", (0, 1), -1.0), r"demand = -1.0 from node 0 to node 2: .* not negative"),
        (changed("demand", (0, 1), np.nan), r"demand = nan from node 0 to node 2"),
        (changed("demand", (2, 1), 1.0), r"demand = 1.0 from node 2 to node 2: who is there"),
        (changed("demand", (2, 0), 4.0), r"demand = 4.0 from node 2 to node 1: no path leads"),
        ({"demand": np.zeros((3, 2))}, "demand is 0 everywhere"),
        ({"demand": np.zeros((2, 3))}, r"demand is float64 of shape \(2, 3\): .* \(3, 2\)"),
        ({"tail": np.array([0.0, 0.0, 1.0, 0.0])}, r"tail is float64 .* int64 of shape \(4,\)"),
        ({"capacity": np.ones(3)}, r"capacity is float64 of shape \(3,\): .* \(4,\)"),
        ({"tail": np.array([], dtype=np.int64)}, "tail is empty"),
    ],
)
def test_impossible_networks_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        triangle(**given)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 5, 0), "rows = 0, columns = 5: at least 2 nodes"),
        ((1, 1, 0), "at least 2 nodes"),
        ((2, 2, 0, 5), "num_destinations = 5: 1 to 4"),
        ((2, 2, 0, 0), "num_destinations = 0: 1 to 4"),
        ((2, 2, 0, 1, 0.0), "load = 0.0: it must be positive"),
    ],
)
def test_impossible_grids_are_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        grid_network(*arguments)


def test_links_are_found_by_their_tails() -> None:
    net = generated()
    order, start = net.leaving
    for node in range(net.num_nodes):
        own = order[start[node] : start[node + 1]]
        np.testing.assert_array_equal(own, np.flatnonzero(net.tail == node))
