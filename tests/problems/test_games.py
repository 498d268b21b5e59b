"""Cells of the games in which the leader acts: every variant trains, with its own quirks."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.ascent import Adam
from bilevelrl.core.cell import Context, Training
from bilevelrl.core.exact import Exact
from bilevelrl.core.finite_settings import TruncatedFollower
from bilevelrl.core.games import GameSetting, ReleasedGameSetting
from bilevelrl.core.sampled import Sampled
from bilevelrl.core.score_function import ScoreFunction
from bilevelrl.core.seeding import Streams
from bilevelrl.core.settings import ExactFollower, Setting, group_key
from bilevelrl.core.training import ascend
from bilevelrl.core.zero_order import ZeroOrder
from bilevelrl.models.finite_game.critics import ExpectedBackup, NetworkCritic
from bilevelrl.models.finite_game.game import FiniteGame
from bilevelrl.models.finite_game.leader import FiniteLeader
from bilevelrl.models.finite_game.policies import NetworkPolicy
from bilevelrl.models.finite_game.settings import FiniteCorrectedSetting
from bilevelrl.models.finite_game.soft_q_iteration import SoftQIteration, TruncatedSoftQ
from bilevelrl.models.finite_game.uniform_first import UniformFirst
from bilevelrl.problems.bilevel_lqr.game import LinearGame
from bilevelrl.problems.bilevel_lqr.model_leader import ModelLeader
from bilevelrl.problems.bilevel_lqr.released_leader import LinearNetworkCritic, NetworkLinearLeader
from bilevelrl.runs.chunks import Chunk, Run, cell_of, maker, train_chunk
from bilevelrl.runs.params import Params, read_params

Floats = NDArray[np.float64]
PARAMS: Params = read_params(Path(__file__).parents[2] / "params.yaml")
GAMES = ("discrete_toy_r1", "discrete_toy_r2", "bilevel_lqr")
#: Every estimator and variant of every game.
CASES = [
    (problem, estimator, variant)
    for problem in GAMES
    for estimator, variant in PARAMS.block(problem).estimators
]


def shipped(problem: str, estimator: str, variant: str) -> list[Setting]:
    if estimator not in PARAMS.block(problem).cells:
        return []
    return [each for each in PARAMS.settings(problem, estimator) if each.variant == variant]


def make_setting(problem: str, estimator: str, variant: str, **changes: Any) -> Setting:
    """The shipped setting, short; made up where there is none."""
    found = shipped(problem, estimator, variant)
    if found:
        return found[0].model_copy(update={"num_updates": 3, **changes})
    block = PARAMS.block(problem)
    entry = {"variant": variant, "num_updates": 3, **changes}
    if block.estimators[estimator, variant].has("actor_steps"):
        entry |= {"actor_steps": 1}
    (setting,) = block.expanded(estimator, entry, "cells")
    return setting


def context(problem: str) -> Context[Any, Any, Any]:
    return Context(
        PARAMS.block(problem).constants,
        PARAMS.problem(problem).followers,
        PARAMS.block(problem).training,
    )


def train_runs(
    problem: str, estimator: str, settings: list[Setting], seeds: list[int]
) -> list[dict[str, Floats]]:
    runs = [Run(each, seed, str(seed)) for each, seed in zip(settings, seeds, strict=True)]
    kind = PARAMS.block(problem).kind
    return train_chunk(Chunk(problem, kind, estimator, tuple(runs), context(problem), 500))


def build(problem: str, estimator: str, variant: str, **changes: Any) -> Training[Any]:
    return build_runs(
        problem, estimator, [make_setting(problem, estimator, variant, **changes)] * 2
    )


def build_runs(problem: str, estimator: str, settings: list[Setting]) -> Training[Any]:
    kind = PARAMS.block(problem).kind
    make = maker(kind, estimator, settings[0])
    return cell_of(kind).build(make, settings, context(problem))


@contextmanager
def threads(number: int) -> Iterator[None]:
    before = numba.get_num_threads()
    numba.set_num_threads(min(number, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    try:
        yield
    finally:
        numba.set_num_threads(before)


@pytest.mark.parametrize(("problem", "estimator", "variant"), CASES)
def test_every_estimator_trains(problem: str, estimator: str, variant: str) -> None:
    setting = make_setting(problem, estimator, variant)
    (found,) = train_runs(problem, estimator, [setting], [3])
    sampled = estimator not in ("exact", "zero_order")
    for name, values in found.items():
        unmeasured = name == "leader_return_sampled" and not sampled
        assert np.isnan(values).all() if unmeasured else np.isfinite(values).all(), name
    assert (found["gradient_norm"][1:] > 0.0).all()
    steps = setting.env_steps_per_update if sampled else 0  # type: ignore[attr-defined]
    np.testing.assert_array_equal(found["env_steps"], np.arange(3.0) * steps)
    coordinates = {name for name in found if name.startswith("coordinate ")}
    toy = problem != "bilevel_lqr"
    names = ["f(1|A)"] if toy else ["K1", "K2"]
    assert coordinates == {f"coordinate {name}" for name in names}


@pytest.mark.parametrize(
    ("problem", "estimator", "variant"),
    [case for case in CASES if case[0] != "discrete_toy_r2"],  # the same code as discrete_toy_r1
)
def test_bits_depend_on_neither_the_batch_nor_the_threads(
    problem: str, estimator: str, variant: str
) -> None:
    settings = []
    for i in range(10):
        setting = make_setting(problem, estimator, variant)
        update: dict[str, Any] = {"step_size": setting.step_size * (1.0, 3.0)[i % 2]}
        if isinstance(setting, ReleasedGameSetting):
            own = {"step_size": (1e-3, 1e-2, 0.1)[i % 3]}
            update["critic"] = setting.critic.model_copy(update=own)
        update["temperature"] = setting.temperature * (1.0 + 0.1 * i)
        settings.append(setting.model_copy(update=update))
    assert len({group_key(setting) for setting in settings}) == 1
    seeds = [0, 1, 2, 3, 4, 5, 6, 7, 1, 1]
    together = train_runs(problem, estimator, settings, seeds)
    with threads(2):
        on_two = train_runs(problem, estimator, settings, seeds)
    alone = [(i, train_runs(problem, estimator, [settings[i]], [seeds[i]])[0]) for i in (0, 5, 9)]
    for i, found in [*enumerate(on_two), *alone]:
        assert found.keys() == together[i].keys()
        for name, values in found.items():
            np.testing.assert_array_equal(values, together[i][name], err_msg=f"run {i}, {name}")
    assert len({result["theta"].tobytes() for result in together}) == 10


@pytest.mark.parametrize("problem", ["discrete_toy_r1", "bilevel_lqr"])
def test_same_seed_same_bits(problem: str) -> None:
    setting = make_setting(problem, "bc_hg", "published")
    first, again = (train_runs(problem, "bc_hg", [setting] * 2, [5, 6]) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        for name, values in one.items():
            np.testing.assert_array_equal(values, other[name], err_msg=name)
    assert (first[0]["theta"] != first[1]["theta"]).any()


TOY = [case for case in CASES if case[0] != "bilevel_lqr"]


def learner_of(built: Training[Any]) -> ScoreFunction:
    """What is behind the simulator, with nothing between them."""
    assert isinstance(built.estimator, Sampled)
    assert built.estimator.belief is None
    assert isinstance(built.estimator.learner, ScoreFunction)
    return built.estimator.learner


def env_steps(built: Training[Any]) -> int:
    estimator: Any = built.estimator
    sampler = estimator.sampler
    steps: int = getattr(sampler, "rollout", sampler).env_steps
    return steps


@pytest.mark.parametrize(("problem", "estimator", "variant"), TOY)
def test_quirks_of_the_toy(problem: str, estimator: str, variant: str) -> None:
    built, published = build(problem, estimator, variant), variant == "published"
    game = built.game
    assert isinstance(game, FiniteGame)
    assert isinstance(game.policy, NetworkPolicy)
    assert isinstance(game.exact, SoftQIteration)
    assert game.exact.order == ("published" if published else "correct")
    assert game.return_discount == (0.99 if problem == "discrete_toy_r1" else 1.0)
    assert game.game.follower_reward.max() == (1.0 if problem == "discrete_toy_r1" else 2.0)
    assert isinstance(built.rule, Adam)
    assert built.rule.max_norm is None
    if estimator in ("exact", "zero_order"):
        assert isinstance(built.estimator, Exact if estimator == "exact" else ZeroOrder)
        assert game.follower is game.exact
        return
    score = learner_of(built)
    assert isinstance(score.leader, FiniteLeader)
    assert isinstance(game.follower, UniformFirst) == published
    assert (score.temperature is not None) == (estimator == "bc_hg")
    assert score.random_updates == int(published)
    assert score.influence_now == published
    assert score.minibatch == (64 if published else None)
    assert (score.control is not None) == (not published)
    assert score.leader.baseline == ("sampled_follower_action" if published else "state")
    samples = 256 if published and estimator == "bc_hg" else None
    assert score.leader.follower_samples == samples
    assert score.horizon == 150
    assert env_steps(built) == 450
    if not published:
        assert isinstance(score.leader.critic, ExpectedBackup)
        (setting,) = (
            each
            for each in shipped(problem, estimator, variant)
            if isinstance(each, FiniteCorrectedSetting)
            and each.belief is None
            and isinstance(each.follower, ExactFollower)
        )
        assert (built.rule.decay < 1.0) == (setting.step_size_ratio < 1.0)
        return
    assert score.leader.policy_rate == 0.01
    critic = score.leader.critic
    assert isinstance(critic, NetworkCritic)
    assert critic.bootstrap == ("stackelberg" if estimator.startswith("bi_ac") else "modes")
    assert (critic.target_rate, critic.minibatch) == (0.01, 64)
    np.testing.assert_array_equal(critic.step_size, 1e-3)
    np.testing.assert_array_equal(built.rule.step_size, 1e-4)
    assert built.rule.decay == 1.0
    assert (score.replay is not None) == estimator.endswith("_off")


#: Of the paper's plotted curves: actor and critic steps.
STEPS = {
    ("discrete_toy_r1", "bc_hg"): (10, 1),
    ("discrete_toy_r1", "naive_on"): (2, 20),
    ("discrete_toy_r1", "bi_ac_off"): (5, 1),
    ("discrete_toy_r2", "bc_hg"): (1, 1),
    ("discrete_toy_r2", "naive_on"): (1, 20),
    ("discrete_toy_r2", "bi_ac_off"): (1, 5),
    ("bilevel_lqr", "bc_hg"): (10, 5),
    ("bilevel_lqr", "naive_on"): (10, 5),
    ("bilevel_lqr", "naive_off"): (2, 5),
}


@pytest.mark.parametrize(("problem", "estimator"), STEPS)
def test_plotted_curves_have_the_steps_of_the_figures(problem: str, estimator: str) -> None:
    built = build(problem, estimator, "published", num_updates=500)
    score = learner_of(built)
    leader: Any = score.leader
    assert (built.actor_steps, leader.critic.steps) == STEPS[problem, estimator]
    if estimator.endswith("_off"):  # nothing is ever thrown away
        assert score.replay is not None
        assert score.replay.capacity * score.horizon >= 500 * env_steps(built)


@pytest.mark.parametrize("estimator", ["bc_hg", "naive_on", "naive_off"])
def test_quirks_of_the_lqr(estimator: str) -> None:
    built = build("bilevel_lqr", estimator, "published")
    assert isinstance(built.game, LinearGame)
    assert built.game.return_discount == 1.0
    assert isinstance(built.rule, Adam)
    assert built.rule.max_norm == (1.0 if estimator == "bc_hg" else None)
    np.testing.assert_array_equal(built.rule.step_size, 0.1)
    score = learner_of(built)
    assert (score.temperature is not None) == (estimator == "bc_hg")
    assert (score.leader_discount, score.follower_discount) == (0.99, 0.95)
    assert (score.random_updates, score.minibatch, score.influence_now) == (11, 64, True)
    assert (score.horizon, env_steps(built)) == (100, 400)
    assert score.control is None
    leader = score.leader
    assert isinstance(leader, NetworkLinearLeader)
    assert isinstance(leader.critic, LinearNetworkCritic)
    assert (leader.leader_samples, leader.policy_rate) == (32, 0.01)
    if estimator == "bc_hg":
        assert leader.follower_samples == 256
    np.testing.assert_array_equal(leader.critic.step_size, 0.1)
    assert leader.problem.leader_noise == 1e-3


@pytest.mark.parametrize("variant", ["corrected", "improved"])
def test_variants_of_the_lqr_without_quirks(variant: str) -> None:
    built = build("bilevel_lqr", "bc_hg", variant)
    assert isinstance(built.rule, Adam)
    assert built.rule.normalise == (variant == "improved")
    score = learner_of(built)
    assert isinstance(score.leader, ModelLeader)
    assert score.leader.form == ("pathwise" if variant == "improved" else "score")
    assert (score.minibatch, score.influence_now, score.replay) == (None, False, None)
    assert build("bilevel_lqr", "exact", "improved").rule.normalise  # type: ignore[attr-defined]
    assert not build("bilevel_lqr", "exact", "published").rule.normalise  # type: ignore[attr-defined]


#: What each ablation of the LQR changes, as the rule and the estimator that are built have it.
ABLATIONS: dict[str, dict[str, Any]] = {
    "clipped": {"norm": 1.0},
    "no_random_phase": {"random": 0},
    "clipped_no_random_phase": {"norm": 1.0, "random": 0},
}
ABLATED = [
    (estimator, setting)
    for estimator in PARAMS.block("bilevel_lqr").cells
    for setting in PARAMS.settings("bilevel_lqr", estimator)
    if isinstance(setting, GameSetting) and setting.study is not None
]


@pytest.mark.parametrize(
    ("estimator", "setting"), ABLATED, ids=[f"{name}-{each.study}" for name, each in ABLATED]
)
def test_ablations_of_the_lqr_change_one_thing(estimator: str, setting: GameSetting) -> None:
    def seen(own: Setting) -> dict[str, Any]:
        built = build_runs("bilevel_lqr", estimator, [own])
        assert isinstance(built.rule, Adam)
        return {"norm": built.rule.max_norm, "random": learner_of(built).random_updates}

    released = seen(make_setting("bilevel_lqr", estimator, "published"))
    assert released == {"norm": 1.0 if estimator == "bc_hg" else None, "random": 11}
    assert setting.study is not None
    assert seen(setting) == released | ABLATIONS[setting.study]


def test_every_estimator_of_the_lqr_that_is_released_is_ablated() -> None:
    # BC-HG is always clipped.
    expected = {
        (estimator, study)
        for estimator in ("bc_hg", "naive_on", "naive_off")
        for study in (ABLATIONS if estimator != "bc_hg" else ["no_random_phase"])
    }
    assert {(estimator, setting.study) for estimator, setting in ABLATED} == expected


def test_the_first_answer_is_uniform_and_its_indirect_part_nothing() -> None:
    built = build("discrete_toy_r1", "bc_hg", "published")
    loop = ascend(
        built.game, built.estimator, Streams([0, 1]), rule=built.rule, num_updates=3,
        actor_steps=built.actor_steps,
    )  # fmt: skip
    for step in loop:
        first = step.update == 0
        assert (step.response.value == 0.0).all() == first
        assert (step.response.policy == 1.0 / 3.0).all() == first
        assert (step.estimate.indirect == 0.0).all() == first
        # Ten Adam steps of about 1e-4 each.
        moved = np.abs(step.next_theta - step.theta).max()
        assert 2e-4 < moved < 1.5e-3


@pytest.mark.parametrize("start", ["carry", "reset"])
def test_a_truncated_follower_keeps_the_variant_s_order(
    start: Literal["carry", "reset"],
) -> None:
    follower = TruncatedFollower(kind="truncated", start=start, policy_iterations=2)
    changes = {"follower": follower}
    built = build("discrete_toy_r1", "bc_hg", "published", **changes)
    assert isinstance(built.game, FiniteGame)
    assert isinstance(built.game.follower, UniformFirst)
    inner = built.game.follower.follower
    assert isinstance(inner, TruncatedSoftQ)
    assert (inner.order, inner.start_from) == ("published", start)
    setting = make_setting("discrete_toy_r1", "bc_hg", "published", **changes)
    (found,) = train_runs("discrete_toy_r1", "bc_hg", [setting], [0])
    assert (found["follower_kl"] > 0.01).all()
    assert all(np.isfinite(values).all() for values in found.values())


@pytest.mark.parametrize("problem", GAMES)
def test_exact_ascent_climbs(problem: str) -> None:
    setting = make_setting(problem, "exact", "published", num_updates=25)
    found = train_runs(problem, "exact", [setting] * 2, [0, 1])
    for run in found:
        np.testing.assert_allclose(run["cosine"], 1.0, rtol=1e-9)
        assert run["leader_return"][-1] > run["leader_return"][0]
