"""Each player's sums are discounted with its own γ, in whatever the cells build.

Most problems ship one number for both, which would hide a mistake.
"""

from pathlib import Path
from typing import Any

import pytest

from bilevelrl.core.cell import Context
from bilevelrl.core.score_function import ScoreFunction
from bilevelrl.core.seeding import Streams
from bilevelrl.core.settings import Setting, WatchingBelief
from bilevelrl.problems.guided_cartpole.planning_leader import PlanningLeader
from bilevelrl.runs.chunks import cell_of, maker
from bilevelrl.runs.params import Params, read_params

PARAMS: Params = read_params(Path(__file__).parents[2] / "params.yaml")
APART = {"leader_discount": 0.9, "follower_discount": 0.8}


def shipped() -> list[tuple[str, str, Setting]]:
    """One setting of each kind, of problems that have two discounts."""
    found = {}
    for problem, block in PARAMS.problems.items():
        if APART.keys() <= set(type(block.constants).model_fields):
            for estimator in block.cells:
                for each in PARAMS.settings(problem, estimator):
                    own = each.conditions(block.shared())
                    kind = (problem, estimator, each.variant, own["information"], own["follower"])
                    found[kind] = (problem, estimator, each)
    return list(found.values())


def name(value: object) -> str:
    if not isinstance(value, Setting):
        return str(value)
    belief: WatchingBelief | None = getattr(value, "belief", None)
    return value.variant + ("full" if belief is None else belief.information)


def build(problem: str, estimator: str, setting: Setting) -> Any:
    block = PARAMS.block(problem)
    constants = block.constants.model_copy(update=APART)
    context = Context(constants, PARAMS.problem(problem).followers, block.training)
    return cell_of(block.kind).build(maker(block.kind, estimator, setting), [setting], context)


@pytest.mark.parametrize(("problem", "estimator", "setting"), shipped(), ids=name)
def test_every_discount_is_its_owner_s(problem: str, estimator: str, setting: Setting) -> None:
    if (problem, estimator) == ("home_battery", "perturbed"):
        with pytest.raises(ValueError, match="a perturbed follower counts as it does"):
            build(problem, estimator, setting)
        return
    built = build(problem, estimator, setting)
    rollout = getattr(built.estimator, "rollout", None)
    for known in (getattr(rollout, "problem", None), getattr(built.game, "problem", None)):
        if known is not None:
            assert (known.leader_discount, known.follower_discount) == (0.9, 0.8)
    score = getattr(built.estimator, "learner", None)
    if isinstance(score, PlanningLeader):
        assert score.discounts == (0.9, 0.8)
        return
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
    made = built.estimator.sampled
    assert made.belief.discount == 0.8
    assert (made.learner.leader.critic.discount, made.learner.return_discount) == (0.9, 0.9)
    _, followers = built.game.start(Streams([0]))
    assert followers[0]._learner._discount == 0.8
