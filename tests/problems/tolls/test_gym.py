"""One traveller's environment."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from bilevelrl.models.network_flow.equilibrium import equilibrium
from bilevelrl.problems.tolls.gym import TollsEnv
from bilevelrl.problems.tolls.picture import COLOURS, POSITIONS, congestion_colour, ends


def make(**options: object) -> TollsEnv:
    env = gymnasium.make("bilevelrl/Tolls-v0", **options).unwrapped  # type: ignore[arg-type]
    assert isinstance(env, TollsEnv)
    return env


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("render_mode", [None, "rgb_array"])
def test_honours_the_gymnasium_contract(render_mode: str | None) -> None:
    check_env(make(render_mode=render_mode))


def test_a_trip_costs_times_and_tolls_and_ends_on_arrival() -> None:
    theta = np.linspace(0.0, 29.0, 18)
    env = make(theta=theta)
    net, generator = env.problem.network, np.random.default_rng(0)
    charges = np.zeros((1, 76))
    charges[0, env.problem.toll_links] = theta
    time = equilibrium(net, charges, np.ones(1)).time[0]
    (here, goal), info = env.reset(seed=4)
    arrived, steps = False, 0
    while not arrived:
        action = generator.choice(np.flatnonzero(info["action_mask"]))
        link = info["links"][action]
        assert net.tail[link] == here
        (here, same), reward, arrived, truncated, info = env.step(action)
        assert (here, same) == (net.head[link], goal)
        assert reward == pytest.approx(-time[link] - charges[0, link])
        assert info["leader_reward"] == -info["travel_time"] == pytest.approx(-time[link])
        assert not truncated
        assert arrived == (here == goal)
        steps += 1
    assert steps > 1
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(np.int64(0))


def test_who_takes_no_link_waits() -> None:
    env = make()
    before, info = env.reset(seed=2)
    while info["action_mask"].all():
        before, info = env.reset()
    after, reward, *_, told = env.step(np.flatnonzero(info["action_mask"] == 0)[0])
    np.testing.assert_array_equal(before, after)
    assert reward == -1.0
    assert told["toll"] == 0.0


def test_trips_are_drawn_in_proportion_to_the_demand() -> None:
    env = make()
    demand = env.problem.network.demand / env.problem.network.total_demand
    counts = np.zeros_like(demand)
    env.reset(seed=0)
    for _ in range(4000):
        (node, goal), _ = env.reset()
        counts[node, goal] += 1
    assert not counts[demand == 0.0].any()
    expected = 4000 * demand[demand > 0.0]
    chi_square = (np.square(counts[demand > 0.0] - expected) / expected).sum()
    assert chi_square < 528 + 4 * np.sqrt(2 * 528)


def test_a_trip_may_be_cut() -> None:
    env = TollsEnv(max_episode_steps=3)
    _, info = env.reset(seed=2)
    for _ in range(3):
        waiting = np.flatnonzero(info["action_mask"] == 0)
        action = waiting[0] if len(waiting) else np.flatnonzero(info["links"] >= 0)[0]
        *_, terminated, truncated, info = env.step(action)
        if terminated:
            pytest.fail("the trip was to be cut")
    assert truncated
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(np.int64(0))


def test_tolls_and_congestion_are_drawn() -> None:
    def drawn(**options: object) -> np.ndarray:
        env = make(render_mode="rgb_array", **options)
        env.reset(seed=3)
        image = env.render()
        assert image is not None
        return image

    plain, priced = drawn(), drawn(theta=np.full(18, 30.0))
    assert plain.shape == priced.shape
    assert plain.dtype == np.uint8
    # Roads with a toll cover more of the picture.
    assert (priced != 255).any(axis=2).sum() > 1.02 * (plain != 255).any(axis=2).sum()
    dark = congestion_colour(np.array([1.0, 7.0]))
    np.testing.assert_allclose(dark, COLOURS[[0, -1]])


def test_the_picture_has_a_road_for_every_link_and_no_two_nodes_in_one_place() -> None:
    net = make().problem.network
    assert POSITIONS.shape == (net.num_nodes, 2)
    assert len(np.unique(POSITIONS, axis=0)) == net.num_nodes
    begins, stops = ends(net)
    for link in range(net.num_links):
        (back,) = np.flatnonzero((net.tail == net.head[link]) & (net.head == net.tail[link]))
        assert np.linalg.norm(begins[link] - stops[back]) == pytest.approx(12.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"theta": np.zeros(5)}, "theta must be 18 or 76 finite numbers"),
        ({"theta": np.full(18, np.nan)}, "theta must be 18 or 76 finite numbers"),
        ({"theta": "high"}, "theta must be 18 or 76 numbers"),
        ({"render_mode": "human"}, "render_mode must be one of"),
        ({"rationality": -1.0}, "rationality = -1.0"),
        ({"rationality": "a"}, "rationality must be a finite number, got 'a'"),
        ({"max_episode_steps": 0}, "max_episode_steps must be at least 1"),
    ],
)
def test_impossible_arguments_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TollsEnv(**options)  # type: ignore[arg-type]


def test_impossible_actions_are_refused() -> None:
    env = make()
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"action must be one of 0, 1, 2, 3, 4, got np\.int64"):
        env.step(np.int64(5))


def test_there_are_two_objectives() -> None:
    with pytest.raises(ValueError, match=r"objective = 'revenue': allowed are \['tstt', 'net'\]"):
        make().problem.roads("revenue", 18)
