"""Is the mean of corrected BC-HG of an acting leader the exact hypergradient, and how noisy is it?

On a game without structure a joint test (Hotelling's T²) in all eight directions that logits have
beyond their gauge; on the discrete toy, where J depends on q = f(1 | A) alone, a z test of dJ/dq.
The reference counts the follower's reaction to the end of an episode, as samples do.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.control_variate import ControlVariate
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.score_function import Centring, ScoreFunction
from bilevelrl.core.seeding import Streams
from bilevelrl.models.finite_game.critics import ExactGameCritic
from bilevelrl.models.finite_game.game import FiniteSampler
from bilevelrl.models.finite_game.leader import Baseline, FiniteLeader
from bilevelrl.models.finite_game.rollout import GameRollout
from bilevelrl.models.finite_game.soft_q_iteration import SoftQIteration
from bilevelrl.problems.discrete_toy.problem import discrete_toy
from tests.problems.game_points import (
    Kind,
    Point,
    generic,
    judge,
    replicate,
    toy,
)

Floats = NDArray[np.float64]

POINTS = [generic(0, 0.1), generic(3, 0.1)]


CASES = {
    "plain": (POINTS[0], Kind()),
    "control": (POINTS[0], Kind(control=True)),
    "minibatch": (POINTS[0], Kind(minibatch=128)),
    "influence-now": (POINTS[0], Kind(influence_now=True)),
    "mostly-direct": (POINTS[1], Kind(control=True)),
    "mostly-direct-all": (POINTS[1], Kind(control=True, minibatch=128, influence_now=True)),
}


@pytest.mark.parametrize(("point", "kind"), CASES.values(), ids=CASES)
def test_mean_of_bc_hg_is_the_exact_hypergradient(point: Point, kind: Kind) -> None:
    samples = replicate(point, kind, runs=5000, episodes=10).gradient
    verdict = judge(samples, point.exact)
    assert verdict.p_value > 1e-4, f"biased: {verdict}"
    # Power: an error of two thirds of the indirect part would be found, wherever it points, and
    # one of a fifth of the whole.
    assert verdict.blind_spot < np.linalg.norm(point.indirect) * 2.0 / 3.0
    assert verdict.blind_spot < np.linalg.norm(point.exact) / 5.0


def assert_biased(samples: Floats, exact: Floats, at_least: float) -> None:
    verdict = judge(samples, exact)
    assert verdict.p_value < 1e-12, f"not found out: {verdict}"
    assert verdict.bias > at_least * np.linalg.norm(exact)


def test_an_indirect_part_that_is_off_by_half_is_found_out() -> None:
    samples = replicate(POINTS[0], Kind(control=True), runs=4000, episodes=10)
    assert_biased(samples.direct + 0.5 * samples.indirect, POINTS[0].exact, at_least=0.1)


def test_a_baseline_at_the_sampled_follower_action_is_found_out() -> None:
    kind = Kind(baseline="sampled_follower_action", indirect=False)
    samples = replicate(POINTS[0], kind, runs=4000, episodes=10).direct
    assert_biased(samples, POINTS[0].direct, at_least=0.05)


@pytest.mark.parametrize("own_batch", [False, True])
def test_a_control_variate_fitted_on_its_own_batch_is_found_out(own_batch: bool) -> None:
    # Streams that start anew repeat the batch that the baseline has just been fitted on.
    point, runs, horizon = POINTS[0], 5000, 20
    leader = FiniteLeader(point.policy, point.game.sizes, ExactGameCritic(point.game))
    learner = ScoreFunction(
        leader,
        horizon,
        0.95,
        0.9,
        np.full(runs, point.temperature),
        control=Centring(ControlVariate(12, 12), leader),
    )
    estimator = Sampled(FiniteSampler(point.policy, GameRollout(point.game, 1), "full"), learner)
    response = replace(
        point.response,
        policy=np.repeat(point.response.policy, runs, axis=0),
        value=np.repeat(point.response.value, runs, axis=0),
    )
    theta, streams = np.repeat(point.theta, runs, axis=0), Streams(range(runs))
    memory = estimator.start(streams)
    estimator.estimate(theta, response, memory, streams)
    if own_batch:
        streams = Streams(range(runs))
    samples = estimator.estimate(theta, response, memory, streams).indirect
    if own_batch:
        assert_biased(samples, point.indirect, at_least=0.3)
    else:
        assert judge(samples, point.indirect).p_value > 1e-4


@pytest.mark.parametrize("point", POINTS, ids=["half-indirect", "mostly-direct"])
def test_mean_of_naive_is_the_exact_direct_part(point: Point) -> None:
    samples = replicate(point, Kind(indirect=False), runs=4000, episodes=10)
    np.testing.assert_array_equal(samples.indirect, 0.0)
    verdict = judge(samples.direct, point.direct)
    assert verdict.p_value > 1e-4, f"biased: {verdict}"
    assert verdict.blind_spot < np.linalg.norm(point.direct) / 20.0


def by_probability(point: Point) -> Callable[[Floats], Floats]:
    """dJ/dq from gradients (..., 6): the other logits of the toy's leader change nothing."""
    q = float(point.policy.probabilities(point.theta)[0, 1, 1])

    def convert(gradient: Floats) -> Floats:
        np.testing.assert_allclose(np.delete(gradient, [2, 3], axis=-1), 0.0, atol=1e-9)
        converted: Floats = gradient[..., 3] / (q * (1.0 - q))
        return converted

    return convert


@pytest.mark.parametrize(
    ("revisit_reward", "q", "kind", "runs", "power"),
    [
        (1.0, 0.3, Kind(), 8000, 1 / 3),
        (1.0, 0.3, Kind(control=True), 4000, 1 / 8),
        (2.0, 0.5, Kind(control=True), 4000, 1 / 8),
        (2.0, 0.55, Kind(control=True), 4000, 1 / 12),
        (2.0, 0.55, Kind(control=True, minibatch=64, influence_now=True), 4000, 1 / 3),
    ],
)
def test_mean_on_the_toy_is_the_exact_hypergradient(
    revisit_reward: float, q: float, kind: Kind, runs: int, power: float
) -> None:
    point = toy(revisit_reward, q)
    convert = by_probability(point)
    samples = replicate(point, kind, runs=runs, episodes=3)
    for found, exact in (
        (samples.direct, point.direct),
        (samples.indirect, point.indirect),
        (samples.gradient, point.exact),
    ):
        error = convert(found) - convert(exact)
        standard_error = error.std() / np.sqrt(runs)
        assert abs(error.mean()) < 4.0 * standard_error
    # Power: an indirect part that is off by this share would be found.
    noise = convert(samples.indirect).std() / np.sqrt(runs)
    assert 6.0 * noise < power * abs(convert(point.indirect))


@pytest.mark.parametrize(
    ("revisit_reward", "q", "at_least"),
    # Measured: 6, 24, 150, 400 and 380.
    [(1.0, 0.15, 4.0), (1.0, 0.3, 15.0), (2.0, 0.45, 50.0), (2.0, 0.5, 100.0), (2.0, 0.55, 100.0)],
)
def test_the_control_variate_removes_most_of_the_variance(
    revisit_reward: float, q: float, at_least: float
) -> None:
    point = toy(revisit_reward, q)
    convert = by_probability(point)
    plain, centred = (
        convert(replicate(point, Kind(control=control), runs=1000, episodes=3).gradient).var()
        for control in (False, True)
    )
    print(f"R = {revisit_reward:.0f}, q = {q}: variance falls by {plain / centred:.0f}")
    assert plain > at_least * centred


def direct_by_table(point: Point, baseline: Baseline, horizon: int | None) -> float:
    """dJ/dq's direct part as the mean over (s, a, b) of score times advantage, written out."""
    game, f = point.game, point.policy.probabilities(point.theta)[0]
    pi, gamma = point.response.policy[0], game.leader_discount
    joint = f[:, :, None] * pi
    chain = np.einsum("sab,sabt->st", joint, game.transition)
    reward = (joint * game.leader_reward).sum(axis=(1, 2))
    value = np.linalg.solve(np.eye(3) - gamma * chain, reward)  # as if episodes never ended
    q_table = game.leader_reward + gamma * game.transition @ value
    if horizon is None:
        visits = np.linalg.solve((np.eye(3) - gamma * chain).T, game.initial)
    else:
        powers = [np.linalg.matrix_power(gamma * chain.T, t) for t in range(horizon)]
        visits = np.sum(powers, axis=0) @ game.initial
    weight, score = visits[1] * joint[1], np.array([-1.0 / f[1, 0], 1.0 / f[1, 1]])[:, None]
    advantage = q_table[1]
    if baseline == "sampled_follower_action":
        advantage = advantage - (f[1][:, None] * q_table[1]).sum(axis=0)
    return float((weight * score * advantage).sum())


@pytest.mark.parametrize(
    ("revisit_reward", "q", "right", "wrong"),
    [(1.0, 0.15, 11.94, 11.41), (2.0, 0.5, 15.47, 14.17)],
)
def test_the_published_baseline_is_as_biased_as_was_found_independently(
    revisit_reward: float, q: float, right: float, wrong: float
) -> None:
    # An independent implementation has these values, with the published follower and no end of
    # the episode ...
    game = discrete_toy(revisit_reward)
    point = toy(revisit_reward, q)
    follower = SoftQIteration(game, np.array([0.05]), 1e-10, 200, "published")
    answer = follower.respond(point.policy.probabilities(point.theta), follower.start(1))
    played = replace(point, response=answer)
    assert direct_by_table(played, "state", None) == pytest.approx(right, abs=0.005)
    assert direct_by_table(played, "sampled_follower_action", None) == pytest.approx(
        wrong, abs=0.005
    )
    # ... and sampled episodes show the same loss, as far as they go.
    convert = by_probability(point)
    kind = Kind(baseline="sampled_follower_action", indirect=False)
    found = convert(replicate(played, kind, runs=4000, episodes=3).direct)
    standard_error = found.std() / np.sqrt(len(found))
    expected = direct_by_table(played, "sampled_follower_action", 150)
    assert found.mean() == pytest.approx(expected, abs=4.0 * standard_error + 0.02)  # the end
    unbiased = direct_by_table(played, "state", 150)
    assert found.mean() / unbiased == pytest.approx(wrong / right, abs=0.01)
    assert standard_error < 0.1 * (right - wrong)
