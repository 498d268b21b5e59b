import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from bilevelrl.core.batches import Batch
from bilevelrl.core.seeding import Streams, stream
from bilevelrl.models.tabular.critic import policy_advantage
from bilevelrl.models.tabular.rollout import Rollout
from bilevelrl.models.tabular.sarsa import Cuts, Sarsa
from bilevelrl.problems.four_rooms.problem import FourRooms

Floats = NDArray[np.float64]
PROBLEM = FourRooms()
STEP_SIZES = np.array([0.3, 1.0])


def random_policy() -> Floats:
    return np.random.default_rng(0).dirichlet(np.ones(4), size=(2, 104))


def random_batch() -> Batch:
    """Random walks that begin anywhere: goals, step limits and the batch's end all cut episodes."""
    rollout = Rollout(PROBLEM.simulator, 3, 300, max_episode_steps=20, uniform_starts=True)
    return rollout.sample(random_policy(), Streams([0, 1]))


def shuffled(size: int, uniforms: Floats) -> list[int]:
    """Fisher-Yates from the back: the order in which transitions are visited."""
    remaining, order = list(range(size)), []
    for i in reversed(range(size)):
        j = int(uniforms[i] * (i + 1))
        order.append(remaining[j])
        remaining[j] = remaining[i]
    return order


def literal_pass(
    table: Floats,
    batch: Batch,
    run: int,
    reward: Floats,
    policy: Floats,
    order: list[int],
    cuts: Cuts,
) -> None:
    """The update step by step, with the deviation that `cuts="bootstrap"` stands for."""
    num_steps = batch.state.shape[2]
    done = (batch.terminated | batch.truncated)[run]
    for k in order:
        env, t = divmod(k, num_steps)
        s, a = batch.state[run, env, t], batch.action[run, env, t]
        last = t == num_steps - 1
        if not done[env, t] and not last:
            following = table[batch.state[run, env, t + 1], batch.action[run, env, t + 1]]
        elif cuts == "termination" or batch.terminated[run, env, t]:
            following = 0.0
        else:
            after = batch.following[run, env, t]
            following = policy[run, after] @ table[after]
        error = reward[run, s, a] + 0.99 * following - table[s, a]
        table[s, a] += STEP_SIZES[run] * error


@pytest.mark.parametrize("cuts", ["termination", "bootstrap"])
def test_a_pass_equals_its_definition(cuts: Cuts) -> None:
    batch, policy, streams = random_batch(), random_policy(), Streams([5, 6])
    assert batch.terminated.any(axis=(1, 2)).all()
    assert batch.truncated.any(axis=(1, 2)).all()
    reward = np.random.default_rng(1).standard_normal((2, 104, 4))
    critic = Sarsa(STEP_SIZES, 0.99, initial_spread=1.0, cuts=cuts)
    table = critic.start((104, 4), streams)
    expected = table.copy()
    for _ in range(2):  # the table is carried from batch to batch
        critic.update(table, batch, reward, policy, streams)
    for run, seed in enumerate((5, 6)):
        numbers = stream(seed, "critic")
        np.testing.assert_array_equal(expected[run], numbers.standard_normal((104, 4)))
        for _ in range(2):
            order = shuffled(900, numbers.random(900))
            assert sorted(order) == list(range(900))
            literal_pass(expected[run], batch, run, reward, policy, order, cuts)
        np.testing.assert_allclose(table[run], expected[run], rtol=1e-12, atol=1e-13)


def chain(num_runs: int) -> Batch:
    """0 -> 1 -> 2 -> end, the same in every run."""
    shape = (num_runs, 1, 3)
    return Batch(
        state=np.broadcast_to(np.arange(3, dtype=np.int16), shape),
        action=np.zeros(shape, np.int8),
        following=np.broadcast_to(np.arange(1, 4, dtype=np.int16), shape),
        time=np.broadcast_to(np.arange(3, dtype=np.int16), shape),
        terminated=np.broadcast_to(np.arange(3) == 2, shape),
        truncated=np.zeros(shape, np.bool_),
    )


def test_every_visiting_order_is_equally_likely() -> None:
    # Only the last step pays, and α = 1, so a value has come through iff the order was backwards.
    runs = 3000
    reward = np.zeros((runs, 4, 1))
    reward[:, 2] = 1.0
    critic = Sarsa(np.ones(runs), 0.5)
    streams = Streams(list(range(runs)))
    table = critic.start((4, 1), streams)
    critic.update(table, chain(runs), reward, np.ones((runs, 4, 1)), streams)
    assert (table[:, 2, 0] == 1.0).all()
    assert set(np.unique(table[:, 1, 0])) == {0.0, 0.5}
    assert set(np.unique(table[:, 0, 0])) == {0.0, 0.25}
    assert stats.binomtest(int((table[:, 1, 0] > 0.0).sum()), runs, 1 / 2).pvalue > 1e-4
    assert stats.binomtest(int((table[:, 0, 0] > 0.0).sum()), runs, 1 / 6).pvalue > 1e-4


def test_the_default_starts_from_zero_and_learns_the_value_of_the_policy() -> None:
    # Two states in turn, cut after one step each: only bootstrapping finds 1 / (1 - γ²) and γ times
    # that.
    shape = (1, 2, 1)
    turns = np.array([0, 1]).reshape(shape)
    batch = Batch(
        state=turns.astype(np.int16),
        action=np.zeros(shape, np.int8),
        following=(1 - turns).astype(np.int16),
        time=np.zeros(shape, np.int16),
        terminated=np.zeros(shape, np.bool_),
        truncated=np.ones(shape, np.bool_),
    )
    reward = np.array([[[1.0], [0.0]]])
    tables = {}
    for cuts in ("bootstrap", "termination"):
        streams = Streams([0])
        critic = Sarsa(np.ones(1), 0.5, cuts=cuts)  # type: ignore[arg-type]
        table = critic.start((2, 1), streams)
        assert not table.any()
        for _ in range(80):
            critic.update(table, batch, reward, np.ones((1, 2, 1)), streams)
        tables[cuts] = table[0, :, 0]
    np.testing.assert_allclose(tables["bootstrap"], [4 / 3, 2 / 3], rtol=1e-12)
    np.testing.assert_allclose(tables["termination"], [1.0, 0.0])


def test_the_advantage_is_centred_under_the_policy() -> None:
    policy = random_policy()
    q = np.random.default_rng(3).standard_normal((2, 104, 4))
    advantage = policy_advantage(q, policy)
    np.testing.assert_allclose((policy * advantage).sum(2), 0.0, atol=1e-14)
    np.testing.assert_allclose(np.diff(advantage, axis=2), np.diff(q, axis=2), atol=1e-14)


def test_a_run_is_the_same_alone_and_in_a_batch() -> None:
    batch, policy = random_batch(), random_policy()
    reward = np.random.default_rng(1).standard_normal((2, 104, 4))
    tables = []
    for runs in (slice(0, 2), slice(1, 2)):
        part = Batch(*(getattr(batch, name)[runs] for name in Batch.__dataclass_fields__))
        streams = Streams([5, 6][runs])
        critic = Sarsa(STEP_SIZES[runs], 0.99, initial_spread=1.0)
        table = critic.start((104, 4), streams)
        critic.update(table, part, reward[runs], policy[runs], streams)
        tables.append(table)
    np.testing.assert_array_equal(tables[0][1], tables[1][0])
