"""Each player's sums are discounted with its own γ, in whatever the cells build.

Most problems ship one number for both, which would hide a mistake.
"""

from pathlib import Path
from typing import Any

import pytest

from bilevelrl.core.cell import Context
from bilevelrl.core.score_function import ScoreFunction
from bilevelrl.core.seeding import Streams
from bilevelrl.core.settings import Setting
from bilevelrl.runs.chunks import cell_of
from bilevelrl.runs.params import Params, read_params

PARAMS: Params = read_params(Path(__file__).parents[2] / "params.yaml")
APART = {"leader_discount": 0.9, "follower_discount": 0.8}


def shipped() -> list[tuple[str, str, Setting]]:
    """One setting of each kind, of problems that have two discounts."""
    found = {}
    for problem, cells in ((name, block.cells) for name, block in PARAMS.problems.items()):
        if APART.keys() <= set(type(PARAMS.block(problem).constants).model_fields):
            for estimator in cells:
                for each in PARAMS.settings(problem, estimator):
                    kind = (problem, estimator, each.variant, each.information, each.follower)
                    found[kind] = (problem, estimator, each)
    return list(found.values())


def name(value: object) -> str:
    return value.variant + value.information if isinstance(value, Setting) else str(value)


def build(problem: str, estimator: str, setting: Setting) -> Any:
    constants = PARAMS.block(problem).constants.model_copy(update=APART)
    context = Context(constants, PARAMS.problem(problem).followers, PARAMS.block(problem).training)
    return cell_of(PARAMS.block(problem).kind).build(estimator, [setting], context)


@pytest.mark.parametrize(("problem", "estimator", "setting"), shipped(), ids=name)
def test_every_discount_is_its_owner_s(problem: str, estimator: str, setting: Setting) -> None:
    built = build(problem, estimator, setting)
    score = getattr(built.estimator, "learner", None)
    if not isinstance(score, ScoreFunction):
        assert score is None
        return
    assert (score.leader_discount, score.follower_discount) == (0.9, 0.8)
    leader: Any = score.leader
    for owner in (leader, leader.critic, built.estimator.belief):
        for known in (getattr(owner, each, None) for each in ("sizes", "problem", "game")):
            if known is not None:
                assert (known.leader_discount, known.follower_discount) == (0.9, 0.8)


def test_one_discount_each_of_the_cart_pole_s_parts() -> None:
    # They are told their discounts one by one.
    (setting, *_) = PARAMS.settings("guided_cartpole", "bc_hg")
    built = build("guided_cartpole", "bc_hg", setting)
    made = built.estimator
    assert made.belief.discount == 0.8
    assert (made.learner.leader.critic.discount, made.learner.return_discount) == (0.9, 0.9)
    _, followers = built.game.start(Streams([0]))
    assert followers[0].agent._model.gamma == 0.8
