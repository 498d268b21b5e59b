"""One house as a Gymnasium environment."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from bilevelrl.problems.home_battery.gym import HomeBatteryEnv

PRICES = np.linspace(0.1, 0.56, 24)


# Actions are kWh, not shares; and without a registration nobody can make it in another mode.
@pytest.mark.filterwarnings("ignore:.*symmetric and normalized space:UserWarning")
@pytest.mark.filterwarnings("ignore:.*alternative render modes:UserWarning")
@pytest.mark.parametrize("options", [{}, {"theta": PRICES, "house": 17, "noise": 0.3}])
@pytest.mark.parametrize("mode", [None, "ansi", "rgb_array"])
def test_honours_the_gymnasium_contract(options: dict[str, object], mode: str | None) -> None:
    check_env(HomeBatteryEnv(render_mode=mode, **options), skip_render_check=False)  # type: ignore[arg-type]


def test_transitions_by_hand() -> None:
    env = HomeBatteryEnv(PRICES)
    observation, info = env.reset(seed=0)
    np.testing.assert_array_equal(observation, [1.0, 0.0, 0.0])
    assert info == {"charge": 0.0}
    _, reward, terminated, truncated, info = env.step(np.array([2.0]))
    assert (terminated, truncated) == (False, False)
    assert info["energy"] == pytest.approx(1.1198 + 2.0)
    assert info["charge"] == pytest.approx(2.0 * np.sqrt(0.9))
    assert reward == pytest.approx(-0.1 * 3.1198)
    assert info["leader_reward"] == pytest.approx(-0.05 * 3.1198**2 - 0.5 * 0.2**2)
    observation, reward, _, _, info = env.step(np.array([-5.0]))  # more than there is
    assert info["charge"] == 0.0
    assert info["energy"] == pytest.approx(0.7682 - 2.0 * 0.9)
    assert reward == 0.0
    assert observation[1] == pytest.approx(np.sin(np.pi / 6.0))
    for _ in range(2):
        *_, info = env.step(np.array([7.0]))
    assert info["charge"] == 6.4
    assert info["energy"] == pytest.approx(0.8305 + 6.4 / np.sqrt(0.9) - 5.0)


def test_noise_is_drawn_in_every_hour() -> None:
    env = HomeBatteryEnv(noise=0.2, num_days=400)
    env.reset(seed=0)
    energies = [env.step(np.zeros(1))[-1]["energy"] for _ in range(24 * 400)]
    nights, noons = (np.array(energies[h::24]) for h in (2, 12))
    assert nights.std() == pytest.approx(0.2 * 0.8732, rel=0.2)
    assert noons.std() == pytest.approx(0.2 * np.hypot(1.4802, 4.0 * 0.6863), rel=0.2)
    assert nights.mean() == pytest.approx(0.8732, rel=0.05)


def test_ends_after_its_days_and_needs_a_reset() -> None:
    env = HomeBatteryEnv(num_days=2)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(np.zeros(1))
    env.reset(seed=0)
    ends = [env.step(np.ones(1))[2:4] for _ in range(48)]
    assert ends == [(False, False)] * 47 + [(False, True)]
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(np.zeros(1))


def test_draws_the_day_so_far() -> None:
    env = HomeBatteryEnv(PRICES, render_mode="rgb_array")
    env.reset(seed=0)
    before = env.render()
    env.step(np.array([3.0]))
    after = env.render()
    assert isinstance(before, np.ndarray)
    assert isinstance(after, np.ndarray)
    assert after.shape == (320, 352, 3)
    changed = (before != after).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert columns.max() < 8 + 14  # the first hour alone
    assert rows.min() > 8 + 96  # prices stay
    assert {number // 104 for number in rows - 8} == {1, 2}
    night = changed[112:208].sum()
    env.step(np.array([-3.0]))
    fed_in = (env.render() != after).any(axis=2)[112 + 48 : 208]  # type: ignore[union-attr]
    assert night > 0
    assert fed_in.any()


def test_draws_one_day_at_a_time() -> None:
    env = HomeBatteryEnv(PRICES, render_mode="ansi")
    env.reset(seed=0)
    for hour in range(25):
        env.step(np.full(1, 0.5 * (hour < 24)))
    lines = env.render().splitlines()  # type: ignore[union-attr]
    assert lines[1].rstrip("| ") == f"energy |{'▂'}"
    assert lines[3].startswith(" 0 h: 0.10 $/kWh, +1.12 kWh from the grid, 6.40 kWh charged")


def test_writes_the_day_so_far() -> None:
    env = HomeBatteryEnv(PRICES, render_mode="ansi")
    env.reset(seed=0)
    for action in (5.0, -1.0):
        env.step(np.array([action]))
    lines = env.render().splitlines()  # type: ignore[union-attr]
    assert len(lines) == 4
    assert lines[0] == "price  |▂▂▂▃▃▃▄▄▄▄▅▅▅▆▆▆▆▇▇▇████|"
    assert lines[1] == f"energy |{'▇'}{' '}{' ' * 22}|"
    assert lines[3].startswith(" 1 h: 0.12 $/kWh, -0.23 kWh from the grid, 3.69 kWh charged")


def test_refusals() -> None:
    for options, message in (
        ({"theta": np.ones(23)}, "theta must be 24 finite prices"),
        ({"theta": "cheap"}, "theta must be 24 prices"),
        ({"house": 0}, "house must be at least 1, a whole number, got 0"),
        ({"house": 18}, "num_houses = 18: 1 to 17 are known"),
        ({"num_days": 0}, "num_days must be at least 1, a whole number, got 0"),
        ({"render_mode": "human"}, "render_mode must be None or one of"),
    ):
        with pytest.raises(ValueError, match=message):
            HomeBatteryEnv(**options)  # type: ignore[arg-type]
    env = HomeBatteryEnv()
    env.reset(seed=0)
    with pytest.raises(ValueError, match="action must be one finite number"):
        env.step(np.array([np.nan]))
