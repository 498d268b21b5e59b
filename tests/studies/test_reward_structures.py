"""The study of reward structures says what it says of its random games."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bilevelrl.core.blocks import SolverParams
from bilevelrl.core.seeding import Streams
from bilevelrl.evaluation.statistics import interval
from bilevelrl.models.finite_game.exact import game_hypergradient
from bilevelrl.models.finite_game.markov_game import leader_return
from bilevelrl.models.finite_game.policies import TabularPolicy
from bilevelrl.models.finite_game.random_game import mixed_rewards, random_game
from bilevelrl.models.finite_game.soft_q_iteration import SoftQIteration
from bilevelrl.runs.params import read_params
from bilevelrl.runs.reward_structures_block import RewardStructureParams
from bilevelrl.studies.reward_structures import (
    REWARD_STRUCTURE_COLUMNS,
    RewardTask,
    measure,
    reward_structures,
    sizes_of,
)

Floats = NDArray[np.float64]
SHIPPED = read_params(Path(__file__).parents[2] / "params.yaml")
SOLVER = SHIPPED.followers
BETA = 0.5


def params(**changes: Any) -> RewardStructureParams:
    """The shipped ones, small; changes of `games` by a mapping."""
    small = SHIPPED.reward_structures.model_dump()
    small |= {"alignments": (-1.0, 0.5), "temperatures": (BETA,), "points": 2, "replicates": 4}
    small["ascent"] |= {"num_updates": 3}
    small["games"] |= {"num_seeds": 3} | changes.pop("games", {})
    return RewardStructureParams.model_validate(small | changes)


def one_after_the_other(
    function: Any, tasks: Any, *, weights: object = None, description: str = ""
) -> Iterator[tuple[int, Any]]:
    del weights, description
    yield from reversed(list(enumerate(map(function, tasks))))


def solved_by_hand(task: RewardTask, alignment: float, theta: Floats) -> tuple[Floats, Floats]:
    """Direct and indirect part at θ, shape (N, D), from coefficients."""
    game = mixed_rewards(random_game(task.seed, sizes_of(task.params.games)), alignment)
    policy = TabularPolicy(game.num_states, game.num_leader_actions)
    leader, beta = policy.probabilities(theta), np.full(len(theta), BETA)
    follower = SoftQIteration(game, beta, 1e-11, 200)
    answer = follower.respond(leader, follower.start(len(theta)))
    found = game_hypergradient(
        game, leader, answer, beta, discount=game.leader_discount,
        horizon=game.max_episode_steps, order="correct",
    )  # fmt: skip
    direct, indirect = (
        policy.pull_back(theta, part * leader) for part in (found.direct, found.indirect)
    )
    return direct, indirect


def points_of(task: RewardTask) -> Floats:
    games, own = task.params.games, task.params
    shape = (own.points, games.num_states * games.num_leader_actions)
    points: Floats = own.spread * Streams([task.seed]).normals("initial_parameters", shape)[0]
    return points


def test_terms_are_those_of_the_game() -> None:
    task = RewardTask(60001, params(), SOLVER)
    found = measure(task, BETA, 0.5)
    direct, indirect = solved_by_hand(task, 0.5, points_of(task))
    norms = [np.linalg.norm(part, axis=1) for part in (direct, indirect, direct + indirect)]
    share = norms[1] / (norms[0] + norms[1])
    assert found["indirect_share"] == pytest.approx(share.mean(), rel=1e-8)
    cosine = (direct * (direct + indirect)).sum(axis=1) / (norms[0] * norms[2])
    assert found["cosine_direct"] == pytest.approx(cosine.mean(), rel=1e-8)
    assert 0.01 < found["indirect_share"] < 0.5
    assert "closed_form_error" not in found


@pytest.mark.parametrize("alignment", [-1.0, 1.0])
def test_the_closed_form_is_checked_where_rewards_are_shared(alignment: float) -> None:
    assert measure(RewardTask(60001, params(), SOLVER), BETA, alignment)["closed_form_error"] == 0.0
    loose = SolverParams(tolerance=1.0, max_iterations=200, sweeps=5)
    found = measure(RewardTask(60001, params(), loose), BETA, alignment)
    assert found["closed_form_error"] > 1e-6, "an answer that is not the best one is found out"


def test_ascent_starts_at_the_points_and_climbs() -> None:
    task = RewardTask(60002, params(ascent={"num_updates": 60, "step_size": 0.1,
                                            "step_size_ratio": 0.01}), SOLVER)  # fmt: skip
    found = measure(task, BETA, 0.5)
    game = mixed_rewards(random_game(60002, sizes_of(task.params.games)), 0.5)
    policy = TabularPolicy(game.num_states, game.num_leader_actions)
    leader, beta = policy.probabilities(points_of(task)), np.full(2, BETA)
    follower = SoftQIteration(game, beta, 1e-11, 200)
    answer = follower.respond(leader, follower.start(2)).policy
    start = leader_return(game, leader, answer, discount=0.9, horizon=100).mean()
    assert found["return_start"] == pytest.approx(start, rel=1e-8)
    assert found["return_total"] > start + 1.0
    assert found["return_direct"] > start + 1.0
    gain = found["return_total"] - start
    lost = (found["return_total"] - found["return_direct"]) / gain
    assert found["lost_share"] == pytest.approx(lost, rel=1e-6)
    assert found["lost_share"] != 0.0


def test_a_leader_that_never_moves_gains_nothing() -> None:
    still = {"num_updates": 1, "step_size": 1e-12, "step_size_ratio": 1.0}
    found = measure(RewardTask(60002, params(ascent=still), SOLVER), BETA, 0.5)
    assert found["return_total"] == pytest.approx(found["return_start"], abs=1e-9)
    assert found["return_direct"] == pytest.approx(found["return_start"], abs=1e-9)


def test_errors_fall_with_samples_and_break_even_does_not_move() -> None:
    few, many = (
        measure(
            RewardTask(60003, params(replicates=60, env_steps_per_update=steps), SOLVER), BETA, 0.0
        )
        for steps in (1000, 9000)
    )
    assert few["error_bc_hg"] / many["error_bc_hg"] == pytest.approx(3.0, rel=0.25)
    # The direct part alone never gets closer than the indirect part is long.
    task = RewardTask(60003, params(), SOLVER)
    direct, indirect = solved_by_hand(task, 0.0, points_of(task))
    floor = np.sqrt(np.square(indirect).sum() / np.square(direct + indirect).sum())
    assert few["error_direct"] > many["error_direct"] > floor
    for found in (few, many):
        saved = found["error_direct"] - found["error_bc_hg"]
        assert found["error_saved"] == pytest.approx(saved)
    assert few["break_even_log10"] == pytest.approx(many["break_even_log10"], abs=0.3)
    # By its definition: squared errors are variance over samples, and the missing part.
    at = 10.0 ** few["break_even_log10"]
    missed = floor**2
    own = few["error_bc_hg"] ** 2 * 1000 / at
    other = (few["error_direct"] ** 2 - missed) * 1000 / at + missed
    assert own == pytest.approx(other, rel=0.15)


def test_the_table_has_a_mean_and_its_interval_over_games() -> None:
    table = reward_structures(params(), SOLVER, 0.95, one_after_the_other)
    assert tuple(table.columns) == REWARD_STRUCTURE_COLUMNS
    assert (table["games"] == 3).all()
    own = table[(table["alignment"] == 0.5) & (table["metric"] == "indirect_share")].iloc[0]
    scores = np.array(
        [
            measure(RewardTask(seed, params(), SOLVER), BETA, 0.5)["indirect_share"]
            for seed in (60000, 60001, 60002)
        ]
    )
    low, high = interval(scores, "mean", 0.95)
    assert (own["value"], own["low"], own["high"]) == pytest.approx(
        (scores.mean(), float(low), float(high))
    )
    assert own["worst"] == scores.max()
    checked = table[table["metric"] == "closed_form_error"]["alignment"]
    assert set(checked) == {-1.0}


def test_half_an_episode_is_refused() -> None:
    with pytest.raises(ValueError, match=r"env_steps_per_update = 150 .*max_episode_steps = 100"):
        params(env_steps_per_update=150)


def test_an_impossible_alignment_is_refused() -> None:
    game = random_game(0, sizes_of(params().games))
    for wrong in (-1.1, 1.5, np.nan):
        with pytest.raises(ValueError, match="alignment must lie in"):
            mixed_rewards(game, wrong)
    np.testing.assert_array_equal(mixed_rewards(game, -1.0).leader_reward, -game.follower_reward)
    np.testing.assert_array_equal(mixed_rewards(game, 0.0).leader_reward, game.leader_reward)
    half = 0.5 * game.follower_reward + 0.5 * game.leader_reward
    np.testing.assert_allclose(mixed_rewards(game, 0.5).leader_reward, half)
