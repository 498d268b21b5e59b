from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.batches import Batch
from bilevelrl.core.seeding import Streams
from bilevelrl.models.tabular.monte_carlo import monte_carlo
from bilevelrl.models.tabular.rollout import Rollout
from bilevelrl.problems.four_rooms.problem import FourRooms

Floats = NDArray[np.float64]
PROBLEM = FourRooms()


def random_batch() -> Batch:
    """Random walks that begin anywhere, so that goals, cuts and repeated visits all occur."""
    rollout = Rollout(PROBLEM.simulator, 3, 300, max_episode_steps=20, uniform_starts=True)
    policy = np.random.default_rng(0).dirichlet(np.ones(4), size=(2, 104))
    return rollout.sample(policy, Streams([0, 1]))


def returns(batch: Batch, run: int, env: int, reward: Floats, discount: float) -> list[float]:
    """R_γ[r]_k = Σ_{j ≥ k} γ^{j-k} r_j up to the first done or the batch's end, as double sums."""
    done = (batch.terminated | batch.truncated)[run, env]
    steps = [
        reward[run, s, a]
        for s, a in zip(batch.state[run, env], batch.action[run, env], strict=True)
    ]
    result = []
    for k in range(len(steps)):
        total = 0.0
        for j in range(k, len(steps)):
            total += discount ** (j - k) * steps[j]
            if done[j]:
                break
        result.append(total)
    return result


def test_tables_equal_their_definition() -> None:
    batch = random_batch()
    assert batch.terminated.any(axis=(1, 2)).all()
    assert batch.truncated.any(axis=(1, 2)).all()
    reward = np.random.default_rng(1).standard_normal((2, 104, 4))
    tables = monte_carlo(batch, reward, 0.9)
    for run in range(2):
        by_pair, by_state = defaultdict(list), defaultdict(list)
        for env in range(3):
            for k, value in enumerate(returns(batch, run, env, reward, 0.9)):
                s, a = int(batch.state[run, env, k]), int(batch.action[run, env, k])
                by_pair[s, a].append(value)
                by_state[s].append(value)
        q, v = np.zeros((104, 4)), np.zeros(104)
        for pair, values in by_pair.items():
            q[pair] = np.mean(values)
        for state, values in by_state.items():
            v[state] = np.mean(values)
        assert max(map(len, by_pair.values())) > 1
        np.testing.assert_allclose(tables.action_value[run], q, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(tables.value[run], v, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(tables.advantage[run], q - v[:, None], rtol=1e-12, atol=1e-13)


def test_unvisited_entries_are_zero() -> None:
    batch = random_batch()
    tables = monte_carlo(batch, np.ones((2, 104, 4)), 0.9)
    visited = np.zeros((2, 104, 4), dtype=bool)
    visited[np.arange(2)[:, None, None], batch.state, batch.action] = True
    assert 0 < visited.sum() < visited.size
    assert (tables.action_value[~visited] == 0.0).all()
    assert (tables.action_value[visited] >= 1.0).all()
    assert (tables.value[~visited.any(2)] == 0.0).all()
