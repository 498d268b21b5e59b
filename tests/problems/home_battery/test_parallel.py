"""Several houses as agents of PettingZoo."""

import numpy as np
import pytest
from pettingzoo.test import parallel_api_test, parallel_seed_test

from bilevelrl.problems.home_battery.gym import HomeBatteryEnv
from bilevelrl.problems.home_battery.parallel import parallel_env

PRICES = np.linspace(0.1, 0.5, 24)


@pytest.mark.parametrize("options", [{}, {"num_houses": 2, "noise": 0.2, "num_days": 1}])
def test_passes_the_checks_of_pettingzoo(options: dict[str, float]) -> None:
    parallel_api_test(parallel_env(**options), num_cycles=60)
    parallel_seed_test(lambda: parallel_env(**options), num_cycles=30)


def test_a_house_is_that_of_gymnasium() -> None:
    env = parallel_env(3, PRICES, num_days=1)
    alone = [HomeBatteryEnv(PRICES, house, num_days=1) for house in (1, 2, 3)]
    seen, _ = env.reset(seed=0)
    for house, agent in zip(alone, env.agents, strict=True):
        np.testing.assert_array_equal(house.reset(seed=5)[0], seen[agent])
    generator = np.random.default_rng(1)
    for hour in range(24):
        names = [*env.agents]
        actions = {agent: generator.uniform(-5.0, 5.0, 1) for agent in names}
        seen, rewards, over, truncated, infos = env.step(actions)
        total = 0.0
        for house, agent in zip(alone, names, strict=True):
            observed, reward, _, ended, info = house.step(actions[agent])
            np.testing.assert_array_equal(observed, seen[agent])
            assert reward == rewards[agent]
            assert (ended, False) == (truncated[agent], over[agent])
            assert info["charge"] == infos[agent]["charge"]
            total += info["energy"]
        pull = 0.5 * (PRICES[hour] - 0.3) ** 2
        for agent in names:
            assert infos[agent]["leader_reward"] == pytest.approx(-0.05 * total**2 - pull)
    assert env.agents == []


def test_houses_have_random_numbers_of_their_own_from_the_seed() -> None:
    env = parallel_env(2, noise=0.2, num_days=2)

    def energies(seed: int) -> np.ndarray:
        env.reset(seed=seed)
        idle = {agent: np.zeros(1) for agent in env.agents}
        told = [env.step(idle)[4] for _ in range(24)]
        return np.array([[info[agent]["energy"] for info in told] for agent in idle])

    first, again, other = energies(3), energies(3), energies(4)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any(axis=1).all()
    mean = energies_without_noise()
    factors = first[:, :5] / mean[:, :5]  # before sunrise
    assert (factors[0] != factors[1]).any()


def energies_without_noise() -> np.ndarray:
    env = parallel_env(2, num_days=2)
    env.reset()
    idle = {agent: np.zeros(1) for agent in env.agents}
    told = [env.step(idle)[4] for _ in range(24)]
    return np.array([[info[agent]["energy"] for info in told] for agent in idle])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"num_houses": 18}, ValueError, "num_houses = 18: 1 to 17 are known"),
        ({"num_houses": 0}, ValueError, "num_houses = 0: 1 to 17 are known"),
        ({"theta": [0.3]}, ValueError, "theta must be 24 finite prices"),
        ({"wrong": 1}, TypeError, "wrong"),
    ],
)
def test_what_is_impossible_is_refused(
    options: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        parallel_env(**options)  # type: ignore[arg-type]
